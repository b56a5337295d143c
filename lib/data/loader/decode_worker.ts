/** Worker: decodes stored pictures for the cache. */

import { serveJobs } from "../../runtime/mod.ts";
import { decodePicture } from "./decode.ts";
import type { DecodedPicture } from "./record.ts";

/** A few pictures at a time, so that a message costs little beside the work. */
export interface DecodeJob {
  readonly size: number;
  readonly pictures: readonly { readonly path: string; readonly sha256: string }[];
}

serveJobs<DecodeJob, DecodedPicture[]>(
  async ({ size, pictures }) => {
    const decoded: DecodedPicture[] = [];
    for (const { path, sha256 } of pictures) decoded.push(await decodePicture(path, sha256, size));
    return decoded;
  },
  (result) => result.map(({ pixels }) => pixels.buffer as ArrayBuffer),
);
