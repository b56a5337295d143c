/** Takes away nodes of the backward graph that turned out not to be needed. */

import type { Graph, Node, Value } from "../onnx/mod.ts";

/** What a graph held at a moment. */
export interface Contents {
  readonly nodes: ReadonlySet<Node>;
  readonly initialisers: ReadonlySet<Value>;
}

/** What a graph holds now. */
export function contentsOf(graph: Graph): Contents {
  return { nodes: new Set(graph.nodes), initialisers: new Set(graph.initialisers) };
}

/**
 * Removes nodes and constants that were appended to a graph (all that are not in `before`) and that neither `results`, nor
 * the graph's outputs, nor another node reads: gradients of inputs that need none, expansions that nobody used.
 */
export function pruneAppended(graph: Graph, before: Contents, results: readonly Value[]): void {
  const used = new Set<Value>([...results, ...graph.outputs]);
  const dead = new Set<Node>();
  for (const node of graph.nodes.toReversed()) {
    if (before.nodes.has(node) || node.outputs.some((output) => output && used.has(output))) {
      for (const input of node.inputs) if (input) used.add(input);
    } else dead.add(node);
  }
  const lists = graph._internals();
  for (const value of graph.initialisers) {
    if (before.initialisers.has(value) || used.has(value)) continue;
    lists.initialisers.delete(value);
    lists.values.delete(value.name);
  }
  if (dead.size === 0) return;
  lists.setNodes(graph.nodes.filter((node) => !dead.has(node)));
  for (const node of dead) {
    lists.nodeNames.delete(node.name);
    for (const output of node.outputs) if (output) lists.values.delete(output.name);
  }
}
