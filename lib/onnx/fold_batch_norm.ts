/** Batch normalisation folded into the convolution before it, for inference. */

import { type Tensor, tensor } from "../runtime/mod.ts";
import type { Graph } from "./graph.ts";
import type { Node } from "./node.ts";
import { takeOver } from "./rewrite.ts";
import { capturedNames } from "./subgraph.ts";
import type { Value } from "./value.ts";

/**
 * Folds every BatchNormalization (in inference mode) into the Conv or ConvTranspose whose output only it reads, when all
 * their weights are float32 initialisers: w' = w · s, b' = (b − mean) · s + bias with s = scale / √(variance + ε).
 * Weights that other nodes read too are copied. Returns how many were folded.
 */
export function foldBatchNormalization(graph: Graph): number {
  const captured = new Set(graph.nodes.flatMap((node) => [...capturedNames(node)]));
  let folded = 0;
  for (const norm of [...graph.nodes]) {
    if (norm.opType !== "BatchNormalization" || norm.domain !== "" || norm.int("training_mode") === 1) continue;
    const inner = norm.input(0);
    const conv = inner.producer;
    if (!conv || conv.domain !== "" || (conv.opType !== "Conv" && conv.opType !== "ConvTranspose")) continue;
    const readers = graph.nodes.filter((node) => node.inputs.includes(inner));
    if (readers.length !== 1 || graph.outputs.includes(inner) || captured.has(inner.name)) continue;
    const weights = [...conv.inputs.slice(1), ...norm.inputs.slice(1)];
    if (!weights.every((value) => !value || value.tensor?.dtype === "float32")) continue;
    fold(graph, conv, norm);
    folded++;
  }
  return folded;
}

function fold(graph: Graph, conv: Node, norm: Node): void {
  const data = (node: Node, index: number) => node.input(index).tensor!.data as Float32Array;
  const scale = data(norm, 1), shift = data(norm, 2), mean = data(norm, 3), variance = data(norm, 4);
  const epsilon = norm.float("epsilon");
  const factor = Float64Array.from(scale, (s, c) => s / Math.sqrt(variance[c]! + epsilon));
  const weight = conv.input(1);
  const old = conv.inputs[2] ? data(conv, 2) : undefined;
  const bias = Float32Array.from(factor, (f, c) => ((old?.[c] ?? 0) - mean[c]!) * f + shift[c]!);
  const lists = graph._internals();
  const add = (like: Value, name: string, content: Tensor) =>
    lists.addInitialiser(lists.uniqueName(name), like.kind, content);
  const scaled = tensor("float32", weight.staticShape, scaleWeights(conv, weight.tensor!, factor));
  const w = add(weight, `${weight.name}~folded`, scaled);
  const b = add(
    weight,
    `${conv.inputs[2]?.name ?? conv.name + ".bias"}~folded`,
    tensor("float32", [bias.length], bias),
  );
  const y = graph.node(conv.opType, [conv.input(0), w, b], Object.fromEntries(conv.attributes))[0]!;
  const made = y.producer!;
  const nodes = graph.nodes.filter((node) => node !== made && node !== conv);
  nodes[nodes.indexOf(norm)] = made;
  const inner = norm.input(0);
  lists.setNodes(nodes);
  takeOver(graph, norm.output(), y);
  lists.values.delete(inner.name);
  lists.nodeNames.delete(conv.name);
  lists.nodeNames.delete(norm.name);
  const freed = [...conv.inputs.slice(1), ...norm.inputs.slice(1)];
  const consumers = graph.consumers();
  for (const value of new Set(freed)) {
    if (!value || consumers.has(value) || graph.outputs.includes(value)) continue;
    lists.initialisers.delete(value);
    lists.values.delete(value.name);
    // The file keeps the names that people know, where nothing else needs the old weights.
    if (value === weight) graph.rename(w, value.name);
    else if (value === conv.inputs[2]) graph.rename(b, value.name);
  }
}

/** Each weight times the factor of its output channel: dimension 0 of Conv; of ConvTranspose, dimension 1 in its group. */
function scaleWeights(conv: Node, { shape, data }: Tensor, factor: Float64Array): Float32Array {
  const source = data as Float32Array, result = new Float32Array(source.length);
  const [outer = 1, inner = 1] = shape;
  const rest = source.length / (outer * inner) || 0;
  const perGroup = outer / conv.int("group");
  for (let i = 0, at = 0; i < outer; i++) {
    for (let j = 0; j < inner; j++) {
      const channel = conv.opType === "Conv" ? i : Math.floor(i / perGroup) * inner + j;
      for (let k = 0; k < rest; k++, at++) result[at] = source[at]! * factor[channel]!;
    }
  }
  return result;
}
