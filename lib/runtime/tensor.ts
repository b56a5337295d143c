/** A tensor in memory: element type, shape, and the elements in row-major order. */

import { InputError } from "./errors.ts";

/** The arrays that hold the elements. Booleans are 0 and 1; bfloat16 is kept as its 16 bits. */
export interface TensorArrays {
  float32: Float32Array;
  float64: Float64Array;
  float16: Float16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
  string: string[];
}

/** An element type, under the names that ONNX Runtime's JavaScript API uses. */
export type DType = keyof TensorArrays;

/** Elements of a tensor of type `T`. */
export type TensorData<T extends DType = DType> = TensorArrays[T];

/** A dense tensor; `data.length` is the product of `shape`. */
export interface Tensor<T extends DType = DType> {
  readonly dtype: T;
  readonly shape: readonly number[];
  readonly data: TensorData<T>;
}

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Float16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

const FLOATS: readonly DType[] = ["float32", "float64", "float16", "bfloat16"];

/** Whether a word names an element type. */
export function isDType(word: string): word is DType {
  return word === "string" || Object.hasOwn(ARRAYS, word);
}

/** Whether elements of this type are floating point. */
export function isFloat(dtype: DType): boolean {
  return FLOATS.includes(dtype);
}

/** Bytes an element takes; 0 for strings, which have no fixed size. */
export function elementSize(dtype: DType): number {
  return dtype === "string" ? 0 : ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** The number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** A zero-filled array for `length` elements. */
export function allocate<T extends DType>(dtype: T, length: number): TensorData<T> {
  const data = dtype === "string"
    ? new Array<string>(length).fill("")
    : new ARRAYS[dtype as Exclude<DType, "string">](length);
  return data as TensorData<T>;
}

/**
 * A tensor from elements. Plain numbers are converted (for int64 to BigInt); an array that already has the right type is
 * taken as it is, without a copy. Throws InputError when the number of elements is not the product of the shape.
 */
export function tensor<T extends DType>(
  dtype: T,
  shape: readonly number[],
  data: TensorData<T> | ArrayLike<number> | ArrayLike<bigint> | readonly boolean[],
): Tensor<T> {
  for (const size of shape) {
    if (!Number.isInteger(size) || size < 0) {
      throw new InputError(`tensor: expected sizes that are whole numbers from 0, found [${shape.join(", ")}]`);
    }
  }
  if (data.length !== elementCount(shape)) {
    throw new InputError(
      `tensor: expected ${elementCount(shape)} elements for shape [${shape.join(", ")}], found ${data.length}`,
    );
  }
  return { dtype, shape, data: convert(dtype, data) };
}

/** A tensor of zeros. */
export function zeros<T extends DType>(dtype: T, shape: readonly number[]): Tensor<T> {
  return { dtype, shape, data: allocate(dtype, elementCount(shape)) };
}

/** The elements as numbers. 64-bit integers beyond 2^53 lose precision; throws InputError for strings and bfloat16. */
export function toNumbers(source: Tensor): number[] {
  if (source.dtype === "string" || source.dtype === "bfloat16") {
    throw new InputError(`toNumbers: expected a tensor of numbers, found ${source.dtype}`);
  }
  return Array.from(source.data as ArrayLike<number | bigint>, Number);
}

function convert<T extends DType>(
  dtype: T,
  data: ArrayLike<number> | ArrayLike<bigint> | ArrayLike<string> | readonly boolean[],
): TensorData<T> {
  if (dtype === "string") return Array.from(data as ArrayLike<string>) as TensorData<T>;
  const constructor = ARRAYS[dtype as Exclude<DType, "string">];
  if (data instanceof constructor) return data as unknown as TensorData<T>;
  const result = new constructor(data.length) as { [index: number]: number | bigint };
  const big = dtype === "int64" || dtype === "uint64";
  for (let i = 0; i < data.length; i++) {
    const element = data[i] as number | bigint | boolean;
    result[i] = big ? BigInt(element) : Number(element);
  }
  return result as unknown as TensorData<T>;
}
