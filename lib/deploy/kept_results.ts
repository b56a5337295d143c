/** Results of a study in a file of lines, the first of which says what they are of: a study that was stopped goes on. */

import { exists, InputError, LineFile } from "../runtime/mod.ts";

/** Results by name. Without a file they are kept in memory only. */
export class KeptResults<Result> implements Disposable {
  readonly #results: Map<string, Result>;
  readonly #file: LineFile | undefined;

  private constructor(results: Map<string, Result>, file: LineFile | undefined) {
    this.#results = results;
    this.#file = file;
  }

  /**
   * Opens the file, which is made where there is none. `of` stands for all that decides the results. Throws InputError where the file is
   * of something else, with `what` in its words, or is no such file.
   */
  static async open<Result>(path: string | undefined, of: string, what: string): Promise<KeptResults<Result>> {
    if (path === undefined) return new KeptResults(new Map<string, Result>(), undefined);
    const isNew = !(await exists(path));
    const file = new LineFile(path); // cuts half a last line off
    try {
      const [head, ...lines] = isNew ? [] : (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "");
      if (head === undefined) {
        file.append(JSON.stringify({ of }));
        return new KeptResults(new Map<string, Result>(), file);
      }
      if (JSON.parse(head).of !== of) throw new InputError(`${path}: expected ${what}, found others'`);
      const kept = lines.map((line) => JSON.parse(line) as { name: string; score: Result });
      return new KeptResults(new Map(kept.map(({ name, score }) => [name, score])), file);
    } catch (error) {
      file[Symbol.dispose]();
      if (error instanceof SyntaxError) throw new InputError(`${path}: expected lines of JSON, found other text`);
      throw error;
    }
  }

  get(name: string): Result | undefined {
    return this.#results.get(name);
  }

  /** Keeps a result; one that is there already stays. */
  set(name: string, score: Result): void {
    if (this.#results.has(name)) return;
    this.#results.set(name, score);
    this.#file?.append(JSON.stringify({ name, score }));
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
  }
}
