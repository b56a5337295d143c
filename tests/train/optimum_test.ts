/** A demonstration on data with a known optimum: no loss on fresh data can be below the entropy of the labels' noise. */

import assert from "node:assert/strict";
import {
  batchNormalization,
  conv,
  flatten,
  gemm,
  Graph,
  maxPool,
  relu,
  tensor,
  toNumbers,
  type Value,
} from "../../lib/onnx/mod.ts";
import {
  adamW,
  type Batch,
  compileStep,
  constant,
  crossEntropy,
  kaimingNormal,
  oneCycle,
  Random,
} from "../../lib/train/mod.ts";

/** One label in ten is turned over. */
const NOISE = 0.1;

Deno.test("a small CNN reaches the known optimum of noisy labels: their entropy, 0.325 nats, and 90 % right", async () => {
  const optimum = -(1 - NOISE) * Math.log(1 - NOISE) - NOISE * Math.log(NOISE);
  assert.equal(optimum.toFixed(3), "0.325");
  await using step = await compileStep({
    model: network(),
    loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", ["N"])),
    optimizer: adamW(),
    averageDecay: 0.98,
    threads: 1,
  });
  const steps = 250, rate = oneCycle({ peak: 0.01, steps }), random = Random.seeded("optimum");
  for (let i = 0; i < steps; i++) {
    const { loss } = await step.run(draw(random, 64), { learningRate: rate(i) });
    if (i === 0) assert.ok(Math.abs(loss - Math.log(2)) < 1e-6, `the first loss is log 2, found ${loss}`);
  }
  const n = 4000, fresh = draw(Random.seeded("fresh"), n), labels = toNumbers(fresh.labels!);
  const logits = toNumbers((await step.evaluate({ x: fresh.x! }, { weights: "average" })).logits!);
  let loss = 0, right = 0;
  labels.forEach((label, i) => {
    const margin = logits[2 * i + label]! - logits[2 * i + 1 - label]!;
    loss += Math.log1p(Math.exp(-margin)) / n;
    right += margin > 0 ? 1 / n : 0;
  });
  // Over 4,000 examples the optimum itself has a standard error of √(p (1 − p)) · log((1 − p) / p) / √n = 0.0104.
  assert.ok(Math.abs(loss - optimum) < 0.035, `loss ${loss}, optimum ${optimum}`);
  assert.ok(Math.abs(right - (1 - NOISE)) < 0.02, `${right} right`);
});

/** Does a 10 x 10 picture hold a vertical or a horizontal bar? It stands anywhere, among noise. */
function draw(random: Random, size: number): Batch {
  const x = new Float32Array(size * 100);
  const labels = Array.from({ length: size }, (_, n) => {
    const kind = random.int(2), at = 1 + random.int(8), from = random.int(4);
    for (let i = 0; i < 100; i++) x[n * 100 + i] = random.normal(0, 0.4);
    for (let i = from; i < from + 6; i++) x[n * 100 + (kind === 0 ? i * 10 + at : at * 10 + i)]! += 2;
    return random.chance(NOISE) ? 1 - kind : kind;
  });
  return { x: tensor("float32", [size, 1, 10, 10], x), labels: tensor("int64", [size], labels) };
}

function network(): Graph {
  const graph = new Graph("bars"), random = Random.seeded("bars");
  let x: Value = graph.input("x", "float32", ["N", 1, 10, 10]), width = 1;
  for (const next of [8, 16]) {
    const weight = graph.parameter(`conv${next}`, { shape: [next, width, 3, 3], init: kaimingNormal(random) });
    const vector = (name: string, value: number) =>
      graph.parameter(`norm${next}.${name}`, { shape: [next], init: constant(value) });
    const norm = [vector("scale", 1), vector("bias", 0), vector("mean", 0), vector("variance", 1)] as const;
    x = relu(batchNormalization(conv(x, weight, { pads: 1 }), ...norm));
    width = next;
  }
  const head = graph.parameter("head", { shape: [width, 2], init: constant(0) });
  graph.output(gemm(flatten(maxPool(x, 10)), head), "logits");
  return graph;
}
