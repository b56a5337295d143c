/** Writes a `.tflite` file: a flatbuffer of TFLite's schema, version 3. */

import { Builder } from "flatbuffers";
import { InputError } from "../../runtime/mod.ts";
import type { TfliteModel, TfliteOperator, TfliteOption, TfliteQuantization, TfliteTensor } from "./model.ts";
import {
  FILE_IDENTIFIER,
  FUSED,
  GREATER_CODES,
  OPERATORS,
  OPTION_TABLES,
  type OptionField,
  type OptionTable,
  PADDINGS,
  TENSOR_TYPES,
  type WrittenOperator,
} from "./schema.ts";

/** Data of tensors begin at multiples of it, so that runtimes can use a mapped file as it is. */
const ALIGNMENT = 16;

/** The file's bytes; the same model gives the same. Throws InputError for an operator, type or option that is not in `schema.ts`. */
export function writeTflite(model: TfliteModel): Uint8Array<ArrayBuffer> {
  const { tensors, operators, inputs, outputs, description, minRuntime } = model;
  const builder = new Builder(2 ** 16 + tensors.reduce((sum, { data }) => sum + (data?.length ?? 0), 0));
  const codes = operatorCodes(operators);
  // Buffer 0 is empty, for all that is computed.
  const data: (Uint8Array | undefined)[] = [undefined];
  const bufferOf = (bytes: Uint8Array | undefined) => bytes ? data.push(bytes) - 1 : 0;
  const tensorTables = tensors.map((each) => tensorTable(builder, each, bufferOf(each.data)));
  const operatorTables = operators.map((each) => operatorTable(builder, each, codes.get(codeKey(each))!.index));
  const fields = {
    tensors: offsets(builder, tensorTables),
    inputs: int32s(builder, inputs),
    outputs: int32s(builder, outputs),
    operators: offsets(builder, operatorTables),
    name: builder.createString("main"),
  };
  const subgraph = table(
    builder,
    5,
    () => Object.values(fields).forEach((field, i) => builder.addFieldOffset(i, field, 0)),
  );
  const metadata = metadataTable(builder, "min_runtime_version", bufferOf(padded(minRuntime)));
  const buffers = data.map((bytes) => bufferTable(builder, bytes));
  const codeTables = [...codes.values()].map(({ code, version }) =>
    table(builder, 4, () => {
      builder.addFieldInt8(0, Math.min(code, GREATER_CODES), 0);
      builder.addFieldInt32(2, version, 1);
      builder.addFieldInt32(3, code, 0);
    })
  );
  const parts = {
    codes: offsets(builder, codeTables),
    subgraphs: offsets(builder, [subgraph]),
    description: builder.createString(description),
    buffers: offsets(builder, buffers),
    metadata: offsets(builder, [metadata]),
  };
  const root = table(builder, 8, () => {
    builder.addFieldInt32(0, 3, 0);
    builder.addFieldOffset(1, parts.codes, 0);
    builder.addFieldOffset(2, parts.subgraphs, 0);
    builder.addFieldOffset(3, parts.description, 0);
    builder.addFieldOffset(4, parts.buffers, 0);
    builder.addFieldOffset(6, parts.metadata, 0);
  });
  builder.finish(root, FILE_IDENTIFIER);
  return Uint8Array.from(builder.asUint8Array());
}

const codeKey = ({ code, version }: TfliteOperator) => `${code} ${version}`;

interface Code {
  readonly index: number;
  readonly code: number;
  readonly version: number;
}

/** One entry for each operator and version, in the order of their first use. */
function operatorCodes(operators: readonly TfliteOperator[]): Map<string, Code> {
  const codes = new Map<string, Code>();
  for (const operator of operators) {
    const known = OPERATORS[operator.code as WrittenOperator];
    if (!known) throw new InputError(`tflite: expected an operator of the schema's part, found ${operator.code}`);
    const key = codeKey(operator);
    if (!codes.has(key)) codes.set(key, { index: codes.size, code: known.code, version: operator.version });
  }
  return codes;
}

function table(builder: Builder, fields: number, fill: () => void): number {
  builder.startObject(fields);
  fill();
  return builder.endObject();
}

function tensorTable(builder: Builder, { name, shape, type, quantization }: TfliteTensor, buffer: number): number {
  const number = TENSOR_TYPES[type as keyof typeof TENSOR_TYPES];
  if (number === undefined) {
    throw new InputError(`tflite: ${name}: expected a type of the schema's part, found ${type}`);
  }
  const sizes = int32s(builder, shape), label = builder.createString(name);
  const scaling = quantization ? quantizationTable(builder, quantization) : 0;
  return table(builder, 10, () => {
    builder.addFieldOffset(0, sizes, 0);
    builder.addFieldInt8(1, number, 0);
    builder.addFieldInt32(2, buffer, 0);
    builder.addFieldOffset(3, label, 0);
    builder.addFieldOffset(4, scaling, 0);
    builder.addFieldInt8(8, 1, 0); // has_rank
  });
}

function quantizationTable(builder: Builder, { scales, zeroPoints, axis }: TfliteQuantization): number {
  const scale = vector(builder, 4, scales, (each) => builder.addFloat32(each));
  const zeros = vector(builder, 8, zeroPoints, (each) => builder.addInt64(BigInt(each)));
  return table(builder, 7, () => {
    builder.addFieldOffset(2, scale, 0);
    builder.addFieldOffset(3, zeros, 0);
    builder.addFieldInt32(6, axis, 0);
  });
}

function operatorTable(builder: Builder, { code, inputs, outputs, options }: TfliteOperator, index: number): number {
  const kind = OPERATORS[code as WrittenOperator].options;
  const made = kind ? optionsTable(builder, kind, options) : 0;
  const [read, written] = [int32s(builder, inputs), int32s(builder, outputs)];
  return table(builder, 14, () => {
    builder.addFieldInt32(0, index, 0);
    builder.addFieldOffset(1, read, 0);
    builder.addFieldOffset(2, written, 0);
    if (!kind) return;
    builder.addFieldInt8(3, OPTION_TABLES[kind].type, 0);
    builder.addFieldOffset(4, made, 0);
  });
}

function optionsTable(builder: Builder, kind: OptionTable, options: TfliteOperator["options"]): number {
  const fields: readonly OptionField[] = OPTION_TABLES[kind].fields, names = fields.map(([name]) => name);
  const wrong = Object.keys(options).find((name) => !names.includes(name));
  if (wrong) throw new InputError(`tflite: ${kind}: expected ${names.join(", ") || "no options"}, found ${wrong}`);
  const vectors = fields.map(([name, type]) =>
    type === "int32[]" && options[name] ? int32s(builder, options[name] as readonly number[]) : 0
  );
  return table(builder, fields.length, () =>
    fields.forEach(([name, type, fallback], i) => {
      const value: TfliteOption = options[name] ?? fallback ?? 0;
      if (type === "int32[]") builder.addFieldOffset(i, vectors[i]!, 0);
      else if (type === "float32") builder.addFieldFloat32(i, Number(value), Number(fallback));
      else if (type === "int32") builder.addFieldInt32(i, Number(value), Number(fallback));
      else builder.addFieldInt8(i, byteOf(type, value), Number(fallback));
    }));
}

function byteOf(type: OptionField[1], value: TfliteOption): number {
  if (type === "padding" && typeof value === "string") return PADDINGS[value as keyof typeof PADDINGS];
  if (type === "activation" && typeof value === "string") return FUSED[value as keyof typeof FUSED];
  return Number(value);
}

function bufferTable(builder: Builder, bytes: Uint8Array | undefined): number {
  if (!bytes) return table(builder, 3, () => {});
  builder.prep(ALIGNMENT, bytes.length);
  const data = builder.createByteVector(bytes);
  return table(builder, 3, () => builder.addFieldOffset(0, data, 0));
}

function metadataTable(builder: Builder, name: string, buffer: number): number {
  const label = builder.createString(name);
  return table(builder, 2, () => {
    builder.addFieldOffset(0, label, 0);
    builder.addFieldInt32(1, buffer, 0);
  });
}

/** A text of 16 bytes, filled up with zeros, as TFLite's own writer has it. */
function padded(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  new TextEncoder().encodeInto(text, bytes);
  return bytes;
}

function vector(builder: Builder, size: number, values: readonly number[], add: (value: number) => void): number {
  builder.startVector(size, values.length, size);
  for (const value of values.toReversed()) add(value);
  return builder.endVector();
}

const int32s = (builder: Builder, values: readonly number[]) =>
  vector(builder, 4, values, (each) => builder.addInt32(each));
const offsets = (builder: Builder, values: readonly number[]) =>
  vector(builder, 4, values, (each) => builder.addOffset(each));
