/** Constants: tensors from what callers write, and what inference knows of them. */

import { type DType, elementCount, isFloat, type Tensor, tensor, type TensorData } from "../runtime/mod.ts";
import type { ValueType } from "./registry.ts";

/** What a constant may be made from. */
export type ConstantSource = Tensor | number | boolean | ArrayLike<number> | ArrayLike<bigint>;

/** At most so many elements are followed by data propagation. */
const LONGEST_KNOWN = 1024;

/** The type of an initialiser, with its elements when it is small and numeric. */
export function tensorType(content: Tensor): ValueType {
  const { dtype, shape, data } = content;
  if (shape.length > 2 || data.length > LONGEST_KNOWN || dtype === "string" || dtype === "bfloat16") {
    return { dtype, shape };
  }
  return { dtype, shape, elements: Array.from(data as ArrayLike<number | bigint>, countable) };
}

/** An element as a number; integers beyond 2^53, which exporters write for "to the end", as the largest exact one. */
function countable(element: number | bigint): number {
  const limit = Number.MAX_SAFE_INTEGER;
  return typeof element === "bigint" ? Math.max(-limit, Math.min(limit, Number(element))) : element;
}

/** A tensor from what a caller writes: numbers are float32 unless told otherwise, a single one fills the shape. */
export function constantTensor(source: ConstantSource, wanted?: DType, shape?: readonly number[]): Tensor {
  const dtype = wanted ?? "float32";
  if (typeof source === "object" && "dtype" in source) return source;
  if (typeof source === "number" || typeof source === "boolean") {
    const target = shape ?? [];
    const data = new Array<number>(elementCount(target)).fill(Number(source));
    return tensor(dtype, target, isFloat(dtype) ? data : data.map(Math.trunc));
  }
  return tensor(dtype, shape ?? [source.length], source as TensorData);
}

/** An element as a text by which equal ones are found; −0 is not 0. */
export function spell(element: unknown): string {
  return Object.is(element, -0) ? "-0" : String(element);
}
