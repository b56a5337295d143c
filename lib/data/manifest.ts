/** `manifest.jsonl`: one line a picture of a built dataset, with where it came from and where it went. */

import { join } from "node:path";
import { z } from "zod";
import { InputError, reason } from "../runtime/mod.ts";

/** The three parts of a dataset. */
export const splits = ["train", "validation", "test"] as const;
export type Split = typeof splits[number];

const hash = z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits");

/** One picture of a dataset. */
export const manifestRowSchema = z.strictObject({
  /** `{dex:04}_{n:03}`, n counting from 1 within the species. */
  id: z.string().regex(/^\d{4}_\d{3,}$/, "an id such as 0025_003"),
  dex: z.int().min(1),
  classId: z.int().min(0),
  split: z.enum(splits),
  /** Near-duplicate group, unique over the dataset, e.g. "0025-g02". */
  group: z.string(),
  /** Which source, e.g. "sprites" or "folder:PATH" as it was given. */
  source: z.string(),
  /** The picture's path inside its source, "/" between folders. */
  path: z.string(),
  /** Frame of an animation, counting from 0. */
  frame: z.int().min(0).optional(),
  /** SHA-256 of the raw file. */
  sha256: hash,
  /** The stored picture (alpha kept, at most 416 px), relative to `data/processed/`, e.g. "images/0025_003.webp". */
  image: z.string(),
  /** Size of the stored picture in pixels. */
  width: z.int().min(1),
  height: z.int().min(1),
  /** Whether some pixel is not opaque. */
  transparent: z.boolean(),
  /** SHA-256 of the stored picture. */
  imageSha256: hash,
  /** SHA-256 of the 416 x 416 JPEG in the YOLO dataset. */
  jpegSha256: hash,
  /** Perceptual fingerprint, hexadecimal; see fingerprint.ts. */
  fingerprint: z.string().regex(/^[0-9a-f]*$/),
});
export type ManifestRow = z.infer<typeof manifestRowSchema>;

/** Where the parts of a built dataset stand under a data folder (`data/` by default). */
export function datasetPaths(dataFolder: string) {
  const processed = join(dataFolder, "processed");
  const yolo = join(processed, "yolo_dataset");
  return {
    processed,
    images: join(processed, "images"),
    metadata: join(processed, "metadata"),
    cache: join(processed, "cache"),
    /** Finished pictures by content, see store.ts; `images` and `yolo` are links to them. */
    store: join(processed, "store"),
    yolo,
    manifest: join(yolo, "manifest.jsonl"),
    dataYaml: join(yolo, "data.yaml"),
    yoloImage: (row: Pick<ManifestRow, "id" | "split">) => join(yolo, "images", row.split, `${row.id}.jpg`),
    yoloLabel: (row: Pick<ManifestRow, "id" | "split">) => join(yolo, "labels", row.split, `${row.id}.txt`),
  };
}

/** Reads and checks a manifest. Throws InputError with file and line for the first row that is wrong. */
export async function readManifest(path: string): Promise<ManifestRow[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected a manifest, found ${reason(error)}; run "deno task data build"`, {
      cause: error,
    });
  }
  return parseManifest(text, path);
}

/** Checks the text of a manifest; `name` stands for the file in messages. */
export function parseManifest(text: string, name: string): ManifestRow[] {
  const rows: ManifestRow[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "") continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new InputError(`${name}:${index + 1}: expected one JSON object, found ${(error as Error).message}`);
    }
    const parsed = manifestRowSchema.safeParse(value);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      throw new InputError(`${name}:${index + 1}: ${issue.path.join(".") || "row"}: ${issue.message}`);
    }
    rows.push(parsed.data);
  }
  return rows;
}
