/**
 * A look over the bytes of a model before they are decoded: how deep messages nest and how many objects decoding would
 * make. Decoding turns two bytes into an object of hundreds, so a small hostile file could otherwise take all memory.
 */

import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { OnnxError } from "./errors.ts";

/** What a model may hold at most. The largest published models stay below a tenth of each. */
export const LIMITS = {
  /** Messages inside messages; a model without sub-graphs needs 9. */
  depth: 64,
  /** Messages and texts. */
  objects: 4_000_000,
  /** Integers that are written one by one; large tensors are raw bytes. */
  integers: 32_000_000,
} as const;

/** Throws OnnxError when the bytes are no protobuf message, are truncated, or pass a limit. */
export function scanMessage(type: DescMessage, bytes: Uint8Array, name: string): void {
  new Scanner(bytes, name).message(type, 0, bytes.length, 0);
}

/** Scalars of which each may take a single byte in the file and much more in memory. */
const INTEGERS: readonly ScalarType[] = [
  ScalarType.INT32,
  ScalarType.INT64,
  ScalarType.UINT32,
  ScalarType.UINT64,
  ScalarType.BOOL,
];

const fieldMaps = new WeakMap<DescMessage, ReadonlyMap<number, DescField>>();

function fieldsOf(message: DescMessage): ReadonlyMap<number, DescField> {
  let fields = fieldMaps.get(message);
  if (!fields) fieldMaps.set(message, fields = new Map(message.fields.map((field) => [field.number, field])));
  return fields;
}

class Scanner {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  #at = 0;
  #objects = 0;
  #integers = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#name = name;
  }

  message(type: DescMessage, start: number, end: number, depth: number): void {
    if (depth > LIMITS.depth) throw this.#fail(`messages nested at most ${LIMITS.depth} deep, found more`);
    const fields = fieldsOf(type);
    this.#at = start;
    while (this.#at < end) {
      const tag = this.#varint(end);
      const wire = tag % 8, field = fields.get(Math.floor(tag / 8));
      if (wire === 0) {
        this.#varint(end);
        this.#count(0, 1);
      } else if (wire === 1) this.#skip(8, end);
      else if (wire === 5) this.#skip(4, end);
      else if (wire === 2) this.#delimited(field, end, depth);
      else throw this.#fail(`a field of a known wire type, found type ${wire} at byte ${this.#at}`);
    }
  }

  #delimited(field: DescField | undefined, end: number, depth: number): void {
    const length = this.#varint(end);
    const start = this.#at;
    this.#skip(length, end);
    const message = field?.fieldKind === "message"
      ? field.message
      : field?.fieldKind === "list" && field.listKind === "message"
      ? field.message
      : undefined;
    if (message) {
      this.#count(1, 0);
      this.message(message, start, start + length, depth + 1);
      this.#at = start + length;
    } else if (field?.fieldKind === "list" && field.listKind === "scalar" && INTEGERS.includes(field.scalar)) {
      this.#count(0, length); // packed: at least one byte each
    } else this.#count(1, 0);
  }

  #varint(end: number): number {
    let value = 0, scale = 1;
    for (let i = 0; i < 10; i++) {
      if (this.#at >= end) throw this.#fail(`a whole file, found its end within a number at byte ${this.#at}`);
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw this.#fail(`a number of at most 10 bytes, found a longer one at byte ${this.#at}`);
  }

  #skip(length: number, end: number): void {
    if (length > end - this.#at) {
      throw this.#fail(`a whole file, found ${end - this.#at} of ${length} bytes at byte ${this.#at}`);
    }
    this.#at += length;
  }

  #count(objects: number, integers: number): void {
    this.#objects += objects;
    this.#integers += integers;
    if (this.#objects > LIMITS.objects) throw this.#fail(`at most ${LIMITS.objects} objects, found more`);
    if (this.#integers > LIMITS.integers) throw this.#fail(`at most ${LIMITS.integers} single integers, found more`);
  }

  #fail(expectation: string): OnnxError {
    return new OnnxError(`${this.#name}: expected an ONNX model: ${expectation}`);
  }
}
