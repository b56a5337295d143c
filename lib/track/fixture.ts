/** For tests only: runs written as `fit` writes them. */

import { join } from "node:path";
import type { YamlValue } from "../runtime/mod.ts";
import type { StepEvent, ValidationEvent } from "../train/mod.ts";
import type { Environment } from "./environment.ts";
import { createRun, type RunLog } from "./run_log.ts";

export const environment: Environment = {
  ...{ deno: "2.9.6", onnxruntime: "1.30.0", processor: "test", cores: 2, memoryGiB: 4, system: "linux x86_64" },
  ...{ device: "cpu", commit: null },
};

const wall = { time: "2026-11-24T10:00:00.000Z" };

/** One step. */
export function stepEvent(step: number, epoch: number, loss: number, more: Partial<StepEvent> = {}): StepEvent {
  return {
    ...{
      kind: "step",
      step,
      epoch,
      loss,
      metrics: { box: loss / 2 },
      learningRate: 0.1,
      gradientNorm: 1,
      finite: true,
    },
    ...{ images: 8, wall: { ...wall, imagesPerSecond: 100 + Math.random() }, ...more },
  };
}

/** One validation. */
export function validationEvent(step: number, epoch: number, top1: number, best: boolean): ValidationEvent {
  return { kind: "validation", step, epoch, figures: { top1 }, best, wall: { ...wall, seconds: 1 } };
}

/** A run of two epochs of three steps with the losses 6, 5, … 1 times `scale`, finished on `day` of November 2026. */
export async function writeRun(
  folder: string,
  id: string,
  { scale = 1, day = 24, config = { seed: 0 }, end = true }: {
    scale?: number;
    day?: number;
    config?: YamlValue;
    end?: boolean;
  } = {},
): Promise<void> {
  const time = new Date(Date.UTC(2026, 10, day, 10));
  using log: RunLog = await createRun({ folder, id, name: id, config, environment, now: () => time });
  for (let epoch = 0; epoch < 2; epoch++) {
    for (let i = 0; i < 3; i++) log.append(stepEvent(3 * epoch + i, epoch, scale * (6 - 3 * epoch - i)));
    log.append(validationEvent(3 * epoch + 3, epoch, 0.5 + 0.1 * epoch, true));
  }
  if (!end) return;
  const wall = { time: time.toISOString(), seconds: 9 };
  log.append({ kind: "end", step: 6, epoch: 2, reason: "finished", images: 48, wall });
}

/** Gives a run a file that counts as a checkpoint. */
export async function addCheckpoint(folder: string, id: string): Promise<void> {
  await Deno.mkdir(join(folder, id, "checkpoints"), { recursive: true });
  await Deno.writeTextFile(join(folder, id, "checkpoints", "step-000000006.safetensors"), "weights");
}

/** Runs with a folder that is removed afterwards. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_runs_" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
