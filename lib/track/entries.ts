/** The lines of a run's log: what each holds, and how it is written and read. */

import { z } from "zod";
import { type FitEvent, guardIncidentSchema } from "../train/mod.ts";

/** JSON has no NaN and no infinity: they are written as texts. */
const number = z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"]).transform(Number)]);
const figures = z.record(z.string(), number);
const count = z.int().min(0);
const wall = z.object({ time: z.string() });
const timed = wall.extend({ seconds: z.number() });
const place = { step: count, epoch: count };
const { shape: incident } = guardIncidentSchema;

const start = z.object({
  kind: z.literal("start"),
  id: z.string(),
  name: z.string(),
  config: z.unknown(),
  environment: z.record(z.string(), z.unknown()),
  wall,
});

const entry = z.discriminatedUnion("kind", [
  start,
  z.object({
    kind: z.literal("step"),
    ...place,
    loss: number,
    metrics: figures,
    learningRate: number,
    gradientNorm: number,
    finite: z.boolean(),
    skipped: z.literal(true).exactOptional(),
    images: count,
    wall: wall.extend({ imagesPerSecond: z.number() }),
  }),
  z.object({ kind: z.literal("validation"), ...place, figures, best: z.boolean(), wall: timed }),
  z.object({
    kind: z.literal("checkpoint"),
    ...place,
    stepInEpoch: count,
    file: z.string(),
    why: z.enum(["start", "epochs", "steps", "minutes", "best", "rollback", "end"]),
    best: z.boolean(),
    wall: timed,
  }),
  z.object({
    kind: z.literal("incident"),
    ...place,
    what: z.union([z.literal("warning"), incident.what]),
    cause: z.string(),
    evidence: incident.evidence.exactOptional(),
    response: incident.response.exactOptional(),
    rollback: incident.rollback,
    wall,
  }),
  z.object({
    kind: z.literal("resume"),
    ...place,
    stepInEpoch: count,
    file: z.string(),
    from: z.string(),
    wall,
  }),
  z.object({
    kind: z.literal("end"),
    ...place,
    reason: z.enum(["finished", "early stop", "step budget", "time budget", "interrupted", "guard", "failed"]),
    problem: z.string().exactOptional(),
    images: count,
    wall: timed,
  }),
]);

/** The first line of a log: settings as resolved, and the environment. */
export type StartEntry = z.output<typeof start>;

/** A line of the log. */
export type LogEntry = StartEntry | FitEvent;

/** One line of JSON, without its end. */
export function entryText(entry: LogEntry): string {
  return JSON.stringify(
    entry,
    (_, value) => typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
  );
}

/** Reads a line; undefined when it is none that a log may hold. */
export function parseEntry(line: string): LogEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const parsed = entry.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}
