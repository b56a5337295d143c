/**
 * The gradients of pooling against central differences. Maxima have kinks where two elements are equal: inputs are drawn at
 * least 0.05 apart, ties have tests of their own. ONNX Runtime has MaxPool in double precision, but
 * neither averages nor Resize; the float32 cases are piecewise linear, so that a large step is exact as long as it turns no two around.
 */

import assert from "node:assert/strict";
import {
  averagePool,
  globalAveragePool,
  globalMaxPool,
  Graph,
  maxPool,
  maxPoolWithIndices,
  maxUnpool,
  mul,
  reduceSum,
  tensor,
  toNumbers,
} from "../../onnx/mod.ts";
import { type Device, Random } from "../../runtime/mod.ts";
import { assertClose, checkGradients, type GradientCase, runGraph } from "../gradient_check.ts";
import { gradients } from "../mod.ts";

const PIECEWISE = { step: 5e-3, tolerance: 2e-3 } as const;
const LINEAR = { step: 0.5, tolerance: 2e-5 } as const;

function poolingCase(random: Random, device?: Device): GradientCase {
  const n = random.pick([1, 2, 2, 3]);
  const kernel = Array.from({ length: n }, () => 1 + random.int(3));
  const strides = kernel.map(() => 1 + random.int(3)), dilations = kernel.map(() => 1 + random.int(2));
  const pads = [...kernel, ...kernel].map((size) => random.int(size)); // ONNX Runtime wants less than the kernel
  const spatial = kernel.map((size, i) => Math.max(2, (size - 1) * dilations[i]! + 1) + random.int(4));
  // A last window that begins behind the input is left out by ONNX Runtime's kernel, but not by its shape inference.
  const whole = kernel.every((size, i) => pads[i + n]! + strides[i]! <= (size - 1) * dilations[i]! + 1);
  const ceilMode = whole && random.chance(0.5);
  return {
    ...(device ? { device, dtype: "float32" } : {}),
    inputs: { x: { shape: [1 + random.int(2), 1 + random.int(2), ...spatial], distinct: true } },
    build: ({ x }) => maxPool(x!, kernel, { strides, dilations, pads, ceilMode }),
  };
}

Deno.test("maxPool's gradient is the central difference: overlap, pads, dilation, ceiling and 1 to 3 dimensions", async () => {
  await checkGradients(40, Random.seeded("maxPool"), (random) => poolingCase(random));
});

Deno.test("the form of maxPool's gradient without indices, for webgpu, is the central difference as well", async () => {
  await checkGradients(40, Random.seeded("maxPool taps"), (random) => poolingCase(random, "webgpu"), PIECEWISE);
});

Deno.test("maxPool's gradient is right where windows tile the map, with an open batch too", async () => {
  await checkGradients(15, Random.seeded("tiles"), (random) => {
    const kernel = [1 + random.int(3), 1 + random.int(3)];
    const sizes = kernel.map((size) => size * (1 + random.int(3)));
    return {
      dtype: "float32",
      inputs: { x: { shape: [2, 3, ...sizes], declared: [random.pick(["N", 2]), 3, ...sizes], distinct: true } },
      build: ({ x }) => maxPool(x!, kernel, { strides: kernel }),
    };
  }, PIECEWISE);
});

async function poolGradient(size: number, kernel: number, strides: number, device: Device, data: number[]) {
  const graph = new Graph();
  const x = graph.input("x", "float32", [1, 1, size, size]);
  const loss = reduceSum(mul(maxPool(x, kernel, { strides }), graph.constant(12)));
  graph.output(gradients(loss, [x], { device })[0]!, "dx");
  const { dx } = await runGraph(graph, { x: tensor("float32", [1, 1, size, size], data) });
  return toNumbers(dx!);
}

Deno.test("equal maxima share the gradient where windows tile; elsewhere the first in row-major order has it all", async () => {
  assertClose(await poolGradient(2, 2, 2, "cpu", [5, 1, 5, 5]), [4, 0, 4, 4], 1e-6);
  assertClose(await poolGradient(3, 2, 2, "cpu", [5, 1, 0, 5, 5, 0, 0, 0, 0]), [12, 0, 0, 0, 0, 0, 0, 0, 0], 1e-6);
  assertClose(await poolGradient(3, 2, 2, "webgpu", [5, 1, 0, 5, 5, 0, 0, 0, 0]), [4, 0, 0, 4, 4, 0, 0, 0, 0], 1e-6);
});

Deno.test("averagePool's gradient is the central difference, padding counted or not", async () => {
  await checkGradients(40, Random.seeded("averagePool"), (random) => {
    const n = random.pick([1, 2, 2, 3]);
    const kernel = Array.from({ length: n }, () => 1 + random.int(3));
    const strides = random.chance(0.3) ? kernel : kernel.map(() => 1 + random.int(3));
    const pads = [...kernel, ...kernel].map((size) => random.chance(0.5) ? 0 : random.int(size));
    const spatial = kernel.map((size) => random.chance(0.3) ? 2 * size : size + random.int(4));
    const countIncludePad = random.chance(0.5);
    return {
      dtype: "float32",
      inputs: { x: { shape: [1 + random.int(2), 1 + random.int(3), ...spatial] } },
      build: ({ x }) =>
        averagePool(x!, kernel, { strides, pads, countIncludePad, ceilMode: !countIncludePad && random.chance(0.3) }),
    };
  }, LINEAR);
});

Deno.test("pooling over whole maps has the central difference as its gradient", async () => {
  await checkGradients(12, Random.seeded("global"), (random, i) => ({
    dtype: "float32",
    inputs: {
      x: {
        shape: [
          2,
          1 + random.int(3),
          ...Array.from({ length: 1 + random.int(3) }, () => 1 + random.int(4)),
        ],
        distinct: true,
      },
    },
    build: ({ x }) => i % 2 ? globalMaxPool(x!) : globalAveragePool(x!),
  }), PIECEWISE);
});

Deno.test("maxUnpool's gradient is what lies at the indices", async () => {
  await checkGradients(9, Random.seeded("maxUnpool"), (random) => {
    const size = 4 + 2 * random.int(2);
    return {
      dtype: "float32",
      inputs: {
        x: { shape: [2, 2, size / 2, size / 2] },
        y: { shape: [2, 2, size, size], differentiate: false, distinct: true },
      },
      build: ({ x, y }) => maxUnpool(x!, maxPoolWithIndices(y!, 2, { strides: 2 })[1], 2, { strides: 2 }),
    };
  }, LINEAR);
});

Deno.test("the gradient of a pooling whose windows tile reads no indices, so that the plain kernel runs", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [1, 2, 4, 4]);
  gradients(reduceSum(maxPool(x, 2, { strides: 2 })), [x]);
  assert.ok(!graph.nodes.some((node) => node.opType === "MaxPool" && node.outputCount > 1));
});
