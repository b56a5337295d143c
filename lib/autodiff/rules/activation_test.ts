/** The gradients of activations against central differences. */

import assert from "node:assert/strict";
import {
  dropout,
  elu,
  gelu,
  Graph,
  hardSigmoid,
  hardSwish,
  logSoftmax,
  mish,
  mul,
  reduceSum,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  softsign,
  tanh,
  tensor,
  toNumbers,
  type Value,
} from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { type CheckedInput, checkGradients, randomShape, runGraph } from "../gradient_check.ts";
import { gradients } from "../mod.ts";

const AWAY_FROM_ZERO: Partial<CheckedInput> = {
  sample: (random) => (random.chance(0.5) ? 1 : -1) * random.uniform(0.1, 2),
};
/** Clear of −3 and 3, where the hard forms have their kinks (−2.5 and 2.5 for ONNX's own HardSigmoid). */
const CLEAR_OF_KINKS: Partial<CheckedInput> = {
  sample: (random) => random.pick([-5, -2, 0, 2, 5]) + random.uniform(-0.3, 0.3),
};

const ACTIVATIONS: Readonly<Record<string, [(x: Value) => Value, Partial<CheckedInput>, "float32"?]>> = {
  sigmoid: [sigmoid, {}],
  tanh: [tanh, {}],
  softplus: [softplus, {}, "float32"],
  softsign: [softsign, {}, "float32"],
  silu: [silu, {}],
  hardSigmoid: [hardSigmoid, CLEAR_OF_KINKS, "float32"],
  "hardSigmoid of PyTorch": [(x) => hardSigmoid(x, { alpha: 1 / 6 }), CLEAR_OF_KINKS, "float32"],
  hardSwish: [hardSwish, CLEAR_OF_KINKS, "float32"],
  elu: [elu, AWAY_FROM_ZERO, "float32"],
  "elu with alpha 0.3": [(x) => elu(x, { alpha: 0.3 }), AWAY_FROM_ZERO, "float32"],
  selu: [selu, AWAY_FROM_ZERO, "float32"],
  celu: [(x) => x.graph.node("Celu", [x], { alpha: 0.7 })[0]!, AWAY_FROM_ZERO, "float32"],
  gelu: [gelu, {}, "float32"],
  "gelu by tanh": [(x) => gelu(x, { approximate: "tanh" }), {}, "float32"],
  mish: [mish, {}, "float32"],
  thresholdedRelu: [
    (x) => x.graph.node("ThresholdedRelu", [x], { alpha: 0.5 })[0]!,
    { sample: (random) => random.pick([-1, 0, 1, 2]) + random.uniform(-0.3, 0.3) },
    "float32",
  ],
};

for (const [name, [apply, elements, dtype]] of Object.entries(ACTIVATIONS)) {
  Deno.test(`the gradient of ${name} is the central difference`, async () => {
    await checkGradients(6, Random.seeded("activation", name), (random) => ({
      ...(dtype ? { dtype } : {}),
      inputs: { x: { shape: randomShape(random, random.int(4)), ...elements } },
      build: ({ x }) => apply(x!),
    }));
  });
}

for (const [name, apply] of Object.entries({ softmax, logSoftmax })) {
  Deno.test(`the gradient of ${name} is the central difference along every axis`, async () => {
    await checkGradients(18, Random.seeded("softmax", name), (random) => {
      const rank = 1 + random.int(4);
      return {
        inputs: { x: { shape: randomShape(random, rank) } },
        build: ({ x }) => apply(x!, { axis: random.int(2 * rank) - rank }),
      };
    });
  });
}

Deno.test("logSoftmax keeps a finite gradient where softmax underflows", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [1, 3]);
  const [dx] = gradients(reduceSum(mul(logSoftmax(x), graph.constant([1, 0, 0]))), [x]);
  graph.output(dx!, "dx");
  const found = await runGraph(graph, { x: tensor("float32", [1, 3], [-200, 0, -300]) });
  assert.deepEqual(toNumbers(found.dx!), [1, -1, 0]);
});

Deno.test("dropout's gradient is the gradient times its own mask, scaled", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [64]);
  const { y } = dropout(x, { ratio: 0.25, training: true, seed: 1 });
  const [dx] = gradients(reduceSum(mul(y, y)), [x]);
  graph.output(y, "y");
  graph.output(dx!, "dx");
  const ones = tensor("float32", [64], new Array(64).fill(1));
  const found = await runGraph(graph, { x: ones });
  const masked = toNumbers(found.y!);
  assert.ok(masked.includes(0) && masked.some((element) => element !== 0));
  // y = x·m/0.75, so d(y²)/dx = 2 y · m/0.75, which is 2 y² at x = 1.
  toNumbers(found.dx!).forEach((element, i) => assert.ok(Math.abs(element - 2 * masked[i]! ** 2) < 1e-5));
});

Deno.test("dropout without training is the identity", async () => {
  await checkGradients(3, Random.seeded("dropout"), () => ({
    inputs: { x: { shape: [2, 3] } },
    build: ({ x }) => dropout(x!).y,
  }));
});
