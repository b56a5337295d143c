/**
 * Fits a small network, for the tests that kill and interrupt it: `deno run -A tests/train/kill_fit.ts RUNS ID`. Goes on from the
 * newest checkpoint of the run. Prints `step N` after each step; ends with 130 after SIGINT, with a checkpoint. With a third
 * argument "faulty" pictures of some steps hold NaN, and the guard is on.
 */

import {
  batchNormalization,
  conv,
  dropout,
  flatten,
  gemm,
  globalAveragePool,
  Graph,
  relu,
  tensor,
} from "../../lib/onnx/mod.ts";
import { watchInterrupt } from "../../lib/runtime/mod.ts";
import { describeEnvironment, startRun } from "../../lib/track/mod.ts";
import {
  adamW,
  type BatchSource,
  chooseResume,
  compileStep,
  cosineRate,
  crossEntropy,
  fit,
  type FitResult,
  groupBatches,
  kaimingNormal,
  Random,
} from "../../lib/train/mod.ts";

const EPOCHS = 5, STEPS = 50;
/** The first step with NaN, and the first after them. */
const FAULT = [130, 142] as const;

/** Trains to the end or until the signal; `onStep` is called after each step. */
export async function trainRun(
  runs: string,
  id: string,
  { signal, onStep = () => {}, faulty = false }: {
    signal?: AbortSignal;
    onStep?: (step: number) => void | Promise<void>;
    faulty?: boolean;
  } = {},
): Promise<FitResult> {
  await using step = await compileStep({
    model: network(),
    loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", ["N"])),
    optimizer: adamW({ clipNorm: 1 }),
    averageDecay: 0.9,
    accumulate: 2,
    threads: 1,
    worker: false,
  });
  const resume = await chooseResume({ resume: "auto", folder: runs, runId: id, tensors: step.tensors });
  using log = await startRun({
    ...{ folder: runs, id, name: "kill", config: { epochs: EPOCHS, seed: 0 }, resumed: resume !== undefined },
    environment: await describeEnvironment(),
  });
  const heldOut = pictures(Random.seeded("held out"), 30);
  return await fit({
    step,
    epochs: EPOCHS,
    stepsPerEpoch: STEPS,
    batches: groupBatches(faulty ? drawFaulty : draw, 2),
    schedule: cosineRate({ peak: 3e-2, steps: EPOCHS * STEPS }),
    guard: faulty ? {} : undefined,
    validation: {
      monitor: { metric: "top1", mode: "max" },
      async run() {
        const { logits } = await step.evaluate({ x: heldOut.x }, { weights: "average" });
        const scores = logits!.data as Float32Array, labels = heldOut.labels.data as BigInt64Array;
        const right = [...labels].filter((label, i) => {
          const row = scores.subarray(3 * i, 3 * i + 3);
          return row.indexOf(Math.max(...row)) === Number(label);
        });
        return { top1: right.length / labels.length };
      },
    },
    checkpoints: { folder: log.folder, everyEpochs: 2, everySteps: 6, keep: 2 },
    runId: id,
    log,
    ...(resume ? { resume } : {}),
    ...(signal ? { signal } : {}),
    callbacks: [{ onStep: ({ result }) => onStep(result.step) }],
  });
}

/** x [N, 1, 8, 8] → logits [N, 3]. */
function network(): Graph {
  const graph = new Graph("small"), random = Random.seeded("weights");
  const each = (value: number) => tensor("float32", [6], new Array<number>(6).fill(value));
  const normalised = batchNormalization(
    conv(
      graph.input("x", "float32", ["N", 1, 8, 8]),
      graph.parameter("conv", { shape: [6, 1, 3, 3], init: kaimingNormal(random) }),
    ),
    graph.parameter("scale", each(1)),
    graph.parameter("bias", each(0)),
    graph.constant(each(0), { name: "mean" }),
    graph.constant(each(1), { name: "variance" }),
  );
  const head = graph.parameter("head", { shape: [3, 6], init: kaimingNormal(random) });
  const features = dropout(flatten(globalAveragePool(relu(normalised))), { ratio: 0.2 }).y;
  graph.output(gemm(features, head, undefined, { transB: true }), "logits");
  return graph;
}

const draw: BatchSource = async function* (epoch, fromStep) {
  for (let step = fromStep; step < 2 * STEPS; step++) {
    yield { batch: pictures(Random.seeded("batch", epoch, step), 8), images: 8 };
  }
};

const drawFaulty: BatchSource = async function* (epoch, fromStep) {
  let step = STEPS * epoch + fromStep / 2;
  for await (const { batch, images } of draw(epoch, fromStep)) {
    const { x } = batch as ReturnType<typeof pictures>;
    if (step >= FAULT[0] && step < FAULT[1]) (x.data as Float32Array)[5] = NaN;
    yield { batch, images };
    step += 1 / 2;
  }
};

/** Pictures whose class is the direction of their stripes, or none. */
function pictures(random: Random, count: number) {
  const labels = Array.from({ length: count }, () => random.int(3));
  const pixels = labels.flatMap((label) =>
    Array.from({ length: 64 }, (_, i) => {
      const along = [Math.floor(i / 8), i % 8, 0][label]!;
      return (along % 2) * 2 - 1 + random.normal(0, 1.2);
    })
  );
  return { x: tensor("float32", [count, 1, 8, 8], pixels), labels: tensor("int64", [count], labels) };
}

if (import.meta.main) {
  const [runs = "", id = "", how] = Deno.args;
  using interrupt = watchInterrupt();
  const { reason } = await trainRun(runs, id, {
    signal: interrupt.signal,
    faulty: how === "faulty",
    async onStep(step) {
      Deno.stdout.writeSync(new TextEncoder().encode(`step ${step}\n`));
      await new Promise((resolve) => setTimeout(resolve, 2)); // so that it is still at work when the test is slow to kill it
    },
  });
  console.error(reason);
  Deno.exit(interrupt.exitStatus ?? 0);
}
