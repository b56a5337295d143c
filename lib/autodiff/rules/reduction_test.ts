/** The gradients of reductions against central differences in double precision. */

import assert from "node:assert/strict";
import {
  cumSum,
  lpNormalization,
  reduceL1,
  reduceL2,
  reduceLogSum,
  reduceLogSumExp,
  reduceMax,
  reduceMean,
  reduceMin,
  reduceProd,
  reduceSum,
  reduceSumSquare,
  topK,
} from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { type CheckedInput, checkGradients, compileCase, randomShape } from "../gradient_check.ts";

/** Each reduction with elements that stay clear of its kinks and poles. */
const REDUCTIONS = {
  reduceSum: [reduceSum, {}],
  reduceMean: [reduceMean, {}],
  reduceMax: [reduceMax, { distinct: true }],
  reduceMin: [reduceMin, { distinct: true }],
  reduceLogSumExp: [reduceLogSumExp, { low: -3, high: 3 }],
  reduceLogSum: [reduceLogSum, { low: 0.5, high: 2 }],
  reduceSumSquare: [reduceSumSquare, {}],
  reduceL2: [reduceL2, { low: 0.2, high: 2 }],
  reduceL1: [reduceL1, { sample: (random: Random) => (random.chance(0.5) ? 1 : -1) * random.uniform(0.1, 2) }],
  reduceProd: [reduceProd, { sample: (random: Random) => random.chance(0.2) ? 0 : random.uniform(-2, 2) }],
} as const;

for (const [name, [reduction, elements]] of Object.entries(REDUCTIONS)) {
  Deno.test(`${name}'s gradient is the central difference over any axes, kept or not`, async () => {
    await checkGradients(18, Random.seeded("reduction", name), (random, i) => {
      const rank = random.int(4) + (i === 0 ? 0 : 1);
      const axes = Array.from({ length: rank }, (_, axis) => axis).filter(() => random.chance(0.5));
      const signed = axes.map((axis) => random.chance(0.3) ? axis - rank : axis);
      const input: CheckedInput = { shape: randomShape(random, rank), ...elements };
      return {
        inputs: { x: input },
        build: ({ x }) => reduction(x!, { ...(axes.length > 0 ? { axes: signed } : {}), keepdims: random.chance(0.5) }),
      };
    });
  });
}

Deno.test("reduceMax shares the gradient among equal elements", async () => {
  const compiled = await compileCase({
    inputs: { x: { shape: [2, 3], data: [5, 1, 5, 2, 2, 2] } },
    build: ({ x }) => reduceMax(x!, { axes: 1 }),
  }, { random: Random.seeded("ties"), weighting: "uniform" });
  assert.deepEqual((await compiled.run()).gradients.x, [0.5, 0, 0.5, 1 / 3, 1 / 3, 1 / 3]);
  await compiled.release();
});

Deno.test("reduceL2 of zeros has gradient 0, not NaN", async () => {
  const compiled = await compileCase({
    inputs: { x: { shape: [2, 2], data: [0, 0, 3, 4] } },
    build: ({ x }) => reduceL2(x!, { axes: 1 }),
  }, { random: Random.seeded("zero norm"), weighting: "uniform" });
  assert.deepEqual((await compiled.run()).gradients.x, [0, 0, 3 / 5, 4 / 5]);
  await compiled.release();
});

Deno.test("reduceMean over a symbolic batch divides by the size that is fed", async () => {
  await checkGradients(6, Random.seeded("symbolic mean"), (random) => ({
    inputs: { x: { shape: randomShape(random, 3), declared: ["N", "M", "K"] } },
    build: ({ x }) => reduceMean(x!, { axes: [0, 2] }),
  }));
});

Deno.test("cumSum's gradient is the central difference, exclusive or not, in both directions", async () => {
  await checkGradients(12, Random.seeded("cumSum"), (random, i) => {
    const shape = randomShape(random, 1 + random.int(3));
    return {
      inputs: { x: { shape } },
      build: ({ x }) =>
        cumSum(x!, random.int(shape.length), { exclusive: i % 2 === 1, reverse: Math.floor(i / 2) % 2 === 1 }),
    };
  });
});

Deno.test("lpNormalization's gradient is the central difference for both norms on every axis", async () => {
  await checkGradients(12, Random.seeded("lpNormalization"), (random, i) => {
    const shape = randomShape(random, 1 + random.int(3));
    return {
      inputs: { x: { shape, sample: (source) => (source.chance(0.5) ? 1 : -1) * source.uniform(0.2, 2) } },
      build: ({ x }) => lpNormalization(x!, { axis: random.int(shape.length), p: i % 2 === 0 ? 1 : 2 }),
    };
  });
});

Deno.test("topK's gradient is the central difference on the values", async () => {
  await checkGradients(9, Random.seeded("topK"), (random) => {
    const shape = randomShape(random, 2, 2, 5);
    const axis = random.int(2);
    return {
      inputs: { x: { shape, distinct: true } },
      build: ({ x }) => topK(x!, 1 + random.int(shape[axis]!), { axis, largest: random.chance(0.5) }).values,
    };
  });
});
