/** Batches as pictures, to look at what a network is really fed. */

import { type Picture, pictureFrom, type Transform } from "./augment/mod.ts";
import { type Batch, BatchLoader, inOrder, type PictureCache } from "./loader/mod.ts";
import type { ManifestRow } from "./manifest.ts";

/** The pictures of a batch whose pixels are in 0 … 1 (not normalised); `boxes` draws their boxes, one pixel wide. */
export function batchPictures(
  batch: Pick<Batch, "images" | "shape" | "boxes">,
  { boxes = false }: { boxes?: boolean } = {},
): Picture[] {
  const [count, , height, width] = batch.shape;
  const plane = width * height;
  return Array.from({ length: count }, (_, index) => {
    const pixels = new Uint8ClampedArray(3 * plane);
    for (let channel = 0; channel < 3; channel++) {
      const start = (3 * index + channel) * plane;
      for (let at = 0; at < plane; at++) pixels[3 * at + channel] = 255 * batch.images[start + at]!;
    }
    if (boxes) { for (const box of batch.boxes[index]!) drawBox(pixels, width, height, box); }
    return pictureFrom(pixels, width, height, 3);
  });
}

/** How one augmentation changes pictures: each of the rows once, drawn from the seed. */
export async function previewAugmentation(
  cache: PictureCache,
  rows: readonly ManifestRow[],
  augmentation: Transform,
  { size = 112, seed = 0, boxes = false }: { size?: number; seed?: number; boxes?: boolean } = {},
): Promise<Picture[]> {
  using loader = new BatchLoader(cache, rows, {
    batchSize: rows.length,
    size,
    seed,
    augmentation,
    sampler: inOrder,
    boxes: boxes ? "content" : "frame",
    workers: 0,
  });
  const { value } = await loader.epoch(0).next();
  return batchPictures(value as Batch, { boxes });
}

function drawBox(
  pixels: Uint8ClampedArray,
  width: number,
  height: number,
  box: { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number },
): void {
  const clip = (value: number, limit: number) => Math.max(0, Math.min(limit - 1, Math.round(value)));
  const [left, right] = [clip(box.left, width), clip(box.right - 1, width)];
  const [top, bottom] = [clip(box.top, height), clip(box.bottom - 1, height)];
  const paint = (x: number, y: number) => pixels.set([255, 40, 80], 3 * (y * width + x));
  for (let x = left; x <= right; x++) {
    paint(x, top);
    paint(x, bottom);
  }
  for (let y = top; y <= bottom; y++) {
    paint(left, y);
    paint(right, y);
  }
}
