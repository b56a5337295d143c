/** Weights of neighbouring layers brought to like ranges, channel by channel, before anything is rounded. */

import { type Graph, type Node, tensor, type Value } from "../../onnx/mod.ts";
import { type Layer, layersOf } from "./plan.ts";
import { prepareForQuantization } from "./prepare.ts";

/** What passes a positive factor of a channel on as it is. */
const HOMOGENEOUS = new Set(["Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool"]);

/** Rounds over all pairs; the scales of a chain have settled by then. */
const MOST_ROUNDS = 20;

/** What `equalizeLayers` gives. */
export interface Equalized {
  /** The prepared graph with other weights: its outputs are the source's up to rounding. */
  readonly graph: Graph;
  /** How many pairs of layers were equalised. */
  readonly pairs: number;
}

/**
 * Cross-layer equalisation (Nagel et al. 2019, section 4.1): between two convolutions with nothing but Relu or what else commutes with
 * a positive factor between them, channel i is divided by s = √(r₁ / r₂) in the first (weights and bias) and multiplied in the second,
 * with r the channel's largest absolute weight in either: both then have the range √(r₁ r₂). Repeated until the factors are near 1.
 * Ranges of activations change: calibrate afterwards.
 */
export async function equalizeLayers(source: Graph): Promise<Equalized> {
  const graph = await prepareForQuantization(source), pairs = pairsOf(graph);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    let farthest = 0;
    for (const pair of pairs) farthest = Math.max(farthest, equalize(graph, pair));
    if (farthest < 1e-3) break;
  }
  return { graph, pairs: pairs.length };
}

interface Pair {
  readonly first: Layer;
  readonly second: Layer;
}

function pairsOf(graph: Graph): Pair[] {
  const consumers = graph.consumers(), layers = new Map(layersOf(graph).map((layer) => [layer.node, layer]));
  const own = (value: Value | undefined) => !value || consumers.get(value)?.length === 1;
  return [...layers.values()].flatMap((first) => {
    if (first.node.opType !== "Conv" || !own(first.weight) || !own(first.bias)) return [];
    let next: Node | undefined = first.node;
    do {
      const output: Value = next.output(), readers: readonly Node[] = consumers.get(output) ?? [];
      next = readers.length === 1 && !graph.outputs.includes(output) ? readers[0] : undefined;
    } while (next && next.domain === "" && HOMOGENEOUS.has(next.opType) && next.outputs.length === 1);
    const second = next && layers.get(next);
    return second?.node.opType === "Conv" && own(second.weight) ? [{ first, second }] : [];
  });
}

/** Equalises a pair; returns how far the farthest factor is from 1, as a logarithm. */
function equalize(graph: Graph, { first, second }: Pair): number {
  const [channels = 0] = first.weight.staticShape;
  const before = new Float32Array(first.weight.tensor!.data as Float32Array);
  const after = new Float32Array(second.weight.tensor!.data as Float32Array);
  const rows = before.length / channels, inputOf = inputChannels(second);
  const largest = [new Float64Array(channels), new Float64Array(channels)] as const;
  for (let i = 0; i < before.length; i++) {
    const c = Math.floor(i / rows);
    largest[0][c] = Math.max(largest[0][c]!, Math.abs(before[i]!));
  }
  for (let i = 0; i < after.length; i++) {
    const c = inputOf(i);
    largest[1][c] = Math.max(largest[1][c]!, Math.abs(after[i]!));
  }
  const factors = largest[0].map((r, c) => r > 0 && largest[1][c]! > 0 ? Math.sqrt(r / largest[1][c]!) : 1);
  for (let i = 0; i < before.length; i++) before[i]! /= factors[Math.floor(i / rows)]!;
  for (let i = 0; i < after.length; i++) after[i]! *= factors[inputOf(i)]!;
  graph.setTensor(first.weight, tensor("float32", first.weight.staticShape, before));
  graph.setTensor(second.weight, tensor("float32", second.weight.staticShape, after));
  if (first.bias) {
    const bias = (first.bias.tensor!.data as Float32Array).map((b, c) => b / factors[c]!);
    graph.setTensor(first.bias, tensor("float32", [channels], bias));
  }
  return factors.reduce((most, factor) => Math.max(most, Math.abs(Math.log(factor))), 0);
}

/** The input channel that each element of a convolution's weights multiplies. */
function inputChannels({ node, weight }: Layer): (i: number) => number {
  const [filters = 1, perGroup = 1, ...kernel] = weight.staticShape;
  const window = kernel.reduce((product, size) => product * size, 1), group = filters / node.int("group");
  return (i) => {
    const filter = Math.floor(i / (perGroup * window));
    return Math.floor(filter / group) * perGroup + Math.floor(i / window) % perGroup;
  };
}
