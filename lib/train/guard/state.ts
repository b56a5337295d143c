/** What the guard knows: kept in each checkpoint, so that training which goes on from it finds and does the same. */

import { z } from "zod";

const count = z.int().min(0);
/** JSON has no NaN and no infinity. */
const number = z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"]).transform(Number)]);

/** What was found and done; the log's line has the same. */
export const guardIncidentSchema = z.object({
  what: z.enum([
    "non-finite step",
    "loss spike",
    "gradient spike",
    "lasting trouble",
    "validation fall",
    "average distance",
  ]),
  step: count,
  epoch: count,
  cause: z.string(),
  evidence: z.object({ found: number, lowest: number.exactOptional(), highest: number.exactOptional() }),
  response: z.enum(["log", "skip", "rollback", "stop"]),
  rollback: z.object({
    file: z.string(),
    step: count,
    epoch: count,
    stepInEpoch: count,
    rateFactor: z.number(),
    passes: z.tuple([count, count]).exactOptional(),
  }).exactOptional(),
});

const schema = z.object({
  /** Of the schedule's learning rate. */
  rateFactor: z.number().positive(),
  rollbacks: count,
  /** Steps in a row that were not applied, and the first of them. */
  row: z.object({ steps: count, from: count }),
  /** Of the last steps that were applied. */
  losses: z.array(z.number()),
  gradientNorms: z.array(z.number()),
  /** ‖average − current‖ / ‖current‖ at the last looks. */
  distances: z.array(z.number()),
  /** The monitored figure of the last validations. */
  figures: z.array(z.number()),
  /** Steps run at the last look between epochs that found nothing. */
  healthy: count,
  /** The steps from the first that may be at fault to where the last rollback was decided, how often in this place, and where it led. */
  trouble: z.object({ from: count, until: count, times: count, target: count }).nullable(),
  /** Pairs: steps from the first up to, not with, the second are worked out and not applied. */
  passes: z.array(z.tuple([count, count])),
  /** Steps that were not applied because of a limit. */
  skipped: count,
  /** The newest findings, those before rollbacks included. */
  incidents: z.array(guardIncidentSchema),
});

/** Of a training that begins. */
const FRESH: GuardState = {
  ...{ rateFactor: 1, rollbacks: 0, row: { steps: 0, from: 0 }, healthy: 0, trouble: null, skipped: 0 },
  passes: [],
  ...{ losses: [], gradientNorms: [], distances: [], figures: [], incidents: [] },
};

/** In checkpoints from before there was a guard it is that of a training that begins. */
export const guardSchema = schema.default(() => freshGuard());

/** See the schema. */
export type GuardState = z.output<typeof schema>;

/** Something that the guard found, and what was done. */
export type GuardIncident = z.output<typeof guardIncidentSchema>;

/** What the guard knows before the first step. */
export function freshGuard(): GuardState {
  return structuredClone(FRESH);
}
