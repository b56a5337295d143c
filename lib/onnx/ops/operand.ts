/** What operator functions take, and the inference that elementwise operators share. */

import type { DType } from "../../runtime/mod.ts";
import type { PlainAttribute } from "../attributes.ts";
import { broadcastShapes, type Shape } from "../dims.ts";
import { OnnxError } from "../errors.ts";
import type { Graph } from "../graph.ts";
import type { Node } from "../node.ts";
import { defineOperator, type ShortAttributes, type ValueType } from "../registry.ts";
import type { Value } from "../value.ts";

/** A value, or a number that becomes a scalar constant of the other operand's type. */
export type Operand = Value | number;

/** Every operator function takes a name for its node and its (first) output. */
export interface Named {
  readonly name?: string | undefined;
}

export const FLOATS: readonly DType[] = ["float32", "float64", "float16", "bfloat16"];
export const INTEGERS: readonly DType[] = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"];
export const NUMBERS: readonly DType[] = [...FLOATS, ...INTEGERS];
export const INDICES: readonly DType[] = ["int32", "int64"];

/** Applies an operator with one output. */
export function apply(
  opType: string,
  inputs: readonly (Operand | undefined)[],
  attributes: Readonly<Record<string, PlainAttribute>> = {},
  { name }: Named = {},
): Value {
  const values = operands(opType, inputs);
  return graphOf(opType, values).node(opType, values, attributes, { name, outputs: 1 })[0]!;
}

/** Numbers among the operands as constants of the first value's type. Throws OnnxError when all are numbers. */
export function operands(opType: string, inputs: readonly (Operand | undefined)[]): (Value | undefined)[] {
  const graph = graphOf(opType, inputs);
  const like = inputs.find((input) => typeof input === "object");
  return inputs.map((input) =>
    typeof input === "number" ? graph.constant(input, { dtype: like!.dtype, shape: [] }) : input
  );
}

/** The graph of the first value. Throws OnnxError when there is none. */
export function graphOf(opType: string, inputs: readonly (Operand | undefined)[]): Graph {
  const value = inputs.find((input) => typeof input === "object");
  if (value) return value.graph;
  throw new OnnxError(`${opType}: expected at least one value among its inputs, found numbers only`);
}

/** The shape that inputs broadcast to. Throws OnnxError, naming all, when they do not go together. */
export function broadcastInputs(node: Node, indices = node.inputs.map((_, i) => i)): Shape {
  const present = indices.filter((index) => node.inputs[index]);
  const shape = broadcastShapes(...present.map((index) => node.input(index).shape));
  if (shape) return shape;
  throw node.fail(`expected shapes that broadcast, found ${present.map((i) => node.describe(i)).join(" and ")}`);
}

/** Inference of an operator that keeps shape and type of its first input. */
export function sameAsInput(allowed?: readonly DType[]): (node: Node) => ValueType[] {
  return (node) => [{ dtype: node.dtypeOf(0, allowed), shape: node.input(0).shape }];
}

/** Registers operators of one input that keep its shape and type. */
export function defineUnary(opTypes: readonly string[], allowed: readonly DType[], attributes: ShortAttributes = {}) {
  for (const opType of opTypes) {
    defineOperator(opType, { inputs: ["x"], attributes, infer: sameAsInput(allowed) });
  }
}

/** Inference of a broadcasting operator on inputs of one type. */
export function broadcasting(allowed: readonly DType[], result?: DType): (node: Node) => ValueType[] {
  return (node) => {
    node.dtypeOf(0, allowed);
    const dtype = node.sameDType(...node.inputs.map((_, i) => i));
    return [{ dtype: result ?? dtype, shape: broadcastInputs(node) }];
  };
}
