/**
 * Trains on a small data set, for the test that kills it: `deno run -A tests/experiment/kill_training.ts DATA RUNS`. Goes on with the
 * newest unfinished run. Prints `step N` after each step.
 */

import { openDataset, trainExperiment, trainingConfigSchema } from "../../lib/experiment/mod.ts";

/** Trains to the end. */
export async function train(dataFolder: string, runsFolder: string, onStep: (step: number) => void | Promise<void>) {
  const config = trainingConfigSchema.parse({
    name: "kill",
    model: { family: "yolov3-tiny", width: 0.01, size: 32 },
    data: { augmentation: "light" },
    loss: { box: "ciou", class: "softmax", maxBoxes: 1 },
    optimizer: { name: "adamw", clipNorm: 10 },
    schedule: { kind: "oneCycle", learningRate: 3e-3 },
    training: {
      ...{ epochs: 6, batch: 4, nominalBatch: 8, averageDecay: 0.8, monitor: "top1" },
      checkpoint: { everyEpochs: 2, everySteps: 4, keep: 2 },
    },
  });
  return await trainExperiment({
    ...{ config, runsFolder, profile: "test", seed: 3, resume: "auto", threads: 1, workers: 1 },
    data: await openDataset({ dataFolder, species: 3 }),
    callbacks: [{ onStep: ({ result }) => onStep(result.step) }],
  });
}

if (import.meta.main) {
  const [dataFolder = "", runsFolder = ""] = Deno.args;
  await train(dataFolder, runsFolder, async (step) => {
    Deno.stdout.writeSync(new TextEncoder().encode(`step ${step}\n`));
    await new Promise((resolve) => setTimeout(resolve, 20)); // so that it is still at work when the test is slow to kill it
  });
}
