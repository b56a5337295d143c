/** A TFLite model as plain values: what `writeTflite` writes and `readTflite` reads. */

import type { TfliteType, WrittenOperator } from "./schema.ts";

/** x ≈ (q − zeroPoint) · scale, one pair for the tensor or one for each channel of dimension `axis`. */
export interface TfliteQuantization {
  readonly scales: readonly number[];
  readonly zeroPoints: readonly number[];
  readonly axis: number;
}

/** A tensor: a constant where it has data. */
export interface TfliteTensor {
  readonly name: string;
  /** −1: a size that is left open (of files of others). */
  readonly shape: readonly number[];
  /** Files of others may have types that are not named here: "type 17". */
  readonly type: TfliteType | `type ${number}`;
  /** Little-endian. */
  readonly data?: Uint8Array | undefined;
  readonly quantization?: TfliteQuantization | undefined;
}

/** A value of an operator's options. */
export type TfliteOption = number | boolean | string | readonly number[];

/** An operator. */
export interface TfliteOperator {
  /** Of files of others also other names, or "operator 93". */
  readonly code: WrittenOperator | (string & Record<never, never>);
  readonly version: number;
  /** Indices of tensors; −1: left out. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** By the names of `OPTION_TABLES`. */
  readonly options: Readonly<Record<string, TfliteOption>>;
}

/** A model of one subgraph. */
export interface TfliteModel {
  readonly description: string;
  readonly tensors: readonly TfliteTensor[];
  readonly operators: readonly TfliteOperator[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** "1.14.0": the oldest TFLite that runs all operators; "" where a file says nothing. */
  readonly minRuntime: string;
}
