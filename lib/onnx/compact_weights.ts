/** Weights kept in fewer bytes, for files that are given away; computing stays in float32. */

import { type Tensor, tensor } from "../runtime/mod.ts";
import type { Graph } from "./graph.ts";
import { cast, dequantizeLinear } from "./ops/mod.ts";
import { replaceUses } from "./rewrite.ts";
import type { Value } from "./value.ts";

/** How weights are kept: as halves, as whole numbers with one scale a channel, or the large tensors so and the others as halves. */
export type WeightStorage = "float16" | "int8" | "mixed";

/** From so many elements on "mixed" takes int8: the last layers of a body, which hold most of the weights. */
const LARGE = 1_000_000;

/** What has fewer elements stays as it is: biases and scales, in which each bit counts. */
const SMALLEST = 512;

/**
 * Keeps the float32 initialisers of two and more dimensions as float16 (two bytes a weight), or as int8 with one scale for each
 * output channel (one byte: q = round(w / s), s = max |w| / 127), and turns them back where they are read, by Cast or
 * DequantizeLinear. ONNX Runtime does that once, when it opens the file: the speed is that of the float32 file. Smaller tensors and
 * those that are outputs stay. Returns how many were changed.
 */
export function compactWeights(graph: Graph, storage: WeightStorage): number {
  const lists = graph._internals(), consumers = graph.consumers();
  const chosen = graph.initialisers.filter((value) =>
    value.dtype === "float32" && value.rank >= 2 && value.tensor!.data.length >= SMALLEST &&
    !graph.outputs.includes(value)
  );
  const made = chosen.map((value) => {
    const halved = storage === "float16" || (storage === "mixed" && value.tensor!.data.length < LARGE);
    const wide = halved
      ? cast(graph.constant(halves(value.tensor!), { name: `${value.name}.float16` }), "float32")
      : dequantised(graph, value, channelAxis(value, consumers.get(value) ?? []));
    replaceUses(graph, value, wide);
    lists.initialisers.delete(value);
    lists.values.delete(value.name);
    graph.rename(wide, value.name);
    return wide.producer!;
  });
  lists.setNodes([...made, ...graph.nodes.filter((node) => !made.includes(node))]);
  return made.length;
}

function halves({ shape, data }: Tensor): Tensor {
  return tensor("float16", shape, Float16Array.from(data as Float32Array));
}

function dequantised(graph: Graph, { name, tensor: weights }: Value, axis: number): Value {
  const { shape, data } = weights!, source = data as Float32Array;
  const channels = shape[axis]!, inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const largest = new Float32Array(channels);
  const channelOf = (i: number) => Math.floor(i / inner) % channels;
  for (const [i, x] of source.entries()) {
    const channel = channelOf(i);
    largest[channel] = Math.max(largest[channel]!, Math.abs(x));
  }
  const scales = largest.map((most) => most > 0 ? most / 127 : 1);
  const whole = Int8Array.from(source, (x, i) => Math.round(x / scales[channelOf(i)]!));
  return dequantizeLinear(
    graph.constant(tensor("int8", shape, whole), { name: `${name}.int8` }),
    graph.constant(tensor("float32", [channels], scales), { name: `${name}.scale` }),
    undefined,
    { axis },
  );
}

/** The dimension of the output channels, by who reads the weights. */
function channelAxis(value: Value, readers: readonly { readonly opType: string; int(name: string): number }[]): number {
  const [reader] = readers;
  if (reader?.opType === "ConvTranspose") return 1;
  if (reader?.opType === "MatMul") return value.rank - 1;
  return reader?.opType === "Gemm" && reader.int("transB") === 0 ? 1 : 0;
}
