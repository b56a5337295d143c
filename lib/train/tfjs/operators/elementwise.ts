/** Arithmetic, comparisons, and functions of one element. */

import type { Tensor } from "@tensorflow/tfjs";
import { dtypeOf } from "../../../onnx/mod.ts";
import { stopsGradient } from "../../../autodiff/mod.ts";
import { tensorFlowType } from "../convert.ts";
import { withoutGradient } from "../gradient.ts";
import { defineTensorFlow, type OperatorContext, type TensorFlowOperator } from "../operator.ts";
import { broadcast, broadcastTogether, onLastAxis } from "../shapes.ts";
import type { TensorFlow } from "../backend.ts";

const unary =
  (compute: (tf: TensorFlow, x: Tensor, context: OperatorContext) => Tensor): TensorFlowOperator => (context) =>
    compute(context.tf, context.input(0), context);

const binary =
  (compute: (tf: TensorFlow, a: Tensor, b: Tensor, context: OperatorContext) => Tensor): TensorFlowOperator =>
  (context) => compute(context.tf, context.input(0), context.input(1), context);

/** All inputs in their common shape, two at a time. */
const folded = (compute: (tf: TensorFlow, a: Tensor, b: Tensor) => Tensor): TensorFlowOperator => (context) => {
  const all = broadcastTogether(context, context.inputs.map((_, i) => context.input(i)));
  return all.reduce((a, b) => compute(context.tf, a, b));
};

defineTensorFlow({
  Add: binary((tf, a, b) => tf.add(a, b)),
  Sub: binary((tf, a, b) => tf.sub(a, b)),
  Mul: binary((tf, a, b) => tf.mul(a, b)),
  Div: binary((tf, a, b) => a.dtype === "int32" ? truncatedQuotient(tf, a, b) : tf.div(a, b)),
  Mod: binary((tf, a, b, { node }) =>
    node.int("fmod") === 1 ? tf.sub(a, tf.mul(b, truncated(tf, tf.div(a, b)))) : tf.mod(a, b)
  ),
  Pow: binary((tf, a, b) => tf.pow(a, tf.cast(b, a.dtype))),
  Min: folded((tf, a, b) => tf.minimum(a, b)),
  Max: folded((tf, a, b) => tf.maximum(a, b)),
  Sum: folded((tf, a, b) => tf.add(a, b)),
  Mean: (context) => {
    const all = broadcastTogether(context, context.inputs.map((_, i) => context.input(i)));
    return context.tf.div(all.reduce((a, b) => context.tf.add(a, b)), all.length);
  },
  Equal: binary((tf, a, b) => tf.equal(a, b)),
  Greater: binary((tf, a, b) => tf.greater(a, b)),
  GreaterOrEqual: binary((tf, a, b) => tf.greaterEqual(a, b)),
  Less: binary((tf, a, b) => tf.less(a, b)),
  LessOrEqual: binary((tf, a, b) => tf.lessEqual(a, b)),
  And: binary((tf, a, b) => tf.logicalAnd(a, b)),
  Or: binary((tf, a, b) => tf.logicalOr(a, b)),
  Xor: binary((tf, a, b) => tf.logicalXor(a, b)),
  Not: unary((tf, x) => tf.logicalNot(x)),
  IsNaN: unary((tf, x) => tf.isNaN(x)),
  IsInf: unary((tf, x) => tf.isInf(x)),
  Where: (context) => {
    const [condition, a, b] = broadcastTogether(context, [0, 1, 2].map((i) => context.input(i)));
    return context.tf.where(condition!, a!, b!);
  },
  Clip: (context) => {
    const low = context.numbers(1)?.[0] ?? -Infinity, high = context.numbers(2)?.[0] ?? Infinity;
    return context.tf.clipByValue(context.input(0), low, high);
  },

  Identity: unary((tf, x, { node }) => stopsGradient(node) ? withoutGradient(tf, [x], () => x.clone()) : x),
  Cast: unary((tf, x, { node }) => {
    const to = tensorFlowType(dtypeOf(node.int("to"))!);
    return to === "bool" ? tf.notEqual(x, tf.zerosLike(x)) : tf.cast(x, to);
  }),
  CastLike: (context) => context.tf.cast(context.input(0), context.input(1).dtype),

  Neg: unary((tf, x) => tf.neg(x)),
  Abs: unary((tf, x) => tf.abs(x)),
  Sign: unary((tf, x) => tf.sign(x)),
  Floor: unary((tf, x) => tf.floor(x)),
  Ceil: unary((tf, x) => tf.ceil(x)),
  Round: unary((tf, x) => tf.round(x)),
  Sqrt: unary((tf, x) => tf.sqrt(x)),
  Reciprocal: unary((tf, x) => tf.reciprocal(x)),
  Exp: unary((tf, x) => tf.exp(x)),
  Log: unary((tf, x) => tf.log(x)),
  Erf: unary((tf, x) => tf.erf(x)),
  Sin: unary((tf, x) => tf.sin(x)),
  Cos: unary((tf, x) => tf.cos(x)),
  Tan: unary((tf, x) => tf.tan(x)),
  Asin: unary((tf, x) => tf.asin(x)),
  Acos: unary((tf, x) => tf.acos(x)),
  Atan: unary((tf, x) => tf.atan(x)),
  Sinh: unary((tf, x) => tf.sinh(x)),
  Cosh: unary((tf, x) => tf.cosh(x)),
  Asinh: unary((tf, x) => tf.asinh(x)),
  Acosh: unary((tf, x) => tf.acosh(x)),
  Atanh: unary((tf, x) => tf.atanh(x)),

  Relu: unary((tf, x) => tf.relu(x)),
  LeakyRelu: unary((tf, x, { node }) => tf.leakyRelu(x, node.float("alpha"))),
  PRelu: binary((tf, x, slope) => tf.prelu(x, broadcast(tf, slope, x.shape))),
  Elu: unary((tf, x, { node }) => node.float("alpha") === 1 ? tf.elu(x) : scaledElu(tf, x, node.float("alpha"), 1)),
  Celu: unary((tf, x, { node }) => tf.mul(tf.elu(tf.div(x, node.float("alpha"))), node.float("alpha"))),
  Selu: unary((tf, x, { node }) => scaledElu(tf, x, node.float("alpha"), node.float("gamma"))),
  ThresholdedRelu: unary((tf, x, { node }) => {
    const above = () => tf.cast(tf.greater(x, node.float("alpha")), "float32");
    return tf.mul(x, withoutGradient(tf, [x], above));
  }),
  Sigmoid: unary((tf, x) => tf.sigmoid(x)),
  HardSigmoid: unary((tf, x, { node }) =>
    tf.clipByValue(tf.add(tf.mul(x, node.float("alpha")), node.float("beta")), 0, 1)
  ),
  HardSwish: unary((tf, x) => tf.mul(x, tf.clipByValue(tf.add(tf.div(x, 6), 0.5), 0, 1))),
  Tanh: unary((tf, x) => tf.tanh(x)),
  Softplus: unary((tf, x) => tf.softplus(x)),
  Softsign: unary((tf, x) => tf.div(x, tf.add(tf.abs(x), 1))),
  Mish: unary((tf, x) => tf.mul(x, tf.tanh(tf.softplus(x)))),
  Gelu: unary((tf, x, { node }) => {
    const inner = node.string("approximate") === "tanh"
      ? tf.tanh(tf.mul(tf.add(x, tf.mul(tf.pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI)))
      : tf.erf(tf.mul(x, Math.SQRT1_2));
    return tf.mul(tf.mul(x, 0.5), tf.add(inner, 1));
  }),
  Softmax: (context) => onLastAxis(context.tf, context.input(0), context.axis(), (x) => context.tf.softmax(x)),
  LogSoftmax: (context) => onLastAxis(context.tf, context.input(0), context.axis(), (x) => context.tf.logSoftmax(x)),
});

function scaledElu(tf: TensorFlow, x: Tensor, alpha: number, gamma: number): Tensor {
  return tf.mul(tf.add(tf.relu(x), tf.mul(tf.expm1(tf.neg(tf.relu(tf.neg(x)))), alpha)), gamma);
}

function truncated(tf: TensorFlow, x: Tensor): Tensor {
  return tf.mul(tf.sign(x), tf.floor(tf.abs(x)));
}

function truncatedQuotient(tf: TensorFlow, a: Tensor, b: Tensor): Tensor {
  return tf.mul(tf.mul(tf.sign(a), tf.sign(b)), tf.floorDiv(tf.abs(a), tf.abs(b)));
}
