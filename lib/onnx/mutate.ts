/** Mutants of files: changed bytes, or messages with changed fields. */

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Random } from "../runtime/mod.ts";
import { ModelProtoSchema } from "./proto/onnx_pb.ts";

/** A changed copy: bytes flipped or set to telling values, parts cut, doubled, swapped, or taken from another file. */
export function mutateBytes(source: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  let bytes = source.slice();
  // Weights are most of a file and the least interesting part of it: most places are drawn from where structure is.
  const place = () => {
    const at = random.int(Math.max(1, bytes.length));
    if (random.chance(0.2)) return at;
    for (let i = 0; i < 64; i++) {
      const near = random.int(Math.max(1, bytes.length));
      if (bytes[near]! < 0x20 || (bytes[near]! > 0x60 && bytes[near]! < 0x7b && bytes[near + 1]! < 0x7b)) return near;
    }
    return at;
  };
  for (let rounds = 1 + random.int(4); rounds > 0; rounds--) {
    const at = place();
    const length = 1 + random.int(random.pick([4, 16, 256]));
    switch (random.int(8)) {
      case 0:
        bytes[at] = bytes[at]! ^ (1 << random.int(8));
        break;
      case 1:
        bytes[at] = random.pick([0, 1, 2, 127, 128, 255, random.int(256)]);
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3:
        bytes = join(bytes.subarray(0, at), bytes.subarray(at + length));
        break;
      case 4:
        bytes = join(bytes.subarray(0, at + length), bytes.subarray(at));
        break;
      case 5: { // a length or size becomes huge
        const huge = [0xff, 0xff, 0xff, 0xff, random.pick([0x07, 0x7f, 0x0f])];
        bytes = join(bytes.subarray(0, at), Uint8Array.from(huge), bytes.subarray(at + random.int(2)));
        break;
      }
      case 6: {
        const from = random.int(other.length);
        bytes = join(bytes.subarray(0, at), other.subarray(from, from + length), bytes.subarray(at + length));
        break;
      }
      default: {
        const to = place();
        bytes.copyWithin(to, at, at + length);
      }
    }
  }
  return bytes;
}

/** A place in a message where a value stands. */
interface Slot {
  readonly owner: Record<string | number, unknown>;
  readonly key: string | number;
}

const WHOLE = [-1n, 0n, 1n, 2n, 3n, 17n, 255n, 2n ** 31n, -(2n ** 31n), 2n ** 40n, 2n ** 62n, -(2n ** 63n)];
const SMALL = [-1, 0, 1, 2, 3, 7, 10, 16, 255, 65536, 2 ** 31 - 1];

/** A model whose message is sound but says something else: other names, sizes, types; parts gone, doubled, swapped. */
export function mutateModel(source: Uint8Array, random: Random): Uint8Array {
  const model = fromBinary(ModelProtoSchema, source);
  const slots: Slot[] = [];
  const texts: string[] = [];
  collect(model, slots, texts);
  for (let rounds = 1 + random.int(3); rounds > 0; rounds--) {
    const { owner, key } = random.pick(slots);
    const value = owner[key];
    if (typeof value === "bigint") owner[key] = random.pick(WHOLE);
    else if (typeof value === "number") owner[key] = random.pick(SMALL);
    else if (typeof value === "string") owner[key] = random.chance(0.1) ? "" : random.pick(texts);
    else if (value instanceof Uint8Array) owner[key] = value.slice(random.int(value.length + 1));
    else if (Array.isArray(value) && value.length > 0) changeList(value, random);
  }
  return toBinary(ModelProtoSchema, model);
}

function changeList(list: unknown[], random: Random): void {
  const i = random.int(list.length), j = random.int(list.length);
  switch (random.int(4)) {
    case 0:
      list.splice(i, 1 + random.int(3));
      break;
    case 1:
      list.splice(j, 0, list[i]);
      break;
    case 2:
      [list[i], list[j]] = [list[j], list[i]];
      break;
    default:
      list.push(...list.slice(i, i + 64));
  }
}

/** All places of a message, in order; lists themselves too. */
function collect(message: object, slots: Slot[], texts: string[]): void {
  const owner = message as Record<string | number, unknown>;
  for (const key of Object.keys(owner)) {
    const value = owner[key];
    if (key.startsWith("$") || key === "case" || typeof value === "undefined") continue;
    slots.push({ owner, key });
    if (typeof value === "string") texts.push(value);
    else if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
      collect(value, slots, texts);
    }
  }
}

function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
