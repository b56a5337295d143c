/** Reads a `.tflite` file: the first subgraph with its constants, also of files that others wrote. */

import { ByteBuffer } from "flatbuffers";
import { InputError } from "../../runtime/mod.ts";
import type { TfliteModel, TfliteOperator, TfliteOption, TfliteQuantization, TfliteTensor } from "./model.ts";
import {
  FILE_IDENTIFIER,
  FUSED,
  OPERATORS,
  OPTION_TABLES,
  type OptionField,
  OTHER_OPERATORS,
  PADDINGS,
  TENSOR_TYPES,
  type TfliteType,
} from "./schema.ts";

/** Throws InputError, in one line that begins with `name`, for bytes that are no such file, are cut off, or have several subgraphs. */
export function readTflite(bytes: Uint8Array, { name = "model.tflite" }: { readonly name?: string } = {}): TfliteModel {
  const identifier = new TextDecoder("latin1").decode(bytes.subarray(4, 8));
  if (bytes.length < 8 || identifier !== FILE_IDENTIFIER) {
    throw new InputError(
      `${name}: expected a TFLite file (${FILE_IDENTIFIER} at byte 4), found ${JSON.stringify(identifier)}`,
    );
  }
  const root = Table.root(new ByteBuffer(bytes), name), version = root.uint32(0);
  if (version !== 3) throw new InputError(`${name}: expected version 3 of TFLite's schema, found ${version}`);
  const subgraphs = root.tables(2), [subgraph] = subgraphs;
  if (!subgraph || subgraphs.length > 1) {
    throw new InputError(`${name}: expected one subgraph, found ${subgraphs.length}`);
  }
  const buffers = root.tables(4).map((buffer) => buffer.bytes(0));
  const codes = root.tables(1).map((code) => {
    const number = Math.max(code.int8(0, 0), code.int32(3, 0)), own = code.text(1);
    return { code: own || operatorName(number), version: code.int32(2, 1) };
  });
  const runtime = root.tables(6).find((each) => each.text(0) === "min_runtime_version");
  const told = runtime && buffers[runtime.uint32(1)];
  const model: TfliteModel = {
    description: root.text(3),
    tensors: subgraph.tables(0).map((tensor) => readTensor(tensor, buffers)),
    operators: subgraph.tables(3).map((operator) => readOperator(operator, codes, name)),
    inputs: subgraph.int32s(1),
    outputs: subgraph.int32s(2),
    minRuntime: told ? new TextDecoder().decode(told).replace(/\0+$/, "") : "",
  };
  expectTensors(model, name);
  return model;
}

/** Whatever is named by its number must be there; −1 stands for an input that is left out. */
function expectTensors({ tensors, operators, inputs, outputs }: TfliteModel, name: string): void {
  const named = [...inputs, ...outputs, ...operators.flatMap((each) => each.outputs)];
  const wrong = named.find((index) => !tensors[index]) ??
    operators.flatMap((each) => each.inputs).find((index) => index !== -1 && !tensors[index]);
  if (wrong !== undefined) {
    throw new InputError(`${name}: expected one of ${tensors.length} tensors, found number ${wrong}`);
  }
}

/** By the number. */
const NAMES = new Map(Object.entries(OPERATORS).map(([name, { code }]) => [code as number, name]));
const TYPES = new Map(Object.entries(TENSOR_TYPES).map(([name, number]) => [number as number, name as TfliteType]));
const TABLES = new Map(
  Object.values(OPTION_TABLES).map(({ type, fields }) => [type as number, fields as readonly OptionField[]]),
);

const operatorName = (code: number) => NAMES.get(code) ?? OTHER_OPERATORS[code] ?? `operator ${code}`;

const nameOf = (names: Readonly<Record<string, number>>, number: number) =>
  Object.keys(names).find((name) => names[name] === number) ?? String(number);

function readTensor(tensor: Table, buffers: readonly (Uint8Array | undefined)[]): TfliteTensor {
  const signature = tensor.int32s(7), type = tensor.int8(1, 0), data = buffers[tensor.uint32(2)];
  const scaling = tensor.table(4), scales = scaling?.float32s(2) ?? [];
  const quantization: TfliteQuantization | undefined = scaling && scales.length > 0
    ? { scales, zeroPoints: scaling.int64s(3), axis: scaling.int32(6, 0) }
    : undefined;
  return {
    name: tensor.text(3),
    shape: signature.length > 0 ? signature : tensor.int32s(0),
    type: TYPES.get(type) ?? `type ${type}`,
    ...(data && data.length > 0 ? { data } : {}),
    ...(quantization ? { quantization } : {}),
  };
}

function readOperator(
  operator: Table,
  codes: readonly { readonly code: string; readonly version: number }[],
  name: string,
): TfliteOperator {
  const index = operator.uint32(0), code = codes[index];
  if (!code) throw new InputError(`${name}: expected one of ${codes.length} operator codes, found number ${index}`);
  const fields = TABLES.get(operator.int8(3, 0)) ?? [], table = operator.table(4);
  const options = fields.map(([name, type, fallback], i): [string, TfliteOption] => {
    if (!table) return [name, fallback ?? []];
    if (type === "int32[]") return [name, table.int32s(i)];
    if (type === "float32") return [name, table.float32(i, fallback)];
    if (type === "int32") return [name, table.int32(i, fallback)];
    const byte = table.int8(i, Number(fallback));
    if (type === "bool") return [name, byte !== 0];
    return [name, type === "padding" ? nameOf(PADDINGS, byte) : type === "activation" ? nameOf(FUSED, byte) : byte];
  });
  return { ...code, inputs: operator.int32s(1), outputs: operator.int32s(2), options: Object.fromEntries(options) };
}

/** A table of a flatbuffer whose every access is checked against the file's end: the package itself reads zeros there. */
class Table {
  readonly #buffer: ByteBuffer;
  readonly #at: number;
  readonly #name: string;

  private constructor(buffer: ByteBuffer, at: number, name: string) {
    this.#buffer = buffer;
    this.#at = at;
    this.#name = name;
    this.#within(at, 4);
    this.#within(at - buffer.readInt32(at), 4);
  }

  static root(buffer: ByteBuffer, name: string): Table {
    return new Table(buffer, buffer.readUint32(0), name);
  }

  int8(id: number, fallback: number): number {
    const place = this.#field(id, 1);
    return place === undefined ? fallback : this.#buffer.readInt8(place);
  }

  int32(id: number, fallback: number): number {
    const place = this.#field(id, 4);
    return place === undefined ? fallback : this.#buffer.readInt32(place);
  }

  uint32(id: number): number {
    const place = this.#field(id, 4);
    return place === undefined ? 0 : this.#buffer.readUint32(place);
  }

  float32(id: number, fallback: number): number {
    const place = this.#field(id, 4);
    return place === undefined ? fallback : this.#buffer.readFloat32(place);
  }

  table(id: number): Table | undefined {
    const place = this.#field(id, 4);
    return place === undefined ? undefined : this.#tableAt(place);
  }

  tables(id: number): Table[] {
    return this.#vector(id, 4, (place) => this.#tableAt(place));
  }

  int32s(id: number): number[] {
    return this.#vector(id, 4, (place) => this.#buffer.readInt32(place));
  }

  int64s(id: number): number[] {
    return this.#vector(id, 8, (place) => Number(this.#buffer.readInt64(place)));
  }

  float32s(id: number): number[] {
    return this.#vector(id, 4, (place) => this.#buffer.readFloat32(place));
  }

  bytes(id: number): Uint8Array | undefined {
    const found = this.#vectorAt(id, 1);
    return found && this.#buffer.bytes().subarray(found.start, found.start + found.length);
  }

  text(id: number): string {
    return new TextDecoder().decode(this.bytes(id));
  }

  #tableAt(place: number): Table {
    return new Table(this.#buffer, this.#buffer.__indirect(place), this.#name);
  }

  /** Where a field lies; undefined where the table leaves it out. */
  #field(id: number, size: number): number | undefined {
    const offset = this.#buffer.__offset(this.#at, 4 + 2 * id);
    return offset === 0 ? undefined : this.#within(this.#at + offset, size);
  }

  #vectorAt(id: number, size: number): { readonly start: number; readonly length: number } | undefined {
    const place = this.#field(id, 4);
    if (place === undefined) return undefined;
    const at = this.#within(this.#buffer.__indirect(place), 4), length = this.#buffer.readUint32(at);
    return { start: this.#within(at + 4, size * length), length };
  }

  #vector<T>(id: number, size: number, read: (place: number) => T): T[] {
    const found = this.#vectorAt(id, size);
    return found ? Array.from({ length: found.length }, (_, i) => read(found.start + size * i)) : [];
  }

  #within(place: number, size: number): number {
    const end = this.#buffer.capacity();
    if (place >= 0 && place + size <= end) return place;
    throw new InputError(
      `${this.#name}: expected a whole file, found one whose ${end} bytes end before byte ${place + size}`,
    );
  }
}
