/** What really runs in int8: counted in the graph that ONNX Runtime made of a model. */

import { join } from "node:path";
import { withSizes } from "../../evaluate/mod.ts";
import {
  fromFile,
  fromModel,
  type Graph,
  isStatic,
  type Node,
  toModel,
  type Value,
  type ValueType,
} from "../../onnx/mod.ts";
import { elementCount, InputError, openSession } from "../../runtime/mod.ts";

/** The nodes of one operator in the graph that runs. */
export interface RunningOperator {
  /** With its domain, e.g. "com.microsoft.QLinearAdd". */
  readonly operator: string;
  /** Whether it computes on whole numbers of 8 bits. */
  readonly isInt8: boolean;
  readonly nodes: number;
  /** Multiply-accumulate steps of one picture. */
  readonly macs: number;
}

/** How much of a model runs in int8. */
export interface Int8Share {
  /** Of the multiply-accumulate steps, 0 … 1. */
  readonly share: number;
  readonly macs: number;
  /** The costliest first. */
  readonly operators: readonly RunningOperator[];
  /** Convolutions and matrix products that still run in float32, by their output. */
  readonly floatLayers: readonly string[];
}

/** Settings of `int8Share`. */
export interface Int8ShareOptions {
  /** Sizes for symbols of the inputs' shapes other than the first dimension, which is 1. */
  readonly sizes?: Readonly<Record<string, number>>;
}

/** Which input holds the second factor of a layer, by operator: its weights. */
const WEIGHTS: Readonly<Record<string, number>> = {
  ...{ Conv: 1, FusedConv: 1, ConvTranspose: 1, Gemm: 1, FusedGemm: 1, MatMul: 1, FusedMatMul: 1 },
  ...{ QLinearConv: 3, QGemm: 3, QLinearMatMul: 3, ConvInteger: 1, MatMulInteger: 1, MatMulIntegerToFloat: 1 },
  DynamicQuantizeMatMul: 1,
};

/** Operators that compute on whole numbers by their definition. */
const INTEGER = /^(QLinear|QGemm$|ConvInteger$|MatMulInteger|DynamicQuantizeMatMul$)/;

/**
 * Opens a model with ONNX Runtime, lets it fuse what it can, and counts the operators of the graph that it would run ("extended":
 * without the memory layouts of the machine, which change no operator's type). Throws InputError for a model that ONNX Runtime
 * refuses, and (EvaluateError) where a size of an input is open.
 */
export async function int8Share(model: Uint8Array, { sizes = {} }: Int8ShareOptions = {}): Promise<Int8Share> {
  const source = withSizes(fromModel(model), { sizes });
  const graph = await optimized(source);
  // ONNX Runtime writes no shapes, but keeps the names of values, or where it puts another type between, those of nodes.
  const byNode = new Map(source.nodes.map((node) => [node.name, node.output().type]));
  const typeOf: TypeOf = (value) =>
    value && (value.type ?? source.values.get(value.name)?.type ?? (value.producer && byNode.get(value.producer.name)));
  const rows = new Map<string, { isInt8: boolean; nodes: number; macs: number }>(), floatLayers: string[] = [];
  for (const node of graph.nodes) {
    const operator = node.domain === "" ? node.opType : `${node.domain}.${node.opType}`;
    const isInt8 = runsInInt8(node, typeOf), macs = macsOf(node, typeOf), key = `${operator} ${isInt8}`;
    if (macs > 0 && !isInt8) floatLayers.push(node.output().name);
    const row = rows.get(key) ?? { isInt8, nodes: 0, macs: 0 };
    row.nodes++;
    row.macs += macs;
    rows.set(key, row);
  }
  const operators = [...rows].map(([key, row]) => ({ operator: key.split(" ")[0]!, ...row }))
    .sort((a, b) => b.macs - a.macs || b.nodes - a.nodes || (a.operator < b.operator ? -1 : 1));
  const sum = (list: readonly RunningOperator[]) => list.reduce((total, each) => total + each.macs, 0);
  const macs = sum(operators);
  return { share: macs > 0 ? sum(operators.filter(({ isInt8 }) => isInt8)) / macs : 0, macs, operators, floatLayers };
}

async function optimized(graph: Graph): Promise<Graph> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_int8_" }), optimizedPath = join(folder, "model.onnx");
  try {
    await using _ = await openSession(toModel(graph), { threads: 1, optimization: "extended", optimizedPath });
    return await fromFile(optimizedPath);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

type TypeOf = (value: Value | undefined) => ValueType | undefined;

/** A node whose data is of 8 bits and that is no change of type. */
function runsInInt8(node: Node, typeOf: TypeOf): boolean {
  if (node.opType === "QuantizeLinear" || node.opType === "DequantizeLinear") return false;
  if (INTEGER.test(node.opType)) return true;
  const [data] = node.inputs, type = typeOf(data);
  if (WEIGHTS[node.opType] !== undefined) return false;
  if (type) return /^u?int8$/.test(type.dtype);
  // Where ONNX Runtime has put its own value between: what made it says its type.
  const producer = data?.producer;
  return producer !== undefined && (producer.opType === "QuantizeLinear" || runsInInt8(producer, typeOf));
}

/** Products of a layer: elements of its result times the weights that one of them takes. */
function macsOf(node: Node, typeOf: TypeOf): number {
  const place = WEIGHTS[node.opType];
  if (place === undefined) return 0;
  const shapeOf = (value: Value) => {
    const shape = typeOf(value)?.shape;
    if (shape && isStatic(shape)) return shape;
    throw new InputError(`int8Share: expected known sizes at ${node}, found ${value}`);
  };
  const weight = shapeOf(node.input(place));
  if (node.opType === "ConvTranspose") return elementCount(shapeOf(node.input(0))) * elementCount(weight.slice(1));
  const result = shapeOf(node.output()), isConv = /Conv/.test(node.opType);
  return elementCount(result) *
    (isConv ? elementCount(weight.slice(1)) : elementCount(weight.slice(-2)) / result.at(-1)!);
}
