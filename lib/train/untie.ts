/** Undoes what exporters do to save space: initialisers of equal elements kept once. */

import { copyGraph, type Graph } from "../onnx/mod.ts";

/**
 * A copy of the graph in which an Identity of an initialiser is an initialiser of its own. PyTorch's exporter keeps one of
 * several weights with equal elements (all scales of a fresh network are 1) and writes the others as its Identity: in
 * training they go different ways. Weights that were tied on purpose and exported so become two.
 */
export function untieInitialisers(source: Graph): Graph {
  const graph = copyGraph(source);
  const lists = graph._internals();
  const untied = new Set(
    graph.nodes.filter((node) =>
      node.opType === "Identity" && node.domain === "" && node.inputs[0]?.tensor !== undefined &&
      !graph.outputs.includes(node.output())
    ),
  );
  for (const node of untied) {
    const original = node.input(0), alias = node.output();
    const { name } = alias;
    lists.values.delete(name);
    const own = lists.addInitialiser(name, original.kind, original.tensor!);
    for (const reader of graph.nodes) {
      if (!untied.has(reader)) reader._inputs = reader._inputs.map((input) => input === alias ? own : input);
    }
    lists.nodeNames.delete(node.name);
  }
  lists.setNodes(graph.nodes.filter((node) => !untied.has(node)));
  return graph;
}
