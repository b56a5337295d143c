/** Rewrites that keep what a graph computes: dead nodes out, constants computed, batch normalisation folded. */

import { isFloat, openSession, type Tensor, tensor } from "../runtime/mod.ts";
import { isStatic } from "./dims.ts";
import { Graph } from "./graph.ts";
import type { Node } from "./node.ts";
import { ancestors, capturedNames, inline, subgraphsOf } from "./subgraph.ts";
import type { Value } from "./value.ts";
import { toModel } from "./write.ts";

/** Operators whose result is another in each run. */
const RANDOM = new Set([
  "Bernoulli",
  "Dropout",
  "Multinomial",
  "RandomNormal",
  "RandomNormalLike",
  "RandomUniform",
  "RandomUniformLike",
]);

/** Unless told otherwise, a folded constant is at most this large, in elements, so that an Expand does not fill the file. */
const LARGEST_FOLDED = 4_000_000;

/** Removes nodes and constants that no output needs (parameters too, with `parameters`). Returns how many nodes. */
export function removeDead(graph: Graph, { parameters = false }: { parameters?: boolean } = {}): number {
  const { values, nodes } = ancestors(graph.outputs, new Set());
  const lists = graph._internals();
  const kept = graph.nodes.filter((node) => nodes.has(node));
  const removed = graph.nodes.length - kept.length;
  for (const node of graph.nodes) {
    if (nodes.has(node)) continue;
    lists.nodeNames.delete(node.name);
    for (const output of node.outputs) { // whose name another may have taken over
      if (output && lists.values.get(output.name) === output) lists.values.delete(output.name);
    }
  }
  lists.setNodes(kept);
  for (const value of graph.initialisers) {
    if (values.has(value) || (value.kind === "parameter" && !parameters)) continue;
    lists.initialisers.delete(value);
    lists.values.delete(value.name);
  }
  return removed;
}

/**
 * Computes, through ONNX Runtime, what depends on constants only, and what is known from shapes, and puts constants in
 * its place. Parameters count as constants with `parameters` (for a file that is not trained again). Random operators
 * and results of more than `largest` elements (default: 4 million) stay. Returns how many nodes it took away; `removeDead`
 * takes those that nothing reads any more.
 */
export async function foldConstants(
  graph: Graph,
  { parameters = false, largest = LARGEST_FOLDED }: { parameters?: boolean; largest?: number } = {},
): Promise<number> {
  const fixed = new Set<Value>(graph.initialisers.filter((value) => parameters || value.kind === "constant"));
  const known = new Map<Value, Tensor>();
  const foldable = new Set<Node>();
  for (const node of graph.nodes) {
    const [first] = node.outputs;
    const elements = first && node.outputs.length === 1 ? exactIntegers(first) : undefined;
    if (first && elements) {
      known.set(first, tensor(first.dtype, first.staticShape, elements));
      fixed.add(first);
      foldable.add(node);
    } else if (isFoldable(node, fixed, largest)) {
      foldable.add(node);
      for (const output of node.outputs) if (output) fixed.add(output);
    }
  }
  if (foldable.size === 0) return 0;
  const consumers = graph.consumers();
  const captured = new Set(graph.nodes.flatMap((node) => [...capturedNames(node)]));
  const edge = [...foldable].flatMap((node) => node.outputs).filter((value): value is Value =>
    value !== undefined &&
    (graph.outputs.includes(value) || captured.has(value.name) ||
      (consumers.get(value) ?? []).some((node) => !foldable.has(node)))
  );
  const results = await evaluate(graph, edge.filter((value) => !known.has(value)), known);
  for (const value of edge) replaceByConstant(graph, value, known.get(value) ?? results.get(value)!);
  const before = graph.nodes.length;
  const lists = graph._internals();
  lists.setNodes(graph.nodes.filter((node) => !foldable.has(node)));
  for (const node of foldable) {
    lists.nodeNames.delete(node.name);
    for (const output of node.outputs) {
      if (output && lists.values.get(output.name) === output) lists.values.delete(output.name);
    }
  }
  removeUnreadConstants(graph);
  return before - graph.nodes.length;
}

/** Puts `to` in the place of `from` for every node that reads it. The graph's outputs stay. */
export function replaceUses(graph: Graph, from: Value, to: Value): void {
  for (const node of graph.nodes) {
    if (node._inputs.includes(from)) node._inputs = node._inputs.map((input) => input === from ? to : input);
  }
}

/**
 * Puts what `make` writes behind a value between it and the nodes that read it. The graph's outputs stay, and its nodes are
 * in topological order again. Returns what took the value's place.
 */
export function insertAfter(graph: Graph, value: Value, make: (value: Value) => Value): Value {
  const readers = graph.nodes.filter((node) => node._inputs.includes(value));
  const made = make(value);
  for (const node of readers) node._inputs = node._inputs.map((input) => input === value ? made : input);
  sortNodes(graph);
  return made;
}

/** Takes a value out of a graph and gives its name, its readers and its place among the outputs to another. */
export function takeOver(graph: Graph, from: Value, to: Value): void {
  const lists = graph._internals();
  replaceUses(graph, from, to);
  const { name } = from;
  lists.values.delete(name);
  graph.rename(to, name);
  const at = lists.outputs.indexOf(from);
  if (at >= 0) lists.outputs[at] = to;
}

/** Puts the nodes into topological order, those that do not depend on each other as they were: after nodes were put between others. */
export function sortNodes(graph: Graph): void {
  const sorted: Node[] = [], done = new Set<Node>();
  for (const root of graph.nodes) {
    const pending = [root];
    while (pending.length > 0) {
      const node = pending.at(-1)!;
      const missing = node.inputs.map((input) => input?.producer).filter((producer) => producer && !done.has(producer));
      if (missing.length > 0 && !done.has(node)) pending.push(...missing as Node[]);
      else {
        pending.pop();
        if (!done.has(node)) sorted.push(node);
        done.add(node);
      }
    }
  }
  graph._internals().setNodes(sorted);
}

/** The elements that inference knows, where they are sure to be those that a run would give. */
function exactIntegers(value: Value): readonly number[] | undefined {
  if (!value.type || isFloat(value.dtype)) return undefined; // a run rounds to its own precision
  const { elements } = value;
  return elements?.every((element) => typeof element === "number" && Math.abs(element) < Number.MAX_SAFE_INTEGER)
    ? elements as readonly number[]
    : undefined;
}

function isFoldable(node: Node, fixed: ReadonlySet<Value>, largest: number): boolean {
  if (RANDOM.has(node.opType) || !node.spec || subgraphsOf(node).length > 0) return false;
  const small = node.outputs.every((value) => {
    if (!value) return true;
    if (!value.type || !isStatic(value.shape)) return false;
    return value.staticShape.reduce((product, size) => product * size, 1) <= largest;
  });
  return small && node.inputs.every((value) => !value || fixed.has(value));
}

/** Runs the part of the graph behind some values; what is known already is not computed from its inputs again. */
async function evaluate(
  graph: Graph,
  values: readonly Value[],
  known: ReadonlyMap<Value, Tensor>,
): Promise<Map<Value, Tensor>> {
  if (values.length === 0) return new Map();
  const part = new Graph("constants");
  const feeds = new Map([...known].map(([value, content]) => [value, part.constant(content, { name: value.name })]));
  const mapped = inline(part, graph, feeds, { outputs: values });
  const names = values.map((value) => part.output(mapped.get(value)!).name);
  await using session = await openSession(toModel(part), { threads: 1, name: "foldConstants" });
  const results = await session.run({});
  return new Map(values.map((value, i) => [value, results[names[i]!]!]));
}

function replaceByConstant(graph: Graph, value: Value, content: Tensor): void {
  const lists = graph._internals();
  const constant = lists.addInitialiser(lists.uniqueName(`${value.name}~folded`), "constant", content);
  takeOver(graph, value, constant);
}

function removeUnreadConstants(graph: Graph): void {
  const consumers = graph.consumers();
  const captured = new Set(graph.nodes.flatMap((node) => [...capturedNames(node)]));
  const lists = graph._internals();
  for (const value of graph.initialisers) {
    const read = consumers.has(value) || graph.outputs.includes(value) || captured.has(value.name);
    if (read || value.kind === "parameter") continue;
    lists.initialisers.delete(value);
    lists.values.delete(value.name);
  }
}
