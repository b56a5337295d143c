/** ONNX's numbers for element types (TensorProto.DataType) and the names used here. */

import type { DType } from "../runtime/mod.ts";

const NUMBERS: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

const NAMES = new Map(Object.entries(NUMBERS).map(([name, number]) => [number, name as DType]));

/** ONNX's number of an element type. */
export function dataTypeOf(dtype: DType): number {
  return NUMBERS[dtype];
}

/** The element type of ONNX's number, or undefined for those not supported here (complex, float8, 4-bit). */
export function dtypeOf(dataType: number): DType | undefined {
  return NAMES.get(dataType);
}
