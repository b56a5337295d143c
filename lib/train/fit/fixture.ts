/** For tests only: a fit of the small network whose validations say what the test wants. */

import type { FitEvent, FitLog } from "./events.ts";
import type { BatchSource } from "./batches.ts";
import { fit, type FitOptions, type FitResult } from "../fit.ts";
import { constantRate } from "../schedules.ts";
import { openSmallStep, smallBatch } from "../small_network.ts";
import type { StepOptions, StepState } from "../compile_step.ts";

/** Four steps an epoch; each batch follows from epoch and step. */
export const smallSource: BatchSource = async function* (epoch, fromStep) {
  for (let step = fromStep; step < 4; step++) yield { batch: smallBatch(100 * epoch + step), images: 6 };
};

/** Validation that returns the next of some values as the figure "top1". */
export function scripted(values: readonly number[]): { run: (place: { epoch: number }) => Promise<{ top1: number }> } {
  return { run: ({ epoch }) => Promise.resolve({ top1: values[epoch]! }) };
}

/** What a fit of the small network left. */
export interface SmallFit extends FitResult {
  readonly events: readonly FitEvent[];
  readonly state: StepState;
}

/** A fit of three epochs of four steps, with what the test sets otherwise. */
export async function smallFit(
  options: Partial<FitOptions> = {},
  stepOptions: Partial<StepOptions> & { dropout?: number } = {},
): Promise<SmallFit> {
  const events: FitEvent[] = [];
  const log: FitLog = { append: (event) => void events.push(event) };
  await using own = options.step ? undefined : await openSmallStep(stepOptions);
  const step = options.step ?? own!;
  const result = await fit({
    step,
    epochs: 3,
    stepsPerEpoch: 4,
    batches: smallSource,
    schedule: constantRate(0.05),
    log,
    ...options,
  });
  return { ...result, events, state: await step.state() };
}

/** Events of one kind. */
export function ofKind<Kind extends FitEvent["kind"]>(events: readonly FitEvent[], kind: Kind) {
  return events.filter((event): event is Extract<FitEvent, { kind: Kind }> => event.kind === kind);
}

/** Runs with a folder that is removed afterwards. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_fit_" });
  try {
    return await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
