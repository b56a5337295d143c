/** Draws a prediction onto a copy of its picture: the box, the species and its probability. */

import { basename, extname, join } from "node:path";
import sharp from "sharp";
import type { Prediction } from "../../lib/experiment/mod.ts";
import { annotated, VECTOR_DENSITY } from "../../lib/notebook/mod.ts";
import { InputError, reason, writeAtomic } from "../../lib/runtime/mod.ts";

/** The longest side of a drawing in pixels, and the shortest that a small picture is enlarged to. */
const LONGEST = 1600, SHORTEST = 320;

/**
 * Writes `FOLDER/NAME.png` for each picture; a name that is taken by another picture of the call gets a number. Returns the paths.
 * Throws InputError where the folder cannot be written.
 */
export async function annotate(predictions: readonly Prediction[], folder: string): Promise<string[]> {
  await Deno.mkdir(folder, { recursive: true }).catch((error) => {
    throw new InputError(`--annotate ${folder}: expected a folder that can be written, found ${reason(error)}`);
  });
  const taken = new Set<string>(), paths: string[] = [];
  for (const prediction of predictions) {
    const stem = basename(prediction.image, extname(prediction.image)) || "picture";
    let name = stem;
    for (let count = 2; taken.has(name.toLowerCase()); count++) name = `${stem}-${count}`;
    taken.add(name.toLowerCase());
    const path = join(folder, `${name}.png`);
    await writeAtomic(path, await draw(prediction));
    paths.push(path);
  }
  return paths;
}

async function draw({ image, box, top: [best] }: Prediction): Promise<Uint8Array> {
  const { width, height } = (await sharp(image, { density: VECTOR_DENSITY }).autoOrient().metadata()).autoOrient;
  const { left, top, right, bottom } = box ?? { left: 0, top: 0, right: 1, bottom: 1 };
  return await annotated(image, {
    side: Math.min(LONGEST, Math.max(SHORTEST, width, height)),
    marks: [{
      ...{ left: left * width, top: top * height, right: right * width, bottom: bottom * height },
      look: box ? "line" : "label",
      label: `${best!.name} ${(100 * best!.score).toFixed(0)} %`,
    }],
  });
}
