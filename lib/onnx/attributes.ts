/** Attributes of nodes: typed values, and how plain JavaScript values become them. */

import type { Tensor } from "../runtime/mod.ts";
import type { GraphProto } from "./proto/onnx_pb.ts";
import { OnnxError } from "./errors.ts";

/** What an attribute of each kind holds. A sub-graph (of If, Loop, Scan) is kept as the file has it. */
export interface AttributeValues {
  float: number;
  int: number;
  string: string;
  tensor: Tensor;
  graph: GraphProto;
  floats: readonly number[];
  ints: readonly number[];
  strings: readonly string[];
  tensors: readonly Tensor[];
  graphs: readonly GraphProto[];
}

/** The kind of an attribute. */
export type AttributeKind = keyof AttributeValues;

/** A typed attribute. */
export type Attribute = { [Kind in AttributeKind]: { readonly kind: Kind; readonly value: AttributeValues[Kind] } }[
  AttributeKind
];

/**
 * What a caller may write for an attribute. The operator's own definition decides between int and float; for an operator
 * that this library does not know, a whole number is an int and any other a float (write an `Attribute` to be exact).
 */
export type PlainAttribute =
  | number
  | string
  | boolean
  | readonly number[]
  | readonly string[]
  | Tensor
  | Attribute
  | undefined;

/** Turns a caller's value into an attribute of the kind asked for (guessed when undefined). */
export function toAttribute(
  value: Exclude<PlainAttribute, undefined>,
  kind: AttributeKind | undefined,
  place: string,
): Attribute {
  if (isAttribute(value)) {
    if (kind !== undefined && kind !== value.kind) throw wrongKind(place, kind, value.kind);
    return value;
  }
  const found = guessKind(value);
  if (kind === undefined || kind === found) return checked({ kind: found, value: plain(value) } as Attribute, place);
  const empty = Array.isArray(value) && value.length === 0;
  const widens = (kind === "float" && found === "int") || (kind === "floats" && found === "ints");
  if (widens || (empty && (kind === "floats" || kind === "strings"))) {
    return checked({ kind, value: plain(value) } as Attribute, place);
  }
  throw wrongKind(place, kind, found);
}

/** A short text of an attribute, for messages and inspection. */
export function formatAttribute({ kind, value }: Attribute): string {
  if (kind === "tensor") return `tensor ${value.dtype} [${value.shape.join(", ")}]`;
  if (kind === "graph" || kind === "graphs" || kind === "tensors") return kind;
  if (Array.isArray(value)) return `[${value.join(", ")}]`;
  return String(value);
}

function isAttribute(value: unknown): value is Attribute {
  return typeof value === "object" && value !== null && "kind" in value && "value" in value;
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === "object" && value !== null && "dtype" in value && "data" in value;
}

function guessKind(value: Exclude<PlainAttribute, undefined>): AttributeKind {
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "int";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  if (isTensor(value)) return "tensor";
  const items = value as readonly (number | string)[];
  if (items.length > 0 && items.every((item) => typeof item === "string")) return "strings";
  return items.every(Number.isInteger) ? "ints" : "floats";
}

function plain(value: Exclude<PlainAttribute, undefined>): unknown {
  if (typeof value === "boolean") return Number(value);
  return Array.isArray(value) ? [...value] : value;
}

function checked(attribute: Attribute, place: string): Attribute {
  const { kind, value } = attribute;
  const numbers = kind === "int" ? [value] : kind === "ints" ? value : [];
  for (const number of numbers) {
    if (!Number.isSafeInteger(number)) throw new OnnxError(`${place}: expected a whole number, found ${number}`);
  }
  return attribute;
}

function wrongKind(place: string, expected: AttributeKind, found: AttributeKind): OnnxError {
  return new OnnxError(`${place}: expected an attribute of kind ${expected}, found ${found}`);
}
