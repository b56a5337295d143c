/** Pictures as a model was trained to see them, equal to the Python processors of its preprocessor_config.json. */

import { z } from "zod";
import { augment, type Picture } from "../../data/mod.ts";
import { describeError, InputError, type Tensor, tensor } from "../../runtime/mod.ts";
import type { Preprocessing } from "../encoder.ts";
import { type Kernel, resizeLikePillow, type RgbPixels } from "./resample.ts";

/** `Preprocessing` with what only some models need. */
export interface PictureSettings extends Preprocessing {
  /** Of "shortest": what the short side becomes; what is cut out of it has `size`, and zeros beside it where it is larger. */
  readonly shortestEdge: number;
  /** What a byte is multiplied by before mean and deviation: 1 / 255. */
  readonly rescale: number;
}

/** Settings of `readPreprocessing` that no file of the Hub has. */
export interface ViewOptions {
  /** Default: "picture". */
  readonly view?: Preprocessing["view"] | undefined;
  /** Behind transparent pixels, in 0 … 255. Default: white. */
  readonly background?: readonly [number, number, number] | undefined;
}

const sideSchema = z.union([
  z.number().int().positive(),
  z.object({ height: z.number().int().positive(), width: z.number().int().positive() }),
]);
const triple = z.tuple([z.number(), z.number(), z.number()]);
const fileSchema = z.object({
  do_resize: z.boolean().nullish(),
  size: z.union([sideSchema, z.object({ shortest_edge: z.number().int().positive() })]).nullish(),
  resample: z.number().int().nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: sideSchema.nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: z.number().positive().nullish(),
  do_normalize: z.boolean().nullish(),
  image_mean: triple.nullish(),
  image_std: triple.refine((std) => std.every((each) => each > 0), "expected deviations above 0").nullish(),
  do_convert_rgb: z.boolean().nullish(),
});

/** Pillow's numbers for kernels. */
const kernels: Readonly<Record<number, Kernel>> = { 0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic" };

/** Sides of a family whose file leaves them out. */
const defaults = {
  clip: {
    resize: "shortest",
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  },
  siglip: { resize: "exact", mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
} as const;

/**
 * Reads the content of a preprocessor_config.json. What it leaves out is as in the Python class of the family: CLIP resizes the
 * short side and cuts the middle out, SigLIP resizes both sides; a plain number as size means the short side for CLIP, both for
 * SigLIP. Throws InputError at `place` for what it does not say rightly, for another kernel than Pillow's 0 … 3, and for an input
 * that is not square.
 */
export function readPreprocessing(
  content: unknown,
  place: string,
  { family, imageSize, view = "picture", background = [255, 255, 255] }: ViewOptions & {
    readonly family: "clip" | "siglip";
    /** Of the model's configuration: the side when the file names none. */
    readonly imageSize?: number | undefined;
  },
): PictureSettings {
  const parsed = fileSchema.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new InputError(
      `${place}: ${issue!.path.join(".") || "content"}: expected a picture processor's settings, found: ${
        describeError(issue!.message)
      }`,
    );
  }
  const file = parsed.data, own = defaults[family];
  const fallback = imageSize ?? 224;
  const given = file.size ?? (own.resize === "shortest" ? { shortest_edge: fallback } : fallback);
  const shortest = typeof given === "number" ? own.resize === "shortest" && given : "shortest_edge" in given &&
    given.shortest_edge;
  const kernel = kernels[file.resample ?? 3];
  if (kernel === undefined) {
    throw new InputError(
      `${place}: resample: expected 0 (nearest), 1 (Lanczos), 2 (bilinear) or 3 (bicubic), found ${file.resample}`,
    );
  }
  if (file.do_resize === false) throw new InputError(`${place}: do_resize: expected true, found false`);
  const crops = file.do_center_crop ?? family === "clip";
  if (shortest !== false && !crops) {
    throw new InputError(
      `${place}: expected a square input, found size.shortest_edge ${shortest} without do_center_crop`,
    );
  }
  const exact = shortest !== false ? shortest : square(given as z.infer<typeof sideSchema>, `${place}: size`);
  const size = crops ? square(file.crop_size ?? exact, `${place}: crop_size`) : exact;
  if (shortest === false && size !== exact) {
    throw new InputError(`${place}: crop_size: expected ${exact}, the resized side, found ${size}`);
  }
  const normalizes = file.do_normalize ?? true;
  return {
    size,
    shortestEdge: exact,
    resize: shortest === false ? "exact" : "shortest",
    kernel,
    view,
    background,
    rescale: file.do_rescale === false ? 1 : file.rescale_factor ?? 1 / 255,
    mean: normalizes ? file.image_mean ?? own.mean : [0, 0, 0],
    std: normalizes ? file.image_std ?? own.std : [1, 1, 1],
  };
}

function square(side: z.infer<typeof sideSchema>, place: string): number {
  if (typeof side === "number") return side;
  if (side.height === side.width) return side.height;
  throw new InputError(`${place}: expected a square, found ${side.width} x ${side.height}`);
}

/** The settings of a model that has only `Preprocessing`: a byte is 1 / 255, the short side is cut out whole. */
export function pictureSettings(preprocessing: Preprocessing): PictureSettings {
  return { shortestEdge: preprocessing.size, rescale: 1 / 255, ...preprocessing };
}

/**
 * Pictures as a model's input [N, 3, size, size]: the content cut out (`view`), laid on the background, resized as Pillow does,
 * the middle cut out, then (value · rescale − mean) / std. Throws InputError for a picture without pixels.
 */
export function preparePictures(pictures: readonly Picture[], settings: PictureSettings): Tensor<"float32"> {
  const { size } = settings, area = size * size;
  const planes = new Float32Array(pictures.length * 3 * area);
  const tables = channelTables(settings);
  for (const [n, picture] of pictures.entries()) {
    const shown = settings.view === "content" ? contentSquare(picture) : picture;
    const own = planes.subarray(n * 3 * area, (n + 1) * 3 * area);
    writeMiddle(resized(opaqueOn(shown, settings.background), settings), size, tables, own);
  }
  return tensor("float32", [pictures.length, 3, size, size], planes);
}

/** Sides of the resized picture, as the Python processors round them: the long side is cut to whole pixels. */
function resized(picture: RgbPixels, { resize, shortestEdge, kernel }: PictureSettings): RgbPixels {
  const { width, height } = picture;
  if (resize === "exact") return resizeLikePillow(picture, shortestEdge, shortestEdge, kernel);
  const long = Math.trunc(shortestEdge * Math.max(width, height) / Math.min(width, height));
  return width <= height
    ? resizeLikePillow(picture, shortestEdge, long, kernel)
    : resizeLikePillow(picture, long, shortestEdge, kernel);
}

/** What each byte of each channel becomes, in single precision. */
function channelTables({ rescale, mean, std }: PictureSettings): readonly Float32Array[] {
  return ([0, 1, 2] as const).map((c) =>
    Float32Array.from({ length: 256 }, (_, byte) => (byte * rescale - mean[c]) / std[c])
  );
}

/** Writes the middle `size` x `size` pixels as planes; what lies beside the picture is byte 0. */
function writeMiddle(
  { width, height, data }: RgbPixels,
  size: number,
  tables: readonly Float32Array[],
  planes: Float32Array,
): void {
  // As the Python processors place it: inside, half rounded down; a picture that is smaller, half rounded up.
  const offset = (side: number) => side >= size ? Math.floor((side - size) / 2) : -Math.ceil((size - side) / 2);
  const left = offset(width), top = offset(height), area = size * size;
  for (const [c, table] of tables.entries()) {
    for (let y = 0, at = c * area; y < size; y++) {
      const row = y + top, inside = row >= 0 && row < height;
      for (let x = 0; x < size; x++, at++) {
        const column = x + left;
        const byte = inside && column >= 0 && column < width ? data[3 * (row * width + column) + c]! : 0;
        planes[at] = table[byte]!;
      }
    }
  }
}

/** The colours of a picture laid on a background, rounded to bytes. */
function opaqueOn({ width, height, data }: Picture, background: readonly [number, number, number]): RgbPixels {
  if (data.length === 0) throw new InputError(`picture: expected pixels, found ${width} x ${height}`);
  const rgb = new Uint8ClampedArray(3 * width * height);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const alpha = data[from + 3]! / 255;
    for (let c = 0; c < 3; c++) rgb[to + c] = data[from + c]! * alpha + background[c]! * (1 - alpha);
  }
  return { width, height, data: rgb };
}

/** The part of a picture that can be seen, in the middle of a transparent square; all of it where nothing can be seen. */
function contentSquare(picture: Picture): Picture {
  const { width, height, data } = picture;
  let left = width, right = 0, top = height, bottom = 0;
  for (let y = 0, at = 3; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      if (data[at]! < augment.visibleAlpha) continue;
      left = Math.min(left, x), right = Math.max(right, x + 1);
      top = Math.min(top, y), bottom = Math.max(bottom, y + 1);
    }
  }
  if (right <= left) [left, top, right, bottom] = [0, 0, width, height];
  const w = right - left, h = bottom - top, side = Math.max(w, h);
  if (w === h && w === width && h === height) return picture;
  const cut = new Uint8ClampedArray(4 * side * side);
  const x = Math.floor((side - w) / 2), y = Math.floor((side - h) / 2);
  for (let row = 0; row < h; row++) {
    const from = 4 * ((top + row) * width + left);
    cut.set(data.subarray(from, from + 4 * w), 4 * ((y + row) * side + x));
  }
  return { width: side, height: side, data: cut, opaque: picture.opaque && w === h };
}
