/** Reductions, matrix products, and what is made of them. */

import type { Tensor } from "@tensorflow/tfjs";
import { broadcastShapes, einsumTerms } from "../../../onnx/mod.ts";
import type { TensorFlow } from "../backend.ts";
import { defineTensorFlow, type OperatorContext, type TensorFlowOperator } from "../operator.ts";
import { broadcast, onLastAxis } from "../shapes.ts";

type Reduce = (tf: TensorFlow, x: Tensor, axes: number[], keep: boolean) => Tensor;

const reduction = (reduce: Reduce): TensorFlowOperator => (context) => {
  const { tf, node } = context, x = context.input(0);
  const given = node.opType === "ReduceSum" ? context.numbers(1) ?? [] : node.ints("axes", []);
  if (given.length === 0 && node.opType === "ReduceSum" && node.int("noop_with_empty_axes", 0) === 1) return x;
  const axes = given.length === 0 ? x.shape.map((_, i) => i) : given.map((axis) => node.axis(axis, x.rank));
  const keep = node.int("keepdims", 1) === 1;
  if (axes.length === 0) return reduce(tf, tf.reshape(x, [1]), [0], false);
  return reduce(tf, x, axes, keep);
};

const place = (find: (tf: TensorFlow, x: Tensor, axis: number) => Tensor): TensorFlowOperator => (context) => {
  const { tf, node } = context, x = context.input(0), axis = context.axis();
  if (node.int("select_last_index", 0) === 1) throw context.lacks("select_last_index 1");
  const found = find(tf, x, axis);
  return node.int("keepdims", 1) === 1 ? tf.expandDims(found, axis) : found;
};

defineTensorFlow({
  ReduceSum: reduction((tf, x, axes, keep) => tf.sum(x, axes, keep)),
  ReduceMean: reduction((tf, x, axes, keep) => tf.mean(x, axes, keep)),
  ReduceMax: reduction((tf, x, axes, keep) => tf.max(x, axes, keep)),
  ReduceMin: reduction((tf, x, axes, keep) => tf.min(x, axes, keep)),
  ReduceProd: reduction((tf, x, axes, keep) => tf.prod(x, axes, keep)),
  ReduceL1: reduction((tf, x, axes, keep) => tf.sum(tf.abs(x), axes, keep)),
  ReduceL2: reduction((tf, x, axes, keep) => tf.sqrt(tf.sum(tf.square(x), axes, keep))),
  ReduceSumSquare: reduction((tf, x, axes, keep) => tf.sum(tf.square(x), axes, keep)),
  ReduceLogSum: reduction((tf, x, axes, keep) => tf.log(tf.sum(x, axes, keep))),
  ReduceLogSumExp: reduction((tf, x, axes, keep) => tf.logSumExp(x, axes, keep)),
  ArgMax: place((tf, x, axis) => tf.argMax(x, axis)),
  ArgMin: place((tf, x, axis) => tf.argMin(x, axis)),
  // TensorFlow.js's gradient of cumsum is right for the last axis only.
  CumSum(context) {
    const { tf, node } = context, x = context.input(0), axis = node.axis(context.numbers(1)![0]!, x.rank);
    const exclusive = node.int("exclusive") === 1, reverse = node.int("reverse") === 1;
    return onLastAxis(tf, x, axis, (moved) => tf.cumsum(moved, moved.rank - 1, exclusive, reverse));
  },
  MatMul: matMul,
  Gemm(context) {
    const { tf, node } = context;
    const product = tf.matMul(context.input(0), context.input(1), node.int("transA") === 1, node.int("transB") === 1);
    const alpha = node.float("alpha"), beta = node.float("beta"), bias = context.inputs[2];
    const scaled = alpha === 1 ? product : tf.mul(product, alpha);
    return bias ? tf.add(scaled, beta === 1 ? bias : tf.mul(bias, beta)) : scaled;
  },
  Einsum: einsum,
});

function matMul(context: OperatorContext): Tensor {
  const { tf } = context;
  const [left, right] = [context.input(0), context.input(1)];
  const a = left.rank === 1 ? tf.expandDims(left, 0) : left, b = right.rank === 1 ? tf.expandDims(right, 1) : right;
  const rows = a.shape.at(-2)!, inner = a.shape.at(-1)!, columns = b.shape.at(-1)!;
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2)) as number[] | undefined;
  if (!batch) throw context.node.fail(`expected batches that broadcast, found [${a.shape}] and [${b.shape}]`);
  const product = b.rank === 2
    ? tf.matMul(tf.reshape(a, [-1, inner]), b)
    : tf.matMul(broadcast(tf, a, [...batch, rows, inner]), broadcast(tf, b, [...batch, inner, columns]));
  return tf.reshape(product, [...batch, ...(left.rank === 1 ? [] : [rows]), ...(right.rank === 1 ? [] : [columns])]);
}

/** One or two terms, as a matrix product: tf.einsum has no gradient. */
function einsum(context: OperatorContext): Tensor {
  const { tf, node } = context;
  const { terms, output } = einsumTerms(node);
  if (terms.length > 2) throw context.lacks(`${terms.length} terms`);
  if (terms.some((term) => new Set(term).size < term.length)) throw context.lacks("a letter twice in a term");
  const sizes = new Map(terms.flatMap((term, i) => term.map((letter, at) => [letter, context.input(i).shape[at]!])));
  /** A term in the order of the letters, those that only it has summed away, those it has not as 1. */
  const arranged = (i: number, letters: readonly string[]) => {
    const term = terms[i]!, x = context.input(i);
    const lone = term.flatMap((letter, at) => letters.includes(letter) ? [] : [at]);
    const summed = lone.length > 0 ? tf.sum(x, lone) : x;
    const rest = term.filter((letter) => letters.includes(letter));
    const kept = letters.filter((letter) => rest.includes(letter));
    return tf.transpose(summed, kept.map((letter) => rest.indexOf(letter)));
  };
  if (terms.length === 1) return arranged(0, output);
  const left = terms[0]!, right = terms[1]!;
  const both = left.filter((letter) => right.includes(letter));
  const batch = both.filter((letter) => output.includes(letter)),
    inner = both.filter((letter) => !output.includes(letter));
  const rows = output.filter((letter) => left.includes(letter) && !right.includes(letter));
  const columns = output.filter((letter) => right.includes(letter) && !left.includes(letter));
  const count = (letters: readonly string[]) => letters.reduce((product, letter) => product * sizes.get(letter)!, 1);
  const a = tf.reshape(arranged(0, [...batch, ...rows, ...inner]), [count(batch), count(rows), count(inner)]);
  const b = tf.reshape(arranged(1, [...batch, ...inner, ...columns]), [count(batch), count(inner), count(columns)]);
  const order = [...batch, ...rows, ...columns];
  const product = tf.reshape(tf.matMul(a, b), order.map((letter) => sizes.get(letter)!));
  return tf.transpose(product, output.map((letter) => order.indexOf(letter)));
}
