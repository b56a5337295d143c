/**
 * Trains a small network with normalisation, dropout and random batches, a checkpoint every 30 steps, for the test that kills it:
 * `deno run -A tests/train/kill_train.ts FOLDER STEPS [KILL]`. Goes on from the newest checkpoint. Prints `loss N X` after
 * each step. With KILL it kills itself with SIGKILL while its worker is at work on that step.
 */

import {
  batchNormalization,
  conv,
  dropout,
  flatten,
  gemm,
  globalAveragePool,
  Graph,
  maxPool,
  relu,
  tensor,
} from "../../lib/onnx/mod.ts";
import { Random, type RandomState } from "../../lib/runtime/mod.ts";
import {
  adamW,
  type Batch,
  checkpointName,
  compileStep,
  cosineRate,
  crossEntropy,
  kaimingNormal,
  latestCheckpoint,
  saveCheckpoint,
} from "../../lib/train/mod.ts";

const [folder = "", steps = "", kill = ""] = Deno.args;

const step = await compileStep({
  model: network(),
  loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", ["N"])),
  optimizer: adamW({ clipNorm: 1 }),
  averageDecay: 0.99,
  threads: 1,
});
const schedule = cosineRate({ peak: 3e-3, steps: 700 });
let random = Random.seeded("kill");
const checkpoint = await latestCheckpoint(folder);
if (checkpoint) {
  await step.load(checkpoint.state);
  random = Random.fromState((checkpoint.progress as { random: RandomState }).random);
}
while (step.step < Number(steps)) {
  const number = step.step;
  if (number % 30 === 0) {
    await saveCheckpoint(`${folder}/${checkpointName(number)}`, {
      state: await step.state(),
      progress: { random: random.state },
    });
  }
  const batch = draw(random);
  const running = step.run(batch, { learningRate: schedule(number) });
  if (kill === String(number)) {
    for (let i = 0; i < 100; i++) await null; // the batch is sent to the worker; its answer cannot have come yet
    Deno.kill(Deno.pid, "SIGKILL");
  }
  const { loss } = await running;
  console.log(`loss ${number} ${loss}`);
}
await step.dispose();

function network(): Graph {
  const graph = new Graph("small"), weights = Random.seeded("weights");
  const x = graph.input("x", "float32", ["N", 1, 8, 8]);
  const w = graph.parameter("conv", { shape: [6, 1, 3, 3], init: kaimingNormal(weights) });
  const each = (value: number) => tensor("float32", [6], new Array<number>(6).fill(value));
  const normalised = batchNormalization(
    conv(x, w, { pads: 1 }),
    graph.parameter("scale", each(1)),
    graph.parameter("bias", each(0)),
    graph.constant(each(0), { name: "mean" }),
    graph.constant(each(1), { name: "variance" }),
  );
  const features = flatten(globalAveragePool(maxPool(relu(normalised), 2, { strides: 2 })));
  const head = graph.parameter("head", { shape: [3, 6], init: kaimingNormal(weights) });
  graph.output(gemm(dropout(features, { ratio: 0.2 }).y, head, undefined, { transB: true }), "logits");
  return graph;
}

/** Pictures whose class is the direction of their stripes, or none. */
function draw(source: Random): Batch {
  const labels = Array.from({ length: 8 }, () => source.int(3));
  const pixels = labels.flatMap((label) =>
    Array.from({ length: 64 }, (_, i) => {
      const along = [Math.floor(i / 8), i % 8, 0][label]!;
      return (along % 2) * 2 - 1 + source.normal(0, 0.7);
    })
  );
  return { x: tensor("float32", [8, 1, 8, 8], pixels), labels: tensor("int64", [8], labels) };
}
