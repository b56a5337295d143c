/** Tensors and operators of a TFLite model as they are made, in TFLite's layout: rows, columns, channels. */

import { elementCount } from "../../runtime/mod.ts";
import type { TfliteModel, TfliteOperator, TfliteQuantization, TfliteTensor } from "./model.ts";
import { OPERATORS, type TfliteType, type WrittenOperator } from "./schema.ts";

/** Scale and zero point of an int8 activation: x ≈ (q − zeroPoint) · scale. */
export interface Int8Quantizer {
  readonly scale: number;
  /** −128 … 127. */
  readonly zeroPoint: number;
}

/** What an operator reads or gives. */
export interface Activation {
  /** Of its tensor. */
  readonly index: number;
  /** [N, rows, columns, channels], or as ONNX has it where it has no places. */
  readonly shape: readonly number[];
  readonly quantizer: Int8Quantizer;
  /** Of a flattened map: its [channels, rows, columns], which lie in memory as rows, columns, channels. */
  readonly flattened?: readonly number[] | undefined;
}

/** What a constant tensor has. */
export interface ConstantSpec {
  readonly name: string;
  readonly type: TfliteType;
  readonly shape: readonly number[];
  readonly data: Int8Array | Int32Array;
  readonly quantization?: TfliteQuantization;
}

export class TfliteBuilder {
  readonly #tensors: TfliteTensor[] = [];
  readonly #operators: TfliteOperator[] = [];
  readonly #names = new Set<string>();

  /** An int8 tensor that is fed or computed. */
  activation(name: string, shape: readonly number[], quantizer: Int8Quantizer): Activation {
    const { scale, zeroPoint } = quantizer;
    const quantization = { scales: [scale], zeroPoints: [zeroPoint], axis: 0 };
    return { index: this.tensor({ name, type: "INT8", shape, quantization }), shape, quantizer };
  }

  /** A constant. Returns its index. */
  constant({ data, ...spec }: ConstantSpec): number {
    return this.tensor({ ...spec, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });
  }

  /** Any tensor; a name that is taken gets a number behind it. Returns its index. */
  tensor(tensor: TfliteTensor): number {
    let name = tensor.name;
    for (let i = 1; this.#names.has(name); i++) name = `${tensor.name}_${i}`;
    this.#names.add(name);
    return this.#tensors.push({ ...tensor, name }) - 1;
  }

  /** Appends an operator. */
  operator(
    code: WrittenOperator,
    inputs: readonly number[],
    output: number,
    options: TfliteOperator["options"] = {},
    version: number = OPERATORS[code].version,
  ): void {
    this.#operators.push({ code, version, inputs, outputs: [output], options });
  }

  /** Appends an operator whose result is an int8 activation. */
  compute(
    code: WrittenOperator,
    inputs: readonly number[],
    result: { readonly name: string; readonly shape: readonly number[]; readonly quantizer: Int8Quantizer },
    options?: TfliteOperator["options"],
    version?: number,
  ): Activation {
    const made = this.activation(result.name, result.shape, result.quantizer);
    this.operator(code, inputs, made.index, options, version);
    return made;
  }

  /** The same numbers with another scale; itself where it has it already. */
  requantized(x: Activation, quantizer: Int8Quantizer, name: string): Activation {
    if (isSame(x.quantizer, quantizer)) return x;
    return { ...this.compute("QUANTIZE", [x.index], { name, shape: x.shape, quantizer }), flattened: x.flattened };
  }

  /** A tensor with other sizes and the same elements. */
  reshaped(x: Activation, shape: readonly number[], name: string): Activation {
    if (String(x.shape) === String(shape)) return x;
    const sizes = this.constant({
      name: `${name}.shape`,
      type: "INT32",
      shape: [shape.length],
      data: Int32Array.from(shape),
    });
    return this.compute("RESHAPE", [x.index, sizes], { name, shape, quantizer: x.quantizer }, { newShape: shape });
  }

  /** A map with rows and columns of zeros around it: [top, left, bottom, right], ONNX's order. */
  padded(x: Activation, [top, left, bottom, right]: readonly number[], name: string): Activation {
    const data = Int32Array.of(0, 0, top!, bottom!, left!, right!, 0, 0);
    const pads = this.constant({ name: `${name}.pads`, type: "INT32", shape: [4, 2], data });
    const [n, rows, columns, channels] = x.shape as [number, number, number, number];
    const shape = [n, rows + top! + bottom!, columns + left! + right!, channels];
    return this.compute("PAD", [x.index, pads], { name, shape, quantizer: x.quantizer });
  }

  /** The model; the oldest runtime is that of its newest operator. */
  model(description: string, inputs: readonly number[], outputs: readonly number[]): TfliteModel {
    const runtimes = this.#operators.map(({ code }) => OPERATORS[code as WrittenOperator].runtime);
    const newest = runtimes.reduce<string>((most, each) => isNewer(each, most) ? each : most, "1.5.0");
    return { description, tensors: this.#tensors, operators: this.#operators, inputs, outputs, minRuntime: newest };
  }
}

/** Whether two activations mean the same by the same number. */
export function isSame(a: Int8Quantizer, b: Int8Quantizer): boolean {
  return a.scale === b.scale && a.zeroPoint === b.zeroPoint;
}

function isNewer(a: string, b: string): boolean {
  const [left, right] = [a.split(".").map(Number), b.split(".").map(Number)];
  const place = left.findIndex((part, i) => part !== right[i]);
  return place >= 0 && left[place]! > right[place]!;
}

/** Elements of [a, b, …] in another order of dimensions: the dimension `order[i]` of the source becomes dimension i. */
export function transposed<T extends Int8Array | Int32Array>(
  data: T,
  shape: readonly number[],
  order: readonly number[],
): T {
  const strides = shape.map((_, i) => elementCount(shape.slice(i + 1)));
  const sizes = order.map((each) => shape[each]!), steps = order.map((each) => strides[each]!);
  const result = data.slice() as T;
  const places = sizes.map(() => 0);
  for (let i = 0, from = 0; i < data.length; i++) {
    result[i] = data[from]!;
    for (let d = sizes.length - 1; d >= 0; d--) {
      from += steps[d]!;
      if (++places[d]! < sizes[d]!) break;
      from -= steps[d]! * sizes[d]!;
      places[d] = 0;
    }
  }
  return result;
}
