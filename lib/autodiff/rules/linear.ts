/** Gradients of matrix products. */

import { type Dim, gemm, matMul, reshape, type Shape, transpose, type Value } from "../../onnx/mod.ts";
import { beforeReshape, composeShape, reshapeTo, sumTo } from "../broadcast.ts";
import { defineRule, type RuleContext } from "../rule.ts";
import { times } from "../simplify.ts";

/**
 * Y = A · B: dA = G · Bᵀ, dB = Aᵀ · G, summed over the batch dimensions along which an operand was broadcast.
 *
 * ONNX Runtime folds a Transpose of the last two axes into the product that reads it (FusedMatMul), and Gemm takes
 * transposed operands as they are, so that no transposed copy is written. Batched activations times a weight of two
 * dimensions are one product over all rows: dA = [rows, n] · Bᵀ, dB = [rows, k]ᵀ · [rows, n].
 */
defineRule("MatMul", (ctx) => {
  const a = ctx.shape(0), b = ctx.shape(1);
  if (a.length === 1 || b.length === 1) return vectorProduct(ctx);
  if (b.length === 2 && a.length > 2) {
    const width = b[1]!;
    const g = rows(typeof width === "number" ? beforeReshape(ctx.gradient) : ctx.gradient, width);
    return [
      ctx.needs[0] ? reshapeTo(gemm(g, ctx.input(1), undefined, { transB: true }), ctx.node.input(0)) : undefined,
      ctx.needs[1] ? gemm(rows(ctx.input(0), a.at(-1)!), g, undefined, { transA: true }) : undefined,
    ];
  }
  return [
    ctx.needs[0] ? productTo(ctx.gradient, ctx.input(1), false, true, a) : undefined,
    ctx.needs[1] ? productTo(ctx.input(0), ctx.gradient, true, false, b) : undefined,
  ];
});

/**
 * Y = α · A' · B' + β · C with A' = Aᵀ when transA, B' = Bᵀ when transB: dA' = α · G · B'ᵀ, dB' = α · A'ᵀ · G, dC = β · G
 * summed to C's shape; each is one Gemm in the order that gives A and B as they are stored.
 */
defineRule("Gemm", (ctx) => {
  const { node } = ctx;
  const alpha = node.float("alpha");
  const transA = node.int("transA") === 1, transB = node.int("transB") === 1;
  const product = (left: Value, right: Value, turnLeft: boolean, turnRight: boolean) =>
    gemm(left, right, undefined, {
      ...(alpha === 1 ? {} : { alpha }),
      ...(turnLeft ? { transA: true } : {}),
      ...(turnRight ? { transB: true } : {}),
    });
  const a = () => ctx.input(0), b = () => ctx.input(1), g = () => ctx.gradient;
  return [
    !ctx.needs[0] ? undefined : transA ? product(b(), g(), transB, true) : product(g(), b(), false, !transB),
    !ctx.needs[1] ? undefined : transB ? product(g(), a(), true, transA) : product(a(), g(), !transA, false),
    ctx.needs[2] ? times(ctx.sumTo(ctx.compactGradient, 2), node.float("beta")) : undefined,
  ];
});

/** The product of two (batches of) matrices, each transposed or not, summed over batch axes to the shape `target`. */
function productTo(left: Value, right: Value, transA: boolean, transB: boolean, target: Shape): Value {
  if (left.rank === 2 && right.rank === 2) {
    return gemm(left, right, undefined, { ...(transA ? { transA } : {}), ...(transB ? { transB } : {}) });
  }
  const result = matMul(transA ? turned(left) : left, transB ? turned(right) : right);
  return sumTo(result, result, target);
}

/** The last two axes exchanged. */
function turned(x: Value): Value {
  const order = x.shape.map((_, i) => i);
  const n = order.length;
  [order[n - 1], order[n - 2]] = [n - 2, n - 1];
  return transpose(x, order);
}

/** Rows of a width, all other axes joined: [rows, width]. */
function rows(x: Value, width: Dim): Value {
  if (x.rank === 2 && x.shape[1] === width) return x;
  return reshape(x, typeof width === "number" ? [-1, width] : composeShape(x, [-1, { axis: x.rank - 1 }]));
}

/** One operand has one axis: taken as [1, k] or [k, 1], as NumPy's matmul does, and as a product of matrices from there. */
function vectorProduct(ctx: RuleContext): (Value | undefined)[] {
  const a = ctx.shape(0), b = ctx.shape(1);
  const y = ctx.node.output();
  const batch = Math.max(a.length, b.length) - 2;
  const gradient = reshape(
    ctx.gradient,
    composeShape(y, [
      ...Array.from({ length: Math.max(0, batch) }, (_, axis) => ({ axis })),
      a.length > 1 ? { axis: y.rank - 1 } : 1,
      b.length > 1 ? { axis: y.rank - 1 } : 1,
    ]),
  );
  const matrix = (index: number, shape: Shape): Shape =>
    shape.length > 1 ? shape : index === 0 ? [1, shape[0]!] : [shape[0]!, 1];
  const read = (index: number, shape: Shape) =>
    shape.length > 1 ? ctx.input(index) : reshape(ctx.input(index), index === 0 ? [1, -1] : [-1, 1]);
  const back = (value: Value, index: number) => reshapeTo(value, ctx.node.input(index));
  return [
    ctx.needs[0] ? back(productTo(gradient, read(1, b), false, true, matrix(0, a)), 0) : undefined,
    ctx.needs[1] ? back(productTo(read(0, a), gradient, true, false, matrix(1, b)), 1) : undefined,
  ];
}
