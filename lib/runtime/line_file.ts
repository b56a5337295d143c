/** A file of lines that only grows at its end, whole line by whole line, whatever kills the process. */

import { diskError } from "./files.ts";

/**
 * A file of lines that this process writes; only one may at a time (`lockFolder`). A line is with the system before `append`
 * returns, so that a killed process loses none; half a last line, which a kill leaves, is cut off when the file is opened.
 */
export class LineFile implements Disposable {
  readonly path: string;
  readonly #file: Deno.FsFile;
  #end: number;

  /** Opens the file, or makes an empty one. */
  constructor(path: string) {
    this.path = path;
    this.#file = Deno.openSync(path, { write: true, create: true });
    const size = this.#file.statSync().size;
    this.#end = size === 0 ? 0 : Deno.readFileSync(path).lastIndexOf(10) + 1;
    if (size > this.#end) this.#file.truncateSync(this.#end);
    this.#file.seekSync(this.#end, Deno.SeekMode.Start);
  }

  /** Writes a line. Throws WorkError when the disk is full; the file is then as before. */
  append(text: string): void {
    const line = new TextEncoder().encode(`${text}\n`);
    try {
      for (let at = 0; at < line.length;) at += this.#file.writeSync(line.subarray(at));
      this.#end += line.length;
    } catch (error) {
      try {
        this.#file.truncateSync(this.#end);
        this.#file.seekSync(this.#end, Deno.SeekMode.Start);
      } catch {
        // half a line stays, as after a kill: it is cut off when the file is opened again
      }
      throw diskError(error, this.path);
    }
  }

  /** Returns when the disk has all lines. */
  flush(): void {
    this.#file.syncDataSync();
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
