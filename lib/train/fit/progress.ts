/** Where a fit stands: what a checkpoint holds beside the step's state. */

import { z } from "zod";
import { TrainError } from "../errors.ts";
import { guardSchema } from "../guard/state.ts";

const count = z.int().min(0);
/** JSON has no NaN and no infinity. */
const number = z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"]).transform(Number)]);
const figures = z.record(z.string(), number);

const schema = z.object({
  runId: z.string(),
  /** When, ISO 8601; later than that of every checkpoint before it in the folder. */
  savedAt: z.iso.datetime(),
  /** Of the settings, "" where none were given. */
  configHash: z.string(),
  /** `architectureHash` of the state. */
  architecture: z.string(),
  /** The epoch in progress, from 0, and the steps of it that were run. All were run: its validation is still to come. */
  epoch: count,
  stepInEpoch: count,
  stepsPerEpoch: count,
  /** Images trained on. */
  images: count,
  /** Of the finite steps of the epoch in progress. */
  epochLoss: z.object({ sum: z.number(), steps: count }),
  /** The figures of the last validation. */
  metrics: figures,
  /** The best validation so far by the monitored figure. */
  best: z.object({ metric: z.string(), value: z.number(), epoch: count, step: count }).nullable(),
  /** Validations since the best. */
  waited: count,
  guard: guardSchema,
  nonFinite: z.object({ total: count, inRow: count, first: z.string() }),
  /** Time spent in training before, seconds. */
  seconds: z.number().min(0),
  /** The caller's own. */
  custom: z.unknown(),
});

/** See the schema. */
export type FitProgress = z.output<typeof schema>;

/** The best validation so far. */
export type Best = NonNullable<FitProgress["best"]>;

/** Checks what a checkpoint holds; `name` stands for its file. Throws TrainError when it is not a fit's. */
export function parseProgress(value: unknown, name: string): FitProgress {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ...parsed.data, custom: parsed.data.custom ?? null };
  const { path, message } = parsed.error.issues[0]!;
  throw new TrainError(
    `${name}: expected a checkpoint that fit wrote, found one with ${path.join(".") || "its progress"}: ${message}`,
  );
}

/** As JSON can hold it. */
export function plainProgress(progress: FitProgress): unknown {
  const { metrics, guard, ...rest } = progress;
  return { ...rest, metrics: plainNumbers(metrics), guard: plainNumbers(guard) };
}

/** A copy with NaN and infinities as texts. */
function plainNumbers(value: unknown): unknown {
  const text = (_: string, each: unknown) => typeof each === "number" && !Number.isFinite(each) ? String(each) : each;
  return JSON.parse(JSON.stringify(value, text));
}
