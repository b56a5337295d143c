/** Tensor data that lies in other files than the model: only within the model's own folder, only regular files. */

import { dirname, isAbsolute, resolve, sep } from "node:path";
import { reason } from "../runtime/mod.ts";
import { OnnxError } from "./errors.ts";
import type { ExternalReader } from "./tensor_proto.ts";

/** Tensors may share data, but together they may not claim more than this many times what the files hold. */
const MOST_SHARED = 4;

/**
 * A reader of external data for the model at `path`. It throws OnnxError for a location that is absolute or leads out of
 * the folder (also through symbolic links), for a missing file, and for data beyond a file's end.
 */
export function externalData(path: string): ExternalReader {
  const folder = dirname(resolve(path));
  const sizes = new Map<string, number>();
  let claimed = 0;
  return (entries, wanted, place) => {
    const location = entries.get("location") ?? "";
    const fail = (expectation: string, found: string) =>
      new OnnxError(`${place}: expected external data ${expectation}, found ${found}`);
    const outside = () => fail("inside the model's folder", `"${location}"`);
    if (location === "" || location.includes("\0") || isAbsolute(location) || /^[A-Za-z]:|\\/.test(location)) {
      throw outside();
    }
    let real: string;
    try {
      const root = Deno.realPathSync(folder);
      if (!within(folder, resolve(folder, location))) throw outside();
      real = Deno.realPathSync(resolve(folder, location));
      if (!within(root, real)) throw outside();
    } catch (error) {
      if (error instanceof OnnxError) throw error;
      throw fail(`in "${location}"`, reason(error));
    }
    const info = Deno.statSync(real);
    if (!info.isFile) throw fail(`in a file "${location}"`, "something else");
    sizes.set(real, info.size);
    const offset = wholeNumber(entries.get("offset") ?? "0"),
      length = wholeNumber(entries.get("length") ?? `${wanted}`);
    if (offset === undefined || length === undefined) throw fail("at a whole offset and length", "something else");
    if (length !== wanted) throw fail(`of ${wanted} bytes`, `a length of ${length}`);
    if (offset + length > info.size) {
      throw fail(`of ${length} bytes from ${offset} in "${location}"`, `a file of ${info.size} bytes`);
    }
    claimed += length;
    const there = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    if (claimed > MOST_SHARED * there) {
      throw fail("that tensors do not share again and again", `${claimed} bytes claimed`);
    }
    return readPart(real, offset, length);
  };
}

function within(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function wholeNumber(text: string): number | undefined {
  const value = Number(text);
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(value) ? value : undefined;
}

function readPart(path: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(length);
  using file = Deno.openSync(path);
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let at = 0; at < length;) {
    const read = file.readSync(result.subarray(at));
    if (read === null) throw new OnnxError(`${path}: expected ${length} bytes from ${offset}, found ${at}`);
    at += read;
  }
  return result;
}
