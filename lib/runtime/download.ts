/** Downloads that can be broken off: resumed by HTTP ranges, checked, and there whole or not at all. */

import { describeError, InputError, WorkError } from "./errors.ts";
import { diskError, ensureParent, exists, sha256File } from "./files.ts";
import type { ProgressListener } from "./progress.ts";
import { retry, type RetryOptions } from "./retry.ts";

/** What a file must be. All that is given is checked. */
export interface FileExpectation {
  /** Its size in bytes. */
  readonly bytes?: number | undefined;
  /** 64 hexadecimal digits. */
  readonly sha256?: string | undefined;
  /** Any other check: returns what is wrong with the file, e.g. "expected a picture, found a page", or nothing. */
  readonly check?: ((path: string) => Promise<string | undefined>) | undefined;
}

/** Settings of `downloadFile`. */
export interface DownloadOptions extends FileExpectation {
  /** Told as the bytes come. */
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Default: 5 attempts, counted anew while the file grows; each goes on from where the last was broken off. */
  readonly retry?: RetryOptions | undefined;
  /** Give an attempt up when no byte comes for so long, in milliseconds. Default: 30 s. */
  readonly stallMs?: number | undefined;
  /** e.g. an Authorization. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The server's answer will be the same next time. */
class Refusal extends WorkError {
  override name = "Refusal";
}

/** What is wrong with a file, in words: "expected 20 bytes, found 12"; undefined when nothing is. A missing file is wrong. */
export async function fileProblem(
  path: string,
  { bytes, sha256, check }: FileExpectation,
): Promise<string | undefined> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? "expected a file, found nothing there" : describeError(error);
  }
  if (!info.isFile) return "expected a file, found something else";
  if (bytes !== undefined && info.size !== bytes) return `expected ${bytes} bytes, found ${info.size}`;
  if (sha256 !== undefined) {
    const found = await sha256File(path);
    if (found !== sha256.toLowerCase()) return `expected SHA-256 ${sha256.toLowerCase()}, found ${found}`;
  }
  return await check?.(path);
}

/**
 * Downloads `url` to `path`. What comes stands in `PATH.part` until it is whole and passes the checks, then takes its name. A
 * `.part` that is there, from a killed process too, is gone on with where the server can (Range, with If-Range and the server's
 * ETag or date, so that a changed file begins anew). A file at `path` that passes is kept; one that does not is removed first.
 *
 * Passing faults (a broken connection, a stall, 408, 425, 429, 5xx) are tried again; others throw at once. Two processes may ask
 * for the same file: the second waits for the first. Throws WorkError when it cannot be had, InputError for a wrong URL.
 */
export async function downloadFile(url: string, path: string, options: DownloadOptions = {}): Promise<void> {
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    throw new InputError(`download: expected a URL that begins with http or https, found "${url}"`);
  }
  if (await settled(path, options)) return;
  await ensureParent(path);
  const part = `${path}.part`;
  using file = await Deno.open(part, { create: true, read: true, write: true });
  await file.lock(true);
  if (await settled(path, options)) return void await dropEmpty(file, part);
  const download = new Download(url, path, part, file, options);
  const settings: RetryOptions = {
    isPassing: (error) => !(error instanceof Refusal) && !options.signal?.aborted,
    ...(options.signal ? { signal: options.signal } : {}),
    ...options.retry,
  };
  for (let had = -1;;) {
    try {
      return await retry(() => download.attempt(), settings);
    } catch (error) {
      const { size } = await file.stat();
      if (error instanceof Refusal || options.signal?.aborted || size <= Math.max(had, 0)) throw error;
      had = size; // attempts that bring the file on are not counted
    }
  }
}

/** Whether a good file is at the path; a bad one is removed. */
async function settled(path: string, options: DownloadOptions): Promise<boolean> {
  if (!await exists(path)) return false;
  if (await fileProblem(path, options) === undefined) return true;
  await Deno.remove(path);
  return false;
}

async function dropEmpty(file: Deno.FsFile, part: string): Promise<void> {
  if ((await file.stat()).size === 0) await Deno.remove(part).catch(() => {});
}

class Download {
  readonly #mark: string;

  constructor(
    readonly url: string,
    readonly path: string,
    readonly part: string,
    readonly file: Deno.FsFile,
    readonly options: DownloadOptions,
  ) {
    this.#mark = `${part}.etag`;
  }

  async attempt(): Promise<void> {
    const { signal, stallMs = 30_000 } = this.options;
    const stall = new AbortController();
    let timer = setTimeout(() => stall.abort(), stallMs);
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => stall.abort(), stallMs);
    };
    try {
      await this.#fetch(signal ? AbortSignal.any([signal, stall.signal]) : stall.signal, alive);
    } catch (error) {
      signal?.throwIfAborted();
      if (stall.signal.aborted) throw this.#fail(WorkError, `no byte for ${stallMs / 1000} s`, error);
      if (error instanceof WorkError) throw error;
      throw this.#fail(WorkError, describeError(error), error);
    } finally {
      clearTimeout(timer);
    }
    await this.#finish();
  }

  async #fetch(signal: AbortSignal, alive: () => void): Promise<void> {
    let have = (await this.file.stat()).size;
    const { bytes } = this.options;
    if (bytes !== undefined && have > bytes) have = await this.#restart();
    if (have > 0 && have === bytes) return; // killed before it was checked
    const validator = await Deno.readTextFile(this.#mark).catch(() => "");
    // Without the server's mark, only a known content can tell a file that has changed since.
    if (have > 0 && validator === "" && this.options.sha256 === undefined) have = await this.#restart();
    const headers: Record<string, string> = { "accept-encoding": "identity", ...this.options.headers };
    if (have > 0) {
      headers["range"] = `bytes=${have}-`;
      if (validator !== "") headers["if-range"] = validator;
    }
    const response = await fetch(this.url, { headers, signal, redirect: "follow" });
    try {
      const total = await this.#start(response, have);
      await this.#receive(response, total, alive);
    } finally {
      await response.body?.cancel().catch(() => {});
    }
  }

  /** Judges the answer and puts the file to the place where its bytes belong; returns the size of the whole, if known. */
  async #start(response: Response, have: number): Promise<number | undefined> {
    const { status } = response;
    const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
    if (status === 206 && have > 0 && Number(range?.[1]) === have) {
      await this.file.seek(0, Deno.SeekMode.End);
      return range![2] === "*" ? undefined : Number(range![2]);
    }
    if (status === 206 || status === 416) {
      await this.#restart();
      throw this.#fail(WorkError, `an answer to another range (status ${status}); beginning anew`);
    }
    if (status !== 200) {
      const passing = status === 408 || status === 425 || status === 429 || status >= 500;
      throw this.#fail(passing ? WorkError : Refusal, `status ${status} ${response.statusText}`.trim());
    }
    await this.#restart();
    const length = response.headers.get("content-length");
    const total = length !== null && !response.headers.has("content-encoding") ? Number(length) : undefined;
    const { bytes } = this.options;
    if (bytes !== undefined && total !== undefined && total !== bytes) {
      throw this.#fail(Refusal, `${total} bytes offered where ${bytes} were expected`);
    }
    const validator = response.headers.get("etag") ?? response.headers.get("last-modified") ?? "";
    if (validator !== "" && !validator.startsWith("W/")) await Deno.writeTextFile(this.#mark, validator);
    return total;
  }

  async #receive(response: Response, total: number | undefined, alive: () => void): Promise<void> {
    let have = (await this.file.stat()).size;
    const limit = this.options.bytes ?? total;
    for await (const chunk of response.body ?? []) {
      alive();
      try {
        for (let at = 0; at < chunk.length;) at += await this.file.write(chunk.subarray(at));
      } catch (error) {
        throw diskError(error, this.part);
      }
      have += chunk.length;
      if (limit !== undefined && have > limit) {
        await this.#restart();
        throw this.#fail(Refusal, `more than ${limit} bytes`);
      }
      this.options.onProgress?.({ label: this.path.replace(/^.*[/\\]/, ""), done: have, total: limit, unit: "bytes" });
    }
    if (limit !== undefined && have < limit) throw this.#fail(WorkError, `an end after ${have} of ${limit} bytes`);
  }

  async #finish(): Promise<void> {
    await this.file.sync();
    const problem = await fileProblem(this.part, this.options);
    if (problem !== undefined) {
      await this.#restart();
      throw this.#fail(Refusal, `a file that is not the one: ${problem}`);
    }
    await Deno.rename(this.part, this.path);
    await Deno.remove(this.#mark).catch(() => {});
  }

  /** Empties the part file. */
  async #restart(): Promise<number> {
    await this.file.truncate(0);
    await this.file.seek(0, Deno.SeekMode.Start);
    await Deno.remove(this.#mark).catch(() => {});
    return 0;
  }

  #fail(kind: typeof WorkError, found: string, cause?: unknown): WorkError {
    return new kind(`${this.url}: expected to download ${this.path}, found ${found}`, { cause });
  }
}
