/** The operators this library knows: their inputs, attributes and shape inference, by domain and name. */

import type { DType } from "../runtime/mod.ts";
import type { AttributeKind, AttributeValues } from "./attributes.ts";
import type { Dim, Shape } from "./dims.ts";
import type { Node } from "./node.ts";

/** What is known of a value before anything runs. */
export interface ValueType {
  readonly dtype: DType;
  readonly shape: Shape;
  /**
   * The elements of a small integer, boolean or shape-like tensor as far as they are known: sizes that flow from Shape
   * through Gather, Concat and arithmetic to Reshape stay visible this way. Symbols stand for sizes.
   */
  readonly elements?: readonly Dim[] | undefined;
}

/** An attribute's kind, default, and whether it must be there. */
export interface AttributeSpec<Kind extends AttributeKind = AttributeKind> {
  readonly kind: Kind;
  readonly fallback?: AttributeValues[Kind];
  readonly required?: boolean;
}

/** What the library knows of an operator, in its form of the graph's own opset. */
export interface OperatorSpec {
  readonly opType: string;
  /** "" is ONNX's own domain. */
  readonly domain: string;
  /** Names of the inputs; "?" ends an optional one, "*" a last one that may repeat. */
  readonly inputs: readonly string[];
  /** Names of the outputs, marked the same way. */
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeSpec>>;
  /** The opset in which this form first stood. */
  readonly since: number;
  /** Types and shapes of the outputs; throws OnnxError (`node.fail`) where the inputs do not go together. */
  readonly infer: (node: Node) => readonly ValueType[];
}

/** Attributes in short form: "ints", "int!" (required), or ["float", 0.01] (with its default). */
export type ShortAttributes = Readonly<
  Record<string, AttributeKind | `${AttributeKind}!` | readonly [AttributeKind, AttributeValues[AttributeKind]]>
>;

/** What `defineOperator` takes. */
export interface OperatorDefinition {
  readonly inputs: readonly string[];
  readonly outputs?: readonly string[];
  readonly attributes?: ShortAttributes;
  readonly since?: number;
  readonly domain?: string;
  readonly infer: (node: Node) => readonly ValueType[];
}

const operators = new Map<string, OperatorSpec>();

/** Registers an operator; called once for each at the top of the files in `ops/`. */
export function defineOperator(opType: string, definition: OperatorDefinition): void {
  const attributes: Record<string, AttributeSpec> = {};
  for (const [name, short] of Object.entries(definition.attributes ?? {})) {
    if (typeof short !== "string") attributes[name] = { kind: short[0], fallback: short[1] };
    else if (short.endsWith("!")) attributes[name] = { kind: short.slice(0, -1) as AttributeKind, required: true };
    else attributes[name] = { kind: short as AttributeKind };
  }
  const domain = definition.domain ?? "";
  operators.set(key(domain, opType), {
    opType,
    domain,
    inputs: definition.inputs,
    outputs: definition.outputs ?? ["y"],
    attributes,
    since: definition.since ?? 1,
    infer: definition.infer,
  });
}

/** What is known of an operator, or undefined. "ai.onnx" is the same domain as "". */
export function operatorSpec(opType: string, domain = ""): OperatorSpec | undefined {
  return operators.get(key(domain, opType));
}

/** The names of all operators known in ONNX's own domain, sorted. */
export function knownOperators(): string[] {
  return [...operators.values()].filter((spec) => spec.domain === "").map((spec) => spec.opType).sort();
}

function key(domain: string, opType: string): string {
  return `${domain === "ai.onnx" ? "" : domain}:${opType}`;
}
