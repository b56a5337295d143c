/** What the teacher says of the pictures of a batch: looked up, or asked for each batch anew. */

import { join } from "node:path";
import { augment, type Batch as PictureBatch, type ManifestRow, type Picture } from "../../data/mod.ts";
import type { Dataset } from "../../experiment/mod.ts";
import { encodeSafetensors, OnnxError, readSafetensors } from "../../onnx/mod.ts";
import { ensureParent, exists, type ProgressListener, type Tensor, tensor, writeAtomic } from "../../runtime/mod.ts";
import { storedPicture, type Teacher } from "./teacher.ts";

/** Gives the teacher's embeddings of a batch, [N, D]. */
export type TeacherTargets = (batch: Pick<PictureBatch, "ids" | "images" | "shape">) => Promise<Tensor>;

/** The teacher's embeddings of the pictures as the student sees them, augmented and at the student's size. */
export function askedTargets(teacher: Pick<Teacher, "embedImages">): TeacherTargets {
  return ({ images, shape: [count, , height, width] }) => {
    const pictures = Array.from({ length: count }, (_, i) => pictureOf(images, i, width, height));
    return teacher.embedImages(pictures);
  };
}

/** Picture i of planes [N, 3, height, width] in 0 … 1. */
function pictureOf(images: Float32Array, i: number, width: number, height: number): Picture {
  const pixels = width * height, start = 3 * i * pixels, bytes = new Uint8ClampedArray(3 * pixels);
  for (let c = 0; c < 3; c++) {
    for (let p = 0; p < pixels; p++) bytes[3 * p + c] = 255 * images[start + c * pixels + p]!; // rounded, as it is clamped
  }
  return augment.pictureFrom(bytes, width, height, 3);
}

/** Settings of `cachedTargets`. */
export interface CachedTargetsOptions {
  /** Where files of embeddings lie. Default: `embeddings/` in the data folder. */
  readonly folder?: string | undefined;
  /** Pictures that the teacher sees at a time. Default: 32. */
  readonly batch?: number;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** After so many pictures the file is written, so that a kill costs no more than these. */
const KEPT_EVERY = 1024;

/**
 * The teacher's embeddings of the stored pictures of training and validation, as they are: computed once and kept in
 * `FOLDER/IDENTITY.safetensors`, by the pictures' hashes; a kill in between costs little. Throws InputError for a picture that is
 * not there; aborts with the signal's reason.
 */
export async function cachedTargets(
  teacher: Teacher,
  { dataFolder, rows }: Dataset,
  { folder = join(dataFolder, "embeddings"), batch = 32, onProgress, signal }: CachedTargetsOptions = {},
): Promise<TeacherTargets> {
  const { dimension } = teacher, all = [...rows.train, ...rows.validation];
  const path = join(folder, `${teacher.identity.slice(0, 16)}.safetensors`);
  const known = await readEmbeddings(path, dimension);
  const missing = [
    ...new Map(all.filter(({ imageSha256 }) => !known.has(imageSha256)).map((row) => [row.imageSha256, row])),
  ]
    .map(([, row]) => row);
  for (let at = 0, unsaved = 0; at < missing.length; at += batch) {
    signal?.throwIfAborted();
    const part = missing.slice(at, at + batch);
    const pictures = await Promise.all(part.map((row: ManifestRow) => storedPicture(dataFolder, row)));
    const { data } = await teacher.embedImages(pictures);
    part.forEach((row, i) => known.set(row.imageSha256, data.slice(i * dimension, (i + 1) * dimension)));
    unsaved += part.length;
    const isLast = at + batch >= missing.length;
    if (isLast || unsaved >= KEPT_EVERY) {
      await writeEmbeddings(path, known, dimension);
      unsaved = 0;
    }
    onProgress?.({ label: "teacher", done: at + part.length, total: missing.length, unit: "pictures" });
  }
  const hashes = new Map(all.map(({ id, imageSha256 }) => [id, imageSha256]));
  return ({ ids }) => {
    const data = new Float32Array(ids.length * dimension);
    ids.forEach((id, i) => data.set(known.get(hashes.get(id)!)!, i * dimension));
    return Promise.resolve(tensor("float32", [ids.length, dimension], data));
  };
}

/** Embeddings by the hash of the picture; none where there is no whole file of that dimension: they are computed again. */
async function readEmbeddings(path: string, dimension: number): Promise<Map<string, Float32Array>> {
  const known = new Map<string, Float32Array>();
  if (!(await exists(path))) return known;
  const found = await readSafetensors(path).catch((error) => {
    if (error instanceof OnnxError) return undefined;
    throw error;
  });
  const embeddings = found?.tensors.get("embeddings"), hashes = found?.metadata.pictures?.split(" ") ?? [];
  if (!found || embeddings?.dtype !== "float32" || String(embeddings.shape) !== String([hashes.length, dimension])) {
    return known;
  }
  const data = embeddings.data as Float32Array;
  hashes.forEach((hash, i) => known.set(hash, data.subarray(i * dimension, (i + 1) * dimension)));
  return known;
}

async function writeEmbeddings(
  path: string,
  known: ReadonlyMap<string, Float32Array>,
  dimension: number,
): Promise<void> {
  const data = new Float32Array(known.size * dimension);
  [...known.values()].forEach((row, i) => data.set(row, i * dimension));
  const embeddings = tensor("float32", [known.size, dimension], data);
  await ensureParent(path);
  await writeAtomic(path, encodeSafetensors([["embeddings", embeddings]], { pictures: [...known.keys()].join(" ") }));
}
