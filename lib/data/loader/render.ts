/** One batch from cached pixels: letterbox, augment, background, tensor. Runs in workers; depends on its job alone. */

import { Random, WorkError } from "../../runtime/mod.ts";
import { type Colour, plainBackground, renderBackground } from "../backgrounds.ts";
import {
  type Box,
  layOver,
  letterbox,
  type Picture,
  reviveTransform,
  type Target,
  type Transform,
  type TransformSpec,
} from "../augment/mod.ts";
import { readRecord } from "./cache.ts";
import type { CacheRecord } from "./record.ts";

/** Mean and standard deviation of each channel, in 0 … 1: what is subtracted and divided by. */
export interface Normalisation {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** What fills the frame: the whole picture, or the part of it that is not transparent. */
export type View = "picture" | "content";

/** The longest side of decoded pictures, in pixels, for frames of `size`: the content may be half of a picture. */
export function decodedSize(size: number, view: View): number {
  return view === "content" ? Math.min(2 * size, 4096) : size;
}

/** What is the same for every batch of a loader. */
export interface RenderSettings {
  readonly cachePath: string;
  readonly augmentation: TransformSpec;
  /** Behind what is still transparent at the end: a colour, or a scene chosen by the picture's id that never changes. */
  readonly background: Colour | "fixed";
  /** A picture's own box: the whole letterboxed frame, or what is not transparent. */
  readonly boxes: "frame" | "content";
  readonly view: View;
  readonly normalisation?: Normalisation | undefined;
}

export interface RenderJob {
  readonly settings: RenderSettings;
  readonly seed: readonly (string | number)[];
  readonly epoch: number;
  readonly step: number;
  /** Side of the square pictures in pixels. */
  readonly size: number;
  readonly items: readonly { readonly id: string; readonly label: number; readonly record: CacheRecord }[];
}

/** A batch of N pictures. */
export interface Batch {
  readonly epoch: number;
  /** Step within the epoch, from 0. */
  readonly step: number;
  /** Manifest ids, one a picture. */
  readonly ids: readonly string[];
  /** [N, 3, size, size], red, green, blue, in 0 … 1 or normalised. */
  readonly images: Float32Array<ArrayBuffer>;
  readonly shape: readonly [number, 3, number, number];
  /** [N]: the class, or the heaviest one where pictures were mixed. */
  readonly labels: Int32Array<ArrayBuffer>;
  /** The soft labels, one list a picture; weights sum to 1. */
  readonly targets: readonly (readonly Target[])[];
  /** The boxes in pixels, one list a picture. */
  readonly boxes: readonly (readonly Box[])[];
}

/** The last transform made from a description: a loader uses one for all its batches. */
let revived: { text: string; transform: Transform } | undefined;
const files = new Map<string, Deno.FsFile>();

/** Draws the batch of a job. The same job gives the same bits, wherever it runs. */
export async function renderBatch({ settings, seed, epoch, step, size, items }: RenderJob): Promise<Batch> {
  const { cachePath } = settings;
  const samples = items.map(({ label, record }) => {
    const [left, top, right, bottom] = record.content;
    const seen = { left, top, right, bottom };
    return letterbox(readCached(cachePath, record), size, label, {
      view: settings.view === "content" ? seen : undefined,
      content: settings.boxes === "content" ? seen : undefined,
    });
  });
  const transform = transformOf(settings.augmentation);
  const augmented = await transform.apply(samples, Random.seeded("batch", ...seed, epoch, step));
  const images = new Float32Array(items.length * 3 * size * size);
  for (const [index, sample] of augmented.entries()) {
    const picture = backed(sample.render(), items[index]!.id, settings.background);
    if (picture.width !== size || picture.height !== size) {
      throw new WorkError(`loader: expected ${size} x ${size} pixels, found ${picture.width} x ${picture.height}`);
    }
    writePlanes(picture, images.subarray(index * 3 * size * size, (index + 1) * 3 * size * size), settings);
  }
  return {
    epoch,
    step,
    ids: items.map(({ id }) => id),
    images,
    shape: [items.length, 3, size, size],
    labels: Int32Array.from(augmented, ({ targets }) => targets[0]!.classId),
    targets: augmented.map(({ targets }) => targets),
    boxes: augmented.map((sample) => sample.frameBoxes()),
  };
}

/** Closes a cache file that this thread opened. */
export function closeCacheFile(path: string): void {
  files.get(path)?.close();
  files.delete(path);
}

/** Reads a record; a file that was replaced since this thread opened it is opened again. */
function readCached(path: string, record: CacheRecord): Picture {
  const open = files.get(path);
  if (open) {
    try {
      return readRecord(open, record, path);
    } catch {
      closeCacheFile(path);
    }
  }
  const file = Deno.openSync(path);
  files.set(path, file);
  return readRecord(file, record, path);
}

function transformOf(spec: TransformSpec): Transform {
  const text = JSON.stringify(spec);
  if (revived?.text !== text) revived = { text, transform: reviveTransform(spec) };
  return revived.transform;
}

function backed(picture: Picture, id: string, background: Colour | "fixed"): Picture {
  if (picture.opaque) return picture;
  return layOver(picture, backgroundOf(id, background, picture.width, picture.height));
}

/** What stands behind a picture: RGB, interleaved; of `fixed` the scene that belongs to the picture with this id. */
export function backgroundOf(id: string, background: Colour | "fixed", width: number, height: number): Uint8Array {
  return background === "fixed"
    ? renderBackground(Random.seeded("background", id), width, height)
    : plainBackground(background, width, height);
}

/** What each byte of each channel becomes. */
function channelTables(normalisation: Normalisation | undefined): [Float32Array, Float32Array, Float32Array] {
  const table = (channel: 0 | 1 | 2) => {
    const mean = normalisation?.mean[channel] ?? 0, std = normalisation?.std[channel] ?? 1;
    return Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - mean) / std);
  };
  return [table(0), table(1), table(2)];
}

/** Writes a picture's red, green and blue planes, [3, height, width], in 0 … 1 or normalised. */
export function writePlanes(
  { data }: Picture,
  planes: Float32Array,
  { normalisation }: { readonly normalisation?: Normalisation | undefined } = {},
): void {
  const area = data.length / 4;
  const [red, green, blue] = channelTables(normalisation);
  for (let i = 0, at = 0; i < area; i++, at += 4) {
    planes[i] = red[data[at]!]!;
    planes[area + i] = green[data[at + 1]!]!;
    planes[2 * area + i] = blue[data[at + 2]!]!;
  }
}
