/**
 * Weights as safetensors: a length, a JSON header with type, shape and place of each tensor, and the bytes of all
 * (huggingface/safetensors, README "Format").
 */

import {
  allocate,
  describeError,
  type DType,
  elementCount,
  elementSize,
  ensureParent,
  reason,
  type Tensor,
  writeAtomic,
} from "../runtime/mod.ts";
import { OnnxError } from "./errors.ts";
import type { Graph } from "./graph.ts";

/** What a file holds. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The free texts of `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What the head of a file tells. */
export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, { readonly dtype: DType; readonly shape: readonly number[] }>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The reference implementation's limit of a header, in bytes. */
const LONGEST_HEADER = 100_000_000;

const METADATA = "__metadata__";

const CODES: Readonly<Record<Exclude<DType, "string">, string>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint64: "U64",
  uint32: "U32",
  uint16: "U16",
  uint8: "U8",
  bool: "BOOL",
};

const DTYPES = new Map(Object.entries(CODES).map(([dtype, code]) => [code, dtype as DType]));

/** The bytes of a safetensors file; tensors stand in the order given. Throws OnnxError for texts and taken names. */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const header = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) header.set(METADATA, metadata);
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    if (dtype === "string") throw new OnnxError(`safetensors: expected numbers for "${name}", found texts`);
    if (name === METADATA || header.has(name)) {
      throw new OnnxError(`safetensors: expected each tensor under its own name, found "${name}" again`);
    }
    const { buffer, byteOffset, byteLength } = data as Float32Array;
    header.set(name, { dtype: CODES[dtype], shape, "data_offsets": [end, end + byteLength] });
    parts.push(new Uint8Array(buffer, byteOffset, byteLength));
    end += byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(fromEntries(header)));
  const padded = Math.ceil(text.length / 8) * 8; // so that the data are aligned
  const result = new Uint8Array(8 + padded + end).fill(0x20, 8, 8 + padded);
  new DataView(result.buffer).setBigUint64(0, BigInt(padded), true);
  result.set(text, 8);
  let at = 8 + padded;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/**
 * Tensors from the bytes of a safetensors file, copied. `name` stands for the file in messages. Throws OnnxError for a
 * header that is too long, no JSON or not of the format, for unknown types, and for places that overlap, leave gaps, or
 * do not hold as many bytes as type and shape say.
 */
export function decodeSafetensors(bytes: Uint8Array, { name: file = "safetensors" } = {}): Safetensors {
  const fail = (expectation: string, found: unknown) =>
    new OnnxError(`${file}: expected ${expectation}, found ${found}`);
  if (bytes.length < 8) throw fail("a safetensors file of at least 8 bytes", bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(LONGEST_HEADER)) throw fail(`a header of at most ${LONGEST_HEADER} bytes`, length);
  if (length > BigInt(bytes.length - 8)) throw fail(`a header of ${length} bytes`, `${bytes.length - 8}`);
  const body = bytes.subarray(8 + Number(length));
  const header = parseHeader(bytes.subarray(8, 8 + Number(length)), fail);
  const { metadata, entries } = layOut(header, body.length, fail);
  const tensors = new Map<string, Tensor>();
  for (const { name, dtype, shape, begin, end } of entries) { // only now is anything allocated
    const data = allocate(dtype, elementCount(shape)) as Uint8Array;
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(body.subarray(begin, end));
    tensors.set(name, { dtype, shape, data });
  }
  return { tensors, metadata };
}

/** Reads a safetensors file. Throws OnnxError when it is missing or wrong. */
export async function readSafetensors(path: string): Promise<Safetensors> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw new OnnxError(`${path}: expected a safetensors file, found ${reason(error)}`, { cause: error });
  }
  return decodeSafetensors(bytes, { name: path });
}

/** Types and shapes of the tensors and the free texts, from the head of a file alone. Throws OnnxError as `readSafetensors` does. */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  const fail = (expectation: string, found: unknown) =>
    new OnnxError(`${path}: expected ${expectation}, found ${found}`);
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    if (size < 8) throw fail("a safetensors file of at least 8 bytes", size);
    const length = new DataView((await readExactly(file, 8)).buffer).getBigUint64(0, true);
    if (length > BigInt(LONGEST_HEADER)) throw fail(`a header of at most ${LONGEST_HEADER} bytes`, length);
    if (length > BigInt(size - 8)) throw fail(`a header of ${length} bytes`, `${size - 8}`);
    const header = parseHeader(await readExactly(file, Number(length)), fail);
    const { metadata, entries } = layOut(header, size - 8 - Number(length), fail);
    return { tensors: new Map(entries.map(({ name, dtype, shape }) => [name, { dtype, shape }])), metadata };
  } catch (error) {
    if (error instanceof OnnxError) throw error;
    throw new OnnxError(`${path}: expected a safetensors file, found ${reason(error)}`, { cause: error });
  }
}

async function readExactly(file: Deno.FsFile, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const read = await file.read(bytes.subarray(at));
    if (read === null) return bytes.subarray(0, at); // it was cut meanwhile: the header's JSON will not parse
    at += read;
  }
  return bytes;
}

/** Writes a safetensors file, whole or not at all. */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const bytes = encodeSafetensors(tensors, metadata);
  await ensureParent(path);
  await writeAtomic(path, bytes);
}

/** A graph's weights by name: the parameters, or with `constants` also the other floating-point initialisers. */
export function exportWeights(graph: Graph, { constants = false }: { constants?: boolean } = {}): Map<string, Tensor> {
  const chosen = graph.initialisers.filter((value) =>
    value.kind === "parameter" || (constants && value.dtype.includes("float"))
  );
  return new Map(chosen.map((value) => [value.name, value.tensor!]));
}

/**
 * Puts weights into a graph's initialisers of the same names. Throws OnnxError, changing nothing, when a type or shape
 * differs, or (unless `partial`) when a parameter is missing or a weight belongs to none.
 */
export function importWeights(
  graph: Graph,
  weights: ReadonlyMap<string, Tensor>,
  { partial = false }: { partial?: boolean } = {},
): { loaded: string[]; missing: string[]; unexpected: string[] } {
  const targets = new Map(graph.initialisers.map((value) => [value.name, value]));
  const missing = graph.parameters.map((value) => value.name).filter((name) => !weights.has(name));
  const unexpected = [...weights.keys()].filter((name) => !targets.has(name));
  const loaded = [...weights.keys()].filter((name) => targets.has(name));
  for (const name of loaded) {
    const value = targets.get(name)!, found = weights.get(name)!;
    if (value.dtype !== found.dtype || String(value.shape) !== String(found.shape)) {
      throw new OnnxError(
        `weights: expected ${value.dtype} [${value.shape.join(", ")}] for "${name}", found ${found.dtype} [${
          found.shape.join(", ")
        }]`,
      );
    }
  }
  if (!partial && missing.length + unexpected.length > 0) {
    const [name] = missing.length > 0 ? missing : unexpected;
    throw new OnnxError(
      `weights: expected the parameters of graph "${graph.name}", found ${missing.length} missing and ${unexpected.length} unknown, the first "${name}"`,
    );
  }
  for (const name of loaded) graph.setTensor(targets.get(name)!, weights.get(name)!);
  return { loaded, missing, unexpected };
}

type Fail = (expectation: string, found: unknown) => OnnxError;

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw fail("a JSON header", describeError(error, 120));
  }
  if (!isRecord(header)) throw fail("a header that is an object", Array.isArray(header) ? "a list" : typeof header);
  return header;
}

/** Where each tensor lies; checks that together they fill the data exactly. */
function layOut(header: Record<string, unknown>, bytes: number, fail: Fail) {
  const metadata = Object.hasOwn(header, METADATA) ? parseMetadata(header[METADATA], fail) : {};
  const entries = Object.entries(header).filter(([name]) => name !== METADATA).map(([name, entry]) => {
    const place = { name, ...parseEntry(name, entry, fail) };
    const { dtype, shape, begin, end } = place, wanted = elementCount(shape) * elementSize(dtype);
    if (end > bytes) throw fail(`"${name}" within the file's ${bytes} bytes of data`, `an end at ${end}`);
    if (end - begin !== wanted) {
      throw fail(`${wanted} bytes for "${name}", ${dtype} [${shape.join(", ")}]`, `${end - begin}`);
    }
    return place;
  });
  let at = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) throw fail(`"${name}" to begin at ${at}, without gap or overlap`, begin);
    at = end;
  }
  if (at !== bytes) throw fail(`${at} bytes of data as the header says`, bytes);
  return { metadata, entries };
}

function parseMetadata(entry: unknown, fail: Fail): Record<string, string> {
  if (!isRecord(entry) || Object.values(entry).some((text) => typeof text !== "string")) {
    throw fail(`texts in ${METADATA}`, "something else");
  }
  return fromEntries(new Map(Object.entries(entry as Record<string, string>)));
}

function parseEntry(name: string, entry: unknown, fail: Fail) {
  const place = JSON.stringify(name.slice(0, 80));
  if (!isRecord(entry)) throw fail(`type, shape and place of ${place}`, typeof entry);
  const { dtype: code, shape, data_offsets: offsets } = entry;
  const dtype = typeof code === "string" ? DTYPES.get(code) : undefined;
  if (!dtype) throw fail(`a type of ${[...DTYPES.keys()].join(", ")} for ${place}`, JSON.stringify(code)?.slice(0, 40));
  if (!isSizes(shape) || !Number.isSafeInteger(elementCount(shape) * elementSize(dtype))) {
    throw fail(`a shape that can be counted for ${place}`, JSON.stringify(shape)?.slice(0, 80));
  }
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw fail(`begin and end of ${place}`, JSON.stringify(offsets)?.slice(0, 80));
  }
  return { dtype, shape, begin: offsets[0]!, end: offsets[1]! };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object without a prototype, so that a tensor named "__proto__" is a name like any other. */
function fromEntries<T>(entries: ReadonlyMap<string, T>): Record<string, T> {
  const result = Object.create(null) as Record<string, T>;
  for (const [name, value] of entries) result[name] = value;
  return result;
}
