/** The gradients of normalisations against central differences in double precision, and of their float32 forms. */

import assert from "node:assert/strict";
import {
  batchNormalization,
  batchNormalizationTraining,
  instanceNormalization,
  layerNormalization,
} from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { checkGradients, type GradientCase } from "../gradient_check.ts";

const SINGLE = { step: 3e-3, tolerance: 5e-3 } as const; // rounding of float32 over the step, and the step's own h²

function channels(random: Random): { x: number[]; c: number } {
  const c = 1 + random.int(3);
  const spatial = Array.from({ length: random.int(4) }, () => 1 + random.int(3));
  return { x: [3 + random.int(3), c, ...spatial], c };
}

function trainingCase(random: Random, i: number, dtype: "float32" | "float64"): GradientCase {
  const { x, c } = channels(random);
  const momentum = i % 2 ? 0 : 0.7;
  return {
    dtype,
    ...(i % 4 === 2 ? { device: "webgpu" as const } : {}),
    inputs: {
      x: { shape: x },
      scale: { shape: [c] },
      bias: { shape: [c] },
      mean: { shape: [c] },
      variance: { shape: [c], low: 0.5, high: 2 },
    },
    build: ({ x, scale, bias, mean, variance }) => {
      const result = batchNormalizationTraining(x!, scale!, bias!, mean!, variance!, { momentum, epsilon: 0.1 });
      return i % 3 === 0 ? [result.y, result.runningMean, result.runningVariance] : result.y;
    },
  };
}

Deno.test("batch normalisation's training gradients are the central differences, running statistics included", async () => {
  await checkGradients(24, Random.seeded("bn64"), (random, i) => trainingCase(random, i, "float64"), {
    tolerance: 1e-5,
  });
});

Deno.test("batch normalisation's training gradients hold in single precision", async () => {
  await checkGradients(12, Random.seeded("bn32"), (random, i) => trainingCase(random, i, "float32"), SINGLE);
});

Deno.test("batch normalisation with given statistics has the central differences as its gradients", async () => {
  await checkGradients(18, Random.seeded("bn given"), (random) => {
    const { x, c } = channels(random);
    return {
      inputs: {
        x: { shape: x },
        scale: { shape: [c] },
        bias: { shape: [c] },
        mean: { shape: [c] },
        variance: { shape: [c], low: 0.5, high: 2 },
      },
      build: ({ x, scale, bias, mean, variance }) => batchNormalization(x!, scale!, bias!, mean!, variance!),
    };
  });
});

for (const dtype of ["float64", "float32"] as const) {
  Deno.test(`layer normalisation's gradients are the central differences, axis and broadcast scale, ${dtype}`, async () => {
    await checkGradients(18, Random.seeded("ln", dtype), (random) => {
      const shape = Array.from({ length: 2 + random.int(3) }, () => 2 + random.int(3));
      const axis = random.int(shape.length);
      const tail = shape.slice(axis);
      return {
        dtype,
        inputs: {
          x: { shape },
          scale: { shape: tail },
          ...(random.chance(0.6) ? { bias: { shape: tail } } : {}),
        },
        build: ({ x, scale, bias }) => layerNormalization(x!, scale!, bias, { axis, epsilon: 0.1 }),
      };
    }, dtype === "float32" ? SINGLE : { tolerance: 1e-5 });
  });
}

Deno.test("instance normalisation's gradients are the central differences", async () => {
  await checkGradients(15, Random.seeded("in"), (random) => {
    const c = 1 + random.int(3);
    const spatial = Array.from({ length: 1 + random.int(3) }, () => 2 + random.int(3));
    return {
      dtype: "float32",
      inputs: { x: { shape: [1 + random.int(3), c, ...spatial] }, scale: { shape: [c] }, bias: { shape: [c] } },
      build: ({ x, scale, bias }) => instanceNormalization(x!, scale!, bias!, { epsilon: 0.1 }),
    };
  }, SINGLE);
});

Deno.test("the statistics of a batch normalisation with momentum 0 are read, not computed again", async () => {
  const { Graph } = await import("../../onnx/mod.ts");
  const { gradients } = await import("../mod.ts");
  const count = (momentum: number) => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [2, 3, 4, 4]);
    const one = (name: string) => graph.parameter(name, { shape: [3], init: () => [1, 1, 1] });
    const scale = one("scale");
    const { y } = batchNormalizationTraining(x, scale, one("bias"), one("mean"), one("variance"), { momentum });
    gradients(graph.node("ReduceSum", [graph.node("Mul", [y, y])[0]], { keepdims: 0 })[0]!, [scale]);
    return graph.nodes.filter((node) => node.opType === "BatchNormalization" && node.int("training_mode") === 1).length;
  };
  assert.deepEqual([count(0), count(0.9)], [1, 2]);
});
