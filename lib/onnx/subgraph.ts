/** Graphs from graphs: copying, cutting between named values, renaming, and joining. */

import { type Dim, formatShape, type Shape } from "./dims.ts";
import { OnnxError } from "./errors.ts";
import { Graph } from "./graph.ts";
import type { Node } from "./node.ts";
import type { GraphProto } from "./proto/onnx_pb.ts";
import type { Value } from "./value.ts";

/** Settings of `inline`. */
export interface InlineOptions {
  /** Begins every name that comes from the source; names are made unique in any case. Default: "". */
  readonly prefix?: string;
  /** Only what these values of the source need. Default: all of its nodes. */
  readonly outputs?: readonly Value[];
}

/**
 * Copies the nodes and initialisers of `source` into `target`, with the source's values in `feeds` (inputs, or inner
 * values to cut at) taken by values of the target. Shapes are inferred anew. Returns the target's value for each of the
 * source's that was copied. Throws OnnxError when an input is not fed or a fed shape does not fit.
 */
export function inline(
  target: Graph,
  source: Graph,
  feeds: ReadonlyMap<Value, Value>,
  { prefix = "", outputs }: InlineOptions = {},
): Map<Value, Value> {
  const mapped = new Map<Value, Value>(feeds);
  for (const [inner, outer] of feeds) checkFeed(inner, outer);
  const wanted = outputs && ancestors(outputs, new Set(feeds.keys()));
  const lists = target._internals();
  const rename = (value: Value, name: string) => {
    if (value.name !== prefix + name) target.rename(value, lists.uniqueName(prefix + name));
  };
  for (const value of source.initialisers) {
    if (mapped.has(value) || (wanted && !wanted.values.has(value))) continue;
    const name = lists.uniqueName(prefix + value.name);
    mapped.set(value, lists.addInitialiser(name, value.kind, value.tensor!));
  }
  for (const node of source.nodes) {
    if (wanted && !wanted.nodes.has(node)) continue;
    if (subgraphsOf(node).length > 0) throw node.fail("expected no sub-graph where graphs are copied, found one");
    if (node.outputs.every((value) => !value || feeds.has(value))) continue;
    const inputs = node.inputs.map((value) => {
      const found = value && mapped.get(value);
      if (value && !found) throw node.fail(`expected a value for ${value.kind} ${value}, found none fed`);
      return found;
    });
    const place = node.outputs.map((value) => value !== undefined);
    const made = target.node(node.opType, inputs, Object.fromEntries(node.attributes), {
      name: prefix + node.name,
      outputs: place,
      domain: node.domain,
    });
    const copies = made[0]?.producer?.outputs ?? [];
    node.outputs.forEach((value, i) => {
      const copy = copies[i];
      if (!value || !copy) return;
      copy._type ??= value.type; // an operator without inference keeps what its file declared
      if (!mapped.has(value)) mapped.set(value, copy);
      rename(copy, value.name);
    });
  }
  return mapped;
}

/** Settings of `copyGraph`. */
export interface CopyOptions {
  /** Numbers in place of symbols of the inputs' shapes, e.g. `{ N: 32 }`. */
  readonly symbols?: Readonly<Record<string, Dim>>;
  /** Other shapes for inputs, by name. */
  readonly shapes?: Readonly<Record<string, Shape>>;
}

/** A copy with the same names, on other input shapes where asked for. Throws OnnxError where they do not fit. */
export function copyGraph(graph: Graph, { symbols = {}, shapes = {} }: CopyOptions = {}): Graph {
  for (const name of Object.keys(shapes)) {
    if (!graph.inputs.some((input) => input.name === name)) {
      throw new OnnxError(`copyGraph: expected an input of graph "${graph.name}", found "${name}"`);
    }
  }
  return rebuild(graph, graph.inputs, graph.outputs, (input) => {
    const shape = shapes[input.name] ?? input.shape;
    return shape.map((dim) => typeof dim === "string" ? symbols[dim] ?? dim : dim);
  });
}

/**
 * The part of a graph between values: those named `inputs` are fed, those named `outputs` are returned, and only what
 * lies between is kept. Throws OnnxError for an unknown name and when an output needs an input that is not named.
 */
export function cutGraph(
  graph: Graph,
  { inputs, outputs }: { inputs?: readonly string[]; outputs: readonly string[] },
): Graph {
  const ends = outputs.map((name) => graph.value(name));
  const starts = inputs?.map((name) => graph.value(name)) ?? [];
  if (inputs) {
    const needed = ancestors(ends, new Set(starts));
    const missing = graph.inputs.find((input) => needed.values.has(input) && !starts.includes(input));
    if (missing) {
      throw new OnnxError(`cutGraph: expected inputs that outputs ${outputs.join(", ")} need, found no ${missing}`);
    }
    return rebuild(graph, starts, ends);
  }
  const needed = ancestors(ends, new Set());
  return rebuild(graph, graph.inputs.filter((input) => needed.values.has(input)), ends);
}

/**
 * Two graphs after one another: outputs of `first` feed inputs of `second` by the pairs in `links` (first's name →
 * second's name). Names of `second` that are taken are made unique. Inputs that are not linked, and the outputs of
 * `second`, then those of `first` that are not linked, are the new graph's.
 */
export function joinGraphs(
  first: Graph,
  second: Graph,
  links: Readonly<Record<string, string>>,
  { prefix = "" }: { prefix?: string } = {},
): Graph {
  const result = copyGraph(first);
  const feeds = new Map<Value, Value>();
  const linked = new Set<Value>();
  for (const [from, to] of Object.entries(links)) {
    const inner = second.inputs.find((input) => input.name === to);
    if (!inner) throw new OnnxError(`joinGraphs: expected an input of graph "${second.name}", found "${to}"`);
    const outer = result.value(from);
    feeds.set(inner, outer);
    linked.add(outer);
  }
  for (const input of second.inputs) {
    if (feeds.has(input)) continue;
    const name = result._internals().uniqueName(prefix + input.name);
    feeds.set(input, result.input(name, input.dtype, input.shape));
  }
  const mapped = inline(result, second, feeds, { prefix });
  const kept = result.outputs.filter((output) => !linked.has(output));
  for (const output of [...result.outputs]) result.removeOutput(output);
  for (const output of second.outputs) result.output(mapped.get(output)!);
  for (const output of kept) result.output(output);
  for (const [domain, version] of second.domains) result.domains.set(domain, version);
  return result;
}

/** Gives values other names: all for which `rename` returns another text. Throws OnnxError when one is taken. */
export function renameValues(graph: Graph, rename: (name: string, value: Value) => string): void {
  for (const node of graph.nodes) {
    if (subgraphsOf(node).length > 0) throw node.fail("expected no sub-graph where values are renamed, found one");
  }
  const pairs = [...graph.values.values()].map((value) => [value, rename(value.name, value)] as const)
    .filter(([value, name]) => value.name !== name);
  // By way of names that nothing has, so that names can also be swapped.
  const { uniqueName } = graph._internals();
  for (const [value] of pairs) graph.rename(value, uniqueName(`~${value.name}`));
  for (const [value, name] of pairs) graph.rename(value, name);
}

/** Puts a text before every name but those of the inputs and outputs (and of these too with `ports`). */
export function prefixValues(graph: Graph, prefix: string, { ports = false }: { ports?: boolean } = {}): void {
  const port = (value: Value) => graph.inputs.includes(value) || graph.outputs.includes(value);
  renameValues(graph, (name, value) => port(value) && !ports ? name : prefix + name);
}

/** What is known of a graph, for people and programs. */
export interface GraphSummary {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** How many nodes of each operator, the most frequent first. */
  readonly operators: Readonly<Record<string, number>>;
  readonly nodes: number;
  /** Elements of all floating-point initialisers. */
  readonly weights: number;
}

/** Inputs, outputs, operators and size of a graph. */
export function summarize(graph: Graph): GraphSummary {
  const counts = new Map<string, number>();
  for (const { opType, domain } of graph.nodes) {
    const name = domain === "" ? opType : `${domain}.${opType}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const floats = graph.initialisers.filter((value) => value.dtype.includes("float"));
  return {
    inputs: graph.inputs.map((value) => `${value} ${value.dtype}`),
    outputs: graph.outputs.map(String),
    operators: Object.fromEntries([...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b))),
    nodes: graph.nodes.length,
    weights: floats.reduce((sum, value) => sum + value.tensor!.data.length, 0),
  };
}

/** All values and nodes that some values need, not going beyond `stops`. Iterative: a chain may be very long. */
export function ancestors(
  outputs: readonly Value[],
  stops: ReadonlySet<Value>,
): { values: ReadonlySet<Value>; nodes: ReadonlySet<Node> } {
  const values = new Set<Value>(), nodes = new Set<Node>();
  const open = [...outputs];
  for (let value = open.pop(); value; value = open.pop()) {
    if (values.has(value)) continue;
    values.add(value);
    const node = value.producer;
    if (!node || stops.has(value) || nodes.has(node)) continue;
    nodes.add(node);
    for (const input of node.inputs) if (input) open.push(input);
    for (const name of capturedNames(node)) {
      const captured = value.graph.values.get(name);
      if (captured) open.push(captured);
    }
  }
  return { values, nodes };
}

/** The sub-graphs among a node's attributes (If, Loop, Scan). */
export function subgraphsOf(node: Node): readonly GraphProto[] {
  return [...node.attributes.values()].flatMap((attribute) =>
    attribute.kind === "graph" ? [attribute.value] : attribute.kind === "graphs" ? attribute.value : []
  );
}

/** Every name that a node's sub-graphs read, those of the outer graph among them. */
export function capturedNames(node: Node): ReadonlySet<string> {
  const names = new Set<string>();
  const open = [...subgraphsOf(node)];
  for (let graph = open.pop(); graph; graph = open.pop()) {
    for (const output of graph.output) names.add(output.name);
    for (const inner of graph.node) {
      for (const name of inner.input) names.add(name);
      for (const { g, graphs } of inner.attribute) open.push(...(g ? [g] : []), ...graphs);
    }
  }
  return names;
}

function rebuild(
  graph: Graph,
  inputs: readonly Value[],
  outputs: readonly Value[],
  shapeOf: (input: Value) => Shape = (input) => input.shape,
): Graph {
  const result = new Graph(graph.name);
  for (const [key, value] of graph.metadata) result.metadata.set(key, value);
  for (const [domain, version] of graph.domains) result.domains.set(domain, version);
  const feeds = new Map(inputs.map((value) => [value, result.input(value.name, value.dtype, shapeOf(value))]));
  const mapped = inline(result, graph, feeds, { outputs });
  for (const output of outputs) result.output(mapped.get(output)!);
  return result;
}

/** Element type and rank must fit; whether the sizes do, the operators say when they are inferred anew. */
function checkFeed(inner: Value, outer: Value): void {
  if (!inner.type || !outer.type || (inner.dtype === outer.dtype && inner.rank === outer.rank)) return;
  throw new OnnxError(
    `inline: expected ${inner.dtype} ${formatShape(inner.shape)} for "${inner.name}", found ${outer.dtype} ${outer}`,
  );
}
