/** Reads a run's folder: one clean series of steps and validations, whatever kills and resumes lie between. */

import { basename, join } from "node:path";
import { InputError, reason } from "../runtime/mod.ts";
import type {
  CheckpointEvent,
  EndEvent,
  FitEvent,
  IncidentEvent,
  ResumeEvent,
  StepEvent,
  ValidationEvent,
} from "../train/mod.ts";
import { type LogEntry, parseEntry, type StartEntry } from "./entries.ts";

/** A run as its log tells it. */
export interface Run {
  readonly id: string;
  readonly folder: string;
  readonly start: StartEntry;
  /** One a step, in order. */
  readonly steps: readonly StepEvent[];
  readonly validations: readonly ValidationEvent[];
  readonly checkpoints: readonly CheckpointEvent[];
  readonly incidents: readonly IncidentEvent[];
  readonly resumes: readonly ResumeEvent[];
  /** Undefined while it runs, and when it was killed. */
  readonly end: EndEvent | undefined;
  /** When the last line was written, ISO 8601. */
  readonly lastTime: string;
}

/** Reads `FOLDER/log.jsonl`. Throws InputError naming file and line where it is missing or broken. */
export async function readRun(folder: string): Promise<Run> {
  const path = join(folder, "log.jsonl");
  const [start, ...entries] = await readLog(path);
  if (start?.kind !== "start") {
    throw new InputError(`${path}:1: expected the start of a run, found ${start ? `"${start.kind}"` : "an empty log"}`);
  }
  let kept: FitEvent[] = [];
  const resumes: ResumeEvent[] = [];
  for (const entry of entries) {
    if (entry.kind === "start") throw new InputError(`${path}: expected one start, found another`);
    const back = entry.kind === "resume" ? entry : entry.kind === "incident" ? entry.rollback : undefined;
    if (back) kept = kept.filter((event) => isBefore(event, back));
    if (entry.kind === "resume") resumes.push(entry);
    else kept.push(entry);
  }
  const last = kept.at(-1);
  return {
    id: start.id,
    folder,
    start,
    steps: ofKind(kept, "step"),
    validations: ofKind(kept, "validation"),
    checkpoints: ofKind(kept, "checkpoint"),
    incidents: ofKind(kept, "incident"),
    resumes,
    end: last?.kind === "end" && entries.at(-1) === last ? last : undefined,
    lastTime: (entries.at(-1) ?? start).wall.time,
  };
}

/** The lines of a log in the order they were written; half a last line is left out. Throws InputError naming the line. */
export async function readLog(path: string): Promise<LogEntry[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected a log of a run, found ${reason(error)}`, { cause: error });
  }
  const lines = text.split("\n");
  lines.pop(); // "" behind the last line's end, or half a line
  return lines.map((line, index) => {
    const entry = parseEntry(line);
    if (entry) return entry;
    throw new InputError(
      `${path}:${index + 1}: expected an event of a run, found "${line.length > 60 ? line.slice(0, 59) + "…" : line}"`,
    );
  });
}

/** What is the same in two runs with the same settings and seed: each step without what a clock measured. */
export function lossesOf({ steps }: Run): Omit<StepEvent, "wall">[] {
  return steps.map(({ wall: _, ...step }) => step);
}

/**
 * Whether an event is older than the state that training went on from. Rollbacks stay: they are how training came to be
 * where it is, and their place is that of the trouble.
 */
function isBefore(event: FitEvent, { step, epoch }: Pick<ResumeEvent, "step" | "epoch">): boolean {
  if (event.kind === "incident" && event.rollback) return true;
  if (event.kind === "step" || (event.kind === "incident" && OF_STEPS.has(event.what))) return event.step < step;
  if (event.kind === "validation") return event.step <= step && event.epoch < epoch;
  return event.kind !== "end" && event.step <= step;
}

/** Incidents of a step, as against those between two. */
const OF_STEPS: ReadonlySet<IncidentEvent["what"]> = new Set([
  "non-finite step",
  "loss spike",
  "gradient spike",
  "lasting trouble",
]);

function ofKind<Kind extends FitEvent["kind"]>(events: readonly FitEvent[], kind: Kind) {
  return events.filter((event): event is Extract<FitEvent, { kind: Kind }> => event.kind === kind);
}

/** The id of a run from its folder's name, for runs whose log cannot be read. */
export function idOfFolder(folder: string): string {
  return basename(folder);
}
