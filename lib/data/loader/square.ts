/** A decoded picture in the square that a network sees, its transparency kept: what backgrounds and corruptions are put to. */

import { letterbox, type Picture, pictureFrom, visibleAlpha } from "../augment/mod.ts";
import type { Rectangle } from "../augment/polygon.ts";
import type { ManifestRow } from "../manifest.ts";
import type { PictureCache } from "./cache.ts";
import { shrinkPicture } from "./decode.ts";
import type { CacheRecord } from "./record.ts";
import { decodedSize, type View } from "./render.ts";

/** A picture with at least this share of pixels that cannot be seen is a cut-out: its outline is known. */
const CUT_OUT_SHARE = 0.1;

/** A picture letterboxed. */
export interface Square {
  /** `size` x `size`; transparent also beside what is not square. */
  readonly picture: Picture;
  /** Whether a tenth of the picture itself or more cannot be seen, so that it shows its subject's outline. */
  readonly cutOut: boolean;
}

/** The square of a decoded picture: as large as fits, centred. `content` bounds what can be seen of it. */
export function squareOf(
  picture: Picture,
  content: CacheRecord["content"],
  { size, view }: { readonly size: number; readonly view: View },
): Square {
  const [left, top, right, bottom] = content;
  const sample = letterbox(picture, size, 0, view === "content" ? { view: { left, top, right, bottom } } : {});
  return { picture: sample.render(), cutOut: isCutOut(picture) };
}

/** The square of a picture, encoded or as RGBA pixels, shrunk first as the cache keeps it; `shown` is the part of it, in 0 … 1. */
export async function shrunkSquare(
  source: Parameters<typeof shrinkPicture>[0],
  { size, view }: { readonly size: number; readonly view: View },
): Promise<Square & { readonly shown: Rectangle }> {
  const { pixels, channels, width, height, content } = await shrinkPicture(source, decodedSize(size, view));
  const [left, top, right, bottom] = view === "content" ? content : [0, 0, width, height];
  const shown = { left: left / width, top: top / height, right: right / width, bottom: bottom / height };
  return { ...squareOf(pictureFrom(pixels, width, height, channels), content, { size, view }), shown };
}

/** The square of a picture in a cache. */
export function cachedSquare(
  cache: PictureCache,
  row: Pick<ManifestRow, "id" | "imageSha256">,
  options: { readonly size: number; readonly view: View },
): Square {
  return squareOf(cache.read(row), cache.record(row).content, options);
}

function isCutOut({ data, opaque, width, height }: Picture): boolean {
  if (opaque) return false;
  let hidden = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at]! < visibleAlpha) hidden++;
  return hidden >= CUT_OUT_SHARE * width * height;
}
