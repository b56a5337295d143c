/** `sweep.jsonl`: one line a trial that was finished or failed, in the order in which that happened. */

import { join } from "node:path";
import { z } from "zod";
import { exists, InputError, LineFile } from "../../runtime/mod.ts";
import { figuresSchema } from "../card.ts";

const entrySchema = z.strictObject({
  trial: z.int().min(1),
  /** The round of halving, from 0; elsewhere 0. */
  rung: z.int().min(0),
  label: z.string(),
  seed: z.int(),
  status: z.enum(["done", "failed"]),
  /** The budget. */
  epochs: z.int().min(1),
  /** Why it failed, in one line. */
  cause: z.string().optional(),
  /** The run's id. */
  run: z.string().optional(),
  validation: figuresSchema.optional(),
  /** One character a picture of validation: 1 where the first guess is right. */
  answers: z.string().regex(/^[01]+$/).optional(),
  /** Tells the pictures and their order: answers with the same can be compared picture by picture. */
  pictures: z.string().optional(),
  /** Of this call. */
  seconds: z.number().min(0),
  /** ISO 8601. */
  time: z.string(),
});

/** A line of the log. */
export type TrialEntry = z.output<typeof entrySchema>;

/** The log of a sweep; of several lines about one trial and round the last one counts. */
export class SweepLog implements Disposable {
  readonly #entries: Map<string, TrialEntry>;
  readonly #lines: LineFile;

  private constructor(entries: Map<string, TrialEntry>, lines: LineFile) {
    this.#entries = entries;
    this.#lines = lines;
  }

  /** Opens the log of a folder. Throws InputError for a line that is none, naming file and line. */
  static async open(folder: string): Promise<SweepLog> {
    const path = join(folder, "sweep.jsonl");
    const entries = new Map<string, TrialEntry>();
    for (const entry of await readEntries(path)) entries.set(key(entry), entry);
    return new SweepLog(entries, new LineFile(path));
  }

  /** What became of a trial in a round; undefined: nothing yet. */
  find(trial: number, rung: number): TrialEntry | undefined {
    return this.#entries.get(key({ trial, rung }));
  }

  get entries(): readonly TrialEntry[] {
    return [...this.#entries.values()];
  }

  append(entry: TrialEntry): void {
    this.#lines.append(JSON.stringify(entry));
    this.#entries.set(key(entry), entry);
  }

  [Symbol.dispose](): void {
    this.#lines[Symbol.dispose]();
  }
}

function key({ trial, rung }: Pick<TrialEntry, "trial" | "rung">): string {
  return `${trial}/${rung}`;
}

async function readEntries(path: string): Promise<TrialEntry[]> {
  if (!(await exists(path))) return [];
  const lines = (await Deno.readTextFile(path)).split("\n").slice(0, -1); // without half a last line
  return lines.map((line, index) => {
    const fail = (found: string, cause?: unknown) =>
      new InputError(`${path}:${index + 1}: expected a trial of a sweep, found ${found}`, { cause });
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw fail(`"${line.slice(0, 60)}"`, error);
    }
    const parsed = entrySchema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw fail(`${parsed.error.issues[0]!.path.join(".")}: ${parsed.error.issues[0]!.message}`);
  });
}
