/** Channels taken away, or only silenced: a graph with smaller weights, and one of the same shapes that computes the same. */

import {
  type Attribute,
  copyGraph,
  Graph,
  type Node,
  type PlainAttribute,
  type Tensor,
  tensor,
  type Value,
} from "../../onnx/mod.ts";
import { channelSlice } from "./channel_rules.ts";
import type { Channels, Tie } from "./channels.ts";

/**
 * The graph without these channels: weights, biases, normalisations and what layers after read of them are cut out, and sizes that
 * stand in Reshape, Slice, Split and depthwise convolutions follow. The source is left as it is.
 */
export function withoutChannels(channels: Channels, removed: ReadonlySet<number>): Graph {
  const { graph: source } = channels, graph = new Graph(source.name), lists = graph._internals();
  for (const [key, value] of source.metadata) graph.metadata.set(key, value);
  for (const [domain, version] of source.domains) graph.domains.set(domain, version);
  const values = new Map<Value, Value>();
  for (const input of source.inputs) values.set(input, graph.input(input.name, input.dtype, input.shape));
  const tiesOf = Map.groupBy(channels.ties, ({ value }) => value);
  const places = (atoms: readonly number[]) => keptPlaces(channels, atoms, removed);
  for (const value of source.initialisers) {
    const content = (tiesOf.get(value) ?? []).reduce(
      (made, { axis, atoms }) => taken(made, axis, places(atoms)),
      value.tensor!,
    );
    values.set(value, lists.addInitialiser(value.name, value.kind, content));
  }
  for (const node of source.nodes) {
    const changed = resized(channels, node, { graph, places });
    const inputs = node.inputs.map((value) => value && values.get(value)!);
    for (const [i, value] of changed.inputs ?? []) inputs[i] = value;
    const [first] = graph.node(
      node.opType,
      inputs,
      { ...Object.fromEntries(node.attributes) as Record<string, Attribute>, ...changed.attributes },
      { name: node.name, outputs: node.outputs.map((value) => value !== undefined), domain: node.domain },
    );
    node.outputs.forEach((value, i) => {
      const made = first?.producer?.outputs[i];
      if (!value || !made) return;
      made._type ??= value.type;
      if (made.name !== value.name) graph.rename(made, value.name);
      values.set(value, made);
    });
  }
  for (const output of source.outputs) graph.output(values.get(output)!);
  return graph;
}

/**
 * The graph with the same shapes in which these channels are 0: their filters, biases, and the scales and shifts of their
 * normalisations. It computes what `withoutChannels` computes, up to the order in which sums are rounded.
 */
export function withZeroChannels(channels: Channels, removed: ReadonlySet<number>): Graph {
  const graph = copyGraph(channels.graph);
  for (const [value, ties] of Map.groupBy(channels.ties.filter(({ isOwn }) => isOwn), ({ value }) => value)) {
    const { dtype, shape, data } = value.tensor!, content = data.slice() as Float32Array;
    for (const tie of ties) zeroPlaces(content, shape, tie, (atom) => removed.has(channels.channelOf(atom)));
    graph.setTensor(graph.value(value.name), tensor(dtype, shape, content));
  }
  return graph;
}

/** The places along an axis whose channels stay. */
function keptPlaces({ channelOf }: Channels, atoms: readonly number[], removed: ReadonlySet<number>): number[] {
  return atoms.flatMap((atom, i) => removed.has(channelOf(atom)) ? [] : [i]);
}

/** The elements at some places of an axis. */
function taken({ dtype, shape, data }: Tensor, axis: number, places: readonly number[]): Tensor {
  const size = shape[axis]!;
  if (places.length === size) return tensor(dtype, shape, data);
  const inner = shape.slice(axis + 1).reduce((product, each) => product * each, 1);
  const outer = shape.slice(0, axis).reduce((product, each) => product * each, 1);
  const source = data as Float32Array;
  const result = new (source.constructor as Float32ArrayConstructor)(outer * places.length * inner);
  let to = 0;
  for (let i = 0; i < outer; i++) {
    for (const place of places) {
      const from = (i * size + place) * inner;
      result.set(source.subarray(from, from + inner), to);
      to += inner;
    }
  }
  return tensor(dtype, shape.with(axis, places.length), result);
}

function zeroPlaces(
  content: Float32Array,
  shape: readonly number[],
  { axis, atoms }: Tie,
  isRemoved: (atom: number) => boolean,
): void {
  const inner = shape.slice(axis + 1).reduce((product, each) => product * each, 1), size = shape[axis]!;
  atoms.forEach((atom, place) => {
    if (!isRemoved(atom)) return;
    for (let from = place * inner; from < content.length; from += size * inner) content.fill(0, from, from + inner);
  });
}

interface Resized {
  readonly attributes?: Readonly<Record<string, PlainAttribute>>;
  /** In place of inputs. */
  readonly inputs?: ReadonlyMap<number, Value>;
}

/** What of a node names a number of channels. */
function resized(
  { tracks }: Channels,
  node: Node,
  { graph, places }: { readonly graph: Graph; readonly places: (atoms: readonly number[]) => readonly number[] },
): Resized {
  const x = node.inputs[0] && tracks.get(node.inputs[0]), y = node.outputs[0] && tracks.get(node.outputs[0]);
  if (node.domain !== "" || !x) return {};
  switch (node.opType) {
    case "Conv":
      return node.int("group") === 1 || !y ? {} : { attributes: { group: places(x.atoms).length } };
    case "Split": {
      if (node.axis(node.int("axis"), node.input(0).rank) !== x.axis) return {};
      const sizes = node.outputs.map((output) => places(tracks.get(output!)?.atoms ?? []).length);
      return sizes.includes(0) ? {} : { inputs: new Map([[1, graph.ints(sizes)]]) };
    }
    case "Reshape": {
      const shape = node.knownInts(1);
      if (!y || !shape || !(shape[y.axis]! > 0)) return {};
      return { inputs: new Map([[1, graph.ints(shape.with(y.axis, places(y.atoms).length))]]) };
    }
    case "Slice": {
      const part = channelSlice(node, x.axis, x.atoms.length);
      if (!y || typeof part === "string") return {};
      const starts = node.knownInts(1)!, ends = node.knownInts(2)!;
      const axes = (node.knownInts(3) ?? starts.map((_, i) => i)).map((axis) => node.axis(axis, node.input(0).rank));
      const at = axes.indexOf(x.axis), [from, to] = part.map((place) => places(x.atoms.slice(0, place)).length);
      return { inputs: new Map([[1, graph.ints(starts.with(at, from!))], [2, graph.ints(ends.with(at, to!))]]) };
    }
    default:
      return {};
  }
}
