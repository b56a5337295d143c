/** The yardstick of the data bench: what sharp alone does to a file. Decode, fit into 416 x 416, flatten, JPEG, write. */

import sharp from "sharp";
import { serveJobs } from "../../lib/runtime/mod.ts";

sharp.concurrency(1);
sharp.cache(false);

export interface BareJob {
  readonly files: readonly string[];
  readonly targets: readonly string[];
}

serveJobs<BareJob, number>(async ({ files, targets }) => {
  for (const [index, file] of files.entries()) {
    const jpeg = await sharp(await Deno.readFile(file))
      .resize(416, 416, { fit: "contain", background: { r: 114, g: 114, b: 114, alpha: 1 } })
      .flatten({ background: { r: 114, g: 114, b: 114 } })
      .jpeg({ quality: 90, optimiseCoding: false })
      .toBuffer();
    await Deno.writeFile(targets[index]!, jpeg);
  }
  return files.length;
});
