/** What the converter of a node is given, and what several of them need. */

import type { Node } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import type { Activation, Int8Quantizer, TfliteBuilder } from "./builder.ts";
import type { TfliteActivation } from "./schema.ts";

/** What a node's converter is given. */
export interface NodeContext {
  readonly node: Node;
  readonly builder: TfliteBuilder;
  /** "graph: Conv name", for messages. */
  readonly place: string;
  readonly leakyRelu: "maximum" | "leakyRelu";
  /** The activation that the node reads; flattened maps only where it says so. */
  input(index: number, options?: { readonly flattened?: boolean }): Activation;
  /** Name and scale of the result, and what is to be fused into it. Throws InputError where the graph leaves it in float32. */
  result(): { readonly name: string; readonly quantizer: Int8Quantizer; readonly activation: TfliteActivation };
  /** As `result`, of an operator that gives back elements of its input: with its scale where the graph names none. */
  moved(of: Int8Quantizer): { readonly name: string; readonly quantizer: Int8Quantizer };
}

/** [N, C, H, W] as [N, H, W, C]; others as they are. */
export function channelsLast(shape: readonly number[]): readonly number[] {
  if (shape.length !== 4) return shape;
  const [n, channels, rows, columns] = shape as [number, number, number, number];
  return [n, rows, columns, channels];
}

/** Limits that TFLite can fuse. */
const RECTIFICATIONS: readonly {
  readonly low: number;
  readonly high: number;
  readonly activation: TfliteActivation;
}[] = [
  { low: 0, high: Infinity, activation: "RELU" },
  { low: 0, high: 6, activation: "RELU6" },
  { low: -1, high: 1, activation: "RELU_N1_TO_1" },
];

/** A Relu or Clip as TFLite fuses it; NONE where the range of the int8 numbers does its work already. */
export function rectification(node: Node, { scale, zeroPoint }: Int8Quantizer, place: string): TfliteActivation {
  const limit = (index: number, fallback: number) => {
    const value = node.inputs[index];
    if (!value) return fallback;
    if (!value.tensor) throw new InputError(`${place}: expected constant limits of ${node.name}, found ${value}`);
    return Number(value.tensor.data[0]);
  };
  const [low, high] = node.opType === "Relu" ? [0, Infinity] : [limit(1, -Infinity), limit(2, Infinity)];
  if ((-128 - zeroPoint) * scale >= low - scale / 2 && (127 - zeroPoint) * scale <= high + scale / 2) return "NONE";
  const found = RECTIFICATIONS.find((each) => each.low === low && each.high === high);
  if (found) return found.activation;
  throw new InputError(`${place}: expected Relu or limits of 0 … 6 or −1 … 1, found ${low} … ${high}`);
}
