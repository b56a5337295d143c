/** For tests only: a small training with validation into which faults are put. */

import { tensor } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import type { Batch } from "../batch.ts";
import type { StepOptions } from "../compile_step.ts";
import type { FitBatch } from "../fit/batches.ts";
import { smallFit } from "../fit/fixture.ts";
import type { FitOptions } from "../fit.ts";
import { cosineRate, type Schedule } from "../schedules.ts";
import { openSmallStep, smallBatch } from "../small_network.ts";

/** Of each training. */
export const EPOCHS = 12, STEPS = 20;

/** What goes wrong. */
export interface Fault {
  /** Changes the batch of a step, counted over all epochs. */
  readonly batch?: (batch: Batch, step: number) => Batch;
  /** Changes the learning rate of a step behind the loop's back. */
  readonly rate?: (rate: number, step: number) => number;
}

/** A training of 12 epochs of 20 steps with 16 pictures each; the figure "top1" is taken of 300 others. */
export async function faultyFit(
  folder: string,
  { batch = (given) => given, rate = (given) => given }: Fault,
  options: Partial<FitOptions> = {},
  stepOptions: Partial<StepOptions> = {},
) {
  await using step = await openSmallStep(stepOptions);
  const base = cosineRate({ peak: 0.05, steps: EPOCHS * STEPS });
  const schedule: Schedule = (index) => rate(base(index), index);
  const heldOut = noisyBatch(-1, 300);
  return await smallFit({
    step,
    epochs: EPOCHS,
    stepsPerEpoch: STEPS,
    async *batches(epoch, from): AsyncGenerator<FitBatch> {
      for (let each = from; each < STEPS; each++) {
        const number = STEPS * epoch + each;
        yield await Promise.resolve({ batch: batch(noisyBatch(number, 16), number), images: 16 });
      }
    },
    schedule,
    validation: {
      monitor: { metric: "top1", mode: "max" },
      async run() {
        const { logits } = await step.evaluate({ x: heldOut.x! });
        const scores = logits!.data as Float32Array, labels = heldOut.labels!.data as BigInt64Array;
        const right = [...labels].filter((label, i) => {
          const row = scores.subarray(3 * i, 3 * i + 3);
          return row.indexOf(Math.max(...row)) === Number(label);
        });
        return { top1: right.length / labels.length };
      },
    },
    checkpoints: { folder, everyEpochs: 1 },
    ...options,
  });
}

/** `smallBatch` with three times the noise, so that the loss does not go to nothing. */
function noisyBatch(number: number, size: number): Batch {
  const { x, labels } = smallBatch(number, size), random = Random.seeded("more noise", number);
  const pixels = Float32Array.from(x!.data as Float32Array, (pixel) => pixel + random.normal(0, 1.5));
  return { x: { dtype: "float32", shape: x!.shape, data: pixels }, labels: labels! };
}

/** The last validation's figure. */
export function quality({ metrics }: { readonly metrics: Readonly<Record<string, number>> }): number {
  return metrics["top1"]!;
}

/** Labels drawn at random. */
export function shuffledLabels(batch: Batch, step: number): Batch {
  const random = Random.seeded("noise", step), { shape } = batch["labels"]!;
  return { ...batch, labels: tensor("int64", shape, Array.from({ length: shape[0]! }, () => random.int(3))) };
}

/** Pictures with one element that is NaN. */
export function withNaN(batch: Batch): Batch {
  const { dtype, shape, data } = batch["x"]!;
  const pixels = Float32Array.from(data as Float32Array);
  pixels[17] = NaN;
  return { ...batch, x: { dtype, shape, data: pixels } };
}

/** Whether a step is from the first up to, not with, the second. */
export function within(from: number, until: number): (step: number) => boolean {
  return (step) => from <= step && step < until;
}

/** A learning rate so many times too high. */
export function fast(from: number, until: number, times = 100): Fault {
  return { rate: (rate, step) => within(from, until)(step) ? times * rate : rate };
}
