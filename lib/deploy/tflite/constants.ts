/** Whole numbers of a graph in QDQ form: what stands behind a DequantizeLinear. */

import type { Node, Value } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import type { Int8Quantizer } from "./builder.ts";

/** A constant that a DequantizeLinear turns to numbers. */
export interface WholeConstant {
  readonly data: Int8Array | Int32Array;
  readonly shape: readonly number[];
  /** One, or one for each channel of dimension `axis`. */
  readonly scales: readonly number[];
  readonly axis: number;
}

/** Numbers of a constant value. Throws InputError where it is computed. */
function numbersOf(value: Value | undefined, place: string): number[] | undefined {
  if (!value) return undefined;
  if (!value.tensor) throw new InputError(`${place}: expected constant scales and zero points, found ${value}`);
  return Array.from(value.tensor.data as Float32Array, Number);
}

/** Scale and zero point of a QuantizeLinear or DequantizeLinear of an activation; uint8 moves by 128. */
export function quantizerOf(node: Node): Int8Quantizer {
  const place = `${node.opType} ${node.name}`, [data, scale, zero] = node.inputs;
  const scales = numbersOf(scale, place)!, [zeroPoint] = numbersOf(zero, place) ?? [0];
  const dtype = zero?.dtype ?? (node.opType === "DequantizeLinear" ? data!.dtype : "uint8");
  if (scales.length !== 1 || (dtype !== "uint8" && dtype !== "int8")) {
    throw new InputError(`${place}: expected one scale for uint8 or int8, found ${scales.length} for ${dtype}`);
  }
  return { scale: scales[0]!, zeroPoint: zeroPoint! - (dtype === "uint8" ? 128 : 0) };
}

/** Int8 weights, or an int32 bias, with zero points of 0. Throws InputError for anything else. */
export function wholeConstant(value: Value, dtype: "int8" | "int32", place: string): WholeConstant {
  const { producer } = value, source = producer?.opType === "DequantizeLinear" ? producer.input(0) : undefined;
  if (!source?.tensor || source.dtype !== dtype) {
    const found = source ? `${source.dtype}${source.tensor ? "" : ", computed"}` : value;
    throw new InputError(`${place}: expected constant ${dtype} weights behind a DequantizeLinear, found ${found}`);
  }
  const zeros = numbersOf(producer!.inputs[2], place) ?? [], wrong = zeros.find((each) => each !== 0);
  if (wrong !== undefined) {
    throw new InputError(`${place}: expected ${dtype} weights with a zero point of 0, found ${wrong}`);
  }
  const rank = source.rank, axis = producer!.int("axis", 1);
  return {
    data: source.tensor.data as Int8Array | Int32Array,
    shape: source.staticShape,
    scales: numbersOf(producer!.inputs[1], place)!,
    axis: axis < 0 ? axis + rank : axis,
  };
}
