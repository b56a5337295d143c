/** `trials.jsonl` and `graphs/`: the trainings of a study that are done, each by the hash of all that decides it. */

import { join } from "node:path";
import { z } from "zod";
import { type Graph, toFile } from "../../onnx/mod.ts";
import { exists, InputError, LineFile } from "../../runtime/mod.ts";

const entrySchema = z.strictObject({
  /** `trainingHash`. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Learned numbers. */
  parameters: z.int().min(0),
  validation: z.strictObject({ top1: z.number(), top5: z.number(), nll: z.number() }),
  seconds: z.number().min(0),
});

/** A line of the log. */
export type TrialEntry = z.output<typeof entrySchema>;

/** The log; a training counts as done when its line and its graph are there. */
export class TrialLog implements Disposable {
  readonly #folder: string;
  readonly #entries: Map<string, TrialEntry>;
  readonly #lines: LineFile;

  private constructor(folder: string, entries: Map<string, TrialEntry>, lines: LineFile) {
    this.#folder = folder;
    this.#entries = entries;
    this.#lines = lines;
  }

  /** Opens the log of a folder, which is made. Throws InputError for a line that is none, naming file and line. */
  static async open(folder: string): Promise<TrialLog> {
    await Deno.mkdir(join(folder, "graphs"), { recursive: true });
    const path = join(folder, "trials.jsonl"), entries = new Map<string, TrialEntry>();
    const text = await exists(path) ? await Deno.readTextFile(path) : "";
    for (const [index, line] of text.split("\n").slice(0, -1).entries()) { // without half a last line
      const entry = parsed(line, `${path}:${index + 1}`);
      entries.set(entry.hash, entry);
    }
    return new TrialLog(folder, entries, new LineFile(path));
  }

  /** Where the trained graph of a hash lies. */
  graphPath(hash: string): string {
    return join(this.#folder, "graphs", `${hash.slice(0, 16)}.onnx`);
  }

  /** A training that is done; undefined: not yet. */
  async find(hash: string): Promise<TrialEntry | undefined> {
    const entry = this.#entries.get(hash);
    return entry && await exists(this.graphPath(hash)) ? entry : undefined;
  }

  /** Writes the graph, then the line. */
  async append(entry: TrialEntry, graph: Graph): Promise<void> {
    await toFile(graph, this.graphPath(entry.hash));
    this.#lines.append(JSON.stringify(entry));
    this.#entries.set(entry.hash, entry);
  }

  [Symbol.dispose](): void {
    this.#lines[Symbol.dispose]();
  }
}

function parsed(line: string, place: string): TrialEntry {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new InputError(`${place}: expected a training's line, found "${line.slice(0, 40)}"`, { cause });
  }
  const result = entrySchema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new InputError(`${place}: ${path.join(".") || "the line"}: expected a training's line, found: ${message}`);
}
