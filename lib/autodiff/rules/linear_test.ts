/** The gradients of matrix products against central differences in double precision. */

import { gemm, matMul } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { broadcastable, checkGradients } from "../gradient_check.ts";

Deno.test("matMul's gradients are the central differences for matrices, batches, broadcast batches and vectors", async () => {
  await checkGradients(45, Random.seeded("matMul"), (random) => {
    const [m, k, n] = [1 + random.int(4), 1 + random.int(4), 1 + random.int(4)];
    const batch = Array.from({ length: random.int(3) }, () => 1 + random.int(3));
    const vector = random.int(4);
    const a = vector === 1 || vector === 3 ? [k] : [...broadcastable(random, batch), m, k];
    const b = vector === 2 || vector === 3 ? [k] : [...broadcastable(random, batch), k, n];
    return { inputs: { a: { shape: a }, b: { shape: b } }, build: ({ a, b }) => matMul(a!, b!) };
  });
});

Deno.test("gemm's gradients are the central differences for all transpositions, factors and shapes of C", async () => {
  await checkGradients(36, Random.seeded("gemm"), (random, i) => {
    const [m, k, n] = [1 + random.int(4), 1 + random.int(4), 1 + random.int(4)];
    const transA = random.chance(0.5), transB = random.chance(0.5);
    const c = random.pick([[], [1], [n], [m, 1], [1, n], [m, n], [1, 1]]);
    return {
      inputs: {
        a: { shape: transA ? [k, m] : [m, k] },
        b: { shape: transB ? [n, k] : [k, n] },
        ...(i % 4 ? { c: { shape: c } } : {}),
      },
      build: ({ a, b, c }) =>
        gemm(a!, b!, c, { transA, transB, alpha: random.pick([1, 0.5]), beta: random.pick([1, -2]) }),
    };
  });
});
