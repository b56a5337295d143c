/** Pictures that show no Pokémon, to judge whether a model knows what it does not know. */

import { Buffer } from "node:buffer";
import { join } from "node:path";
import { z } from "zod";
import { describeError, InputError, type ProgressListener, Random, reason, WorkError } from "../runtime/mod.ts";
import { type BackgroundKind, randomColour, renderBackground } from "./backgrounds.ts";
import { renderClutter } from "./clutter.ts";
import { type Picture, pictureFrom } from "./augment/mod.ts";
import { readSquareFile, shrunkSquare, type Square, squareOfBytes, type View } from "./loader/mod.ts";
import { compareText } from "./order.ts";

/** A picture of something else, as a square that a network may be shown. */
export interface OtherPicture extends Square {
  /** Tells it from the others, e.g. "emoji/cat-face" or "made/scene-12". */
  readonly id: string;
  /** What it is, e.g. "emoji", "scene". */
  readonly kind: string;
}

/** Settings of `openOtherPictures`. */
export interface OtherPicturesOptions {
  /** How many; fewer where there are not as many. */
  readonly count: number;
  /** Which are chosen, and how made ones are drawn. Default: 0. */
  readonly seed?: number;
  /** Side of the square in pixels. */
  readonly size: number;
  readonly view: View;
  readonly onProgress?: ProgressListener | undefined;
}

/**
 * Opens pictures of other things:
 * - `made`: drawn by this library: random pixels, gradients, clouds of colour, landscapes, clutter, and figures of a few shapes on
 *   nothing, which have an outline as a sprite does; as many of each;
 * - `emoji`: people, animals, things and signs of the npm package `@iconify-json/fluent-emoji-flat` (1,591 drawings by
 *   Microsoft, MIT), each in one tone of skin: drawings with an outline, so the hard case;
 * - `folder:PATH`: the pictures of a folder.
 *
 * The same seed gives the same pictures. Throws InputError for another name, and for a folder without pictures or a file of it
 * that is none; WorkError where Deno cannot fetch the package.
 */
export async function openOtherPictures(
  name: string,
  { count, seed = 0, size, view, onProgress }: OtherPicturesOptions,
): Promise<OtherPicture[]> {
  if (!Number.isInteger(count) || count < 1) {
    throw new InputError(`${name}: expected a count of at least one picture, found ${count}`);
  }
  const random = Random.seeded("other pictures", seed, name);
  const makers = await makersOf(name, count, random);
  const found: OtherPicture[] = [];
  for (let at = 0; at < makers.length; at += TOGETHER) {
    const part = makers.slice(at, at + TOGETHER);
    const squares = await Promise.all(part.map(({ square }) => square({ size, view })));
    found.push(...part.map(({ id, kind }, i) => ({ id, kind, ...squares[i]! })));
    onProgress?.({ label: name, done: found.length, total: makers.length, unit: "pictures" });
  }
  return found;
}

/** Pictures decoded at a time. */
const TOGETHER = 16;

/** Side of made pictures, pixels. */
const MADE_SIZE = 128;

/** A picture that is not drawn yet. */
interface Maker {
  readonly id: string;
  readonly kind: string;
  square(options: { readonly size: number; readonly view: View }): Promise<Square>;
}

async function makersOf(name: string, count: number, random: Random): Promise<Maker[]> {
  if (name === "made") return Array.from({ length: count }, (_, i) => madePicture(i, random.fork(i)));
  if (name === "emoji") return random.shuffle(await emoji()).slice(0, count);
  if (name.startsWith("folder:")) return random.shuffle(await folderFiles(name.slice(7))).slice(0, count);
  throw new InputError(`other pictures: expected made, emoji or folder:PATH, found "${name}"`);
}

const madeKinds = ["random pixels", "gradient", "noise", "scene", "clutter", "figure"] as const;

function madePicture(index: number, random: Random): Maker {
  const kind = madeKinds[index % madeKinds.length]!;
  return {
    id: `made/${kind}-${index}`,
    kind,
    square: (options) => shrunkSquare(drawn(kind, random), options),
  };
}

function drawn(kind: typeof madeKinds[number], random: Random): { data: Buffer; width: number; height: number } {
  const side = MADE_SIZE;
  const { data } = kind === "figure" ? figure(random, side) : pictureFrom(drawing(kind, random, side), side, side, 3);
  return { data: Buffer.from(data.buffer, data.byteOffset, data.length), width: side, height: side };
}

function drawing(kind: "random pixels" | "clutter" | BackgroundKind, random: Random, side: number): Uint8Array {
  if (kind === "random pixels") return Uint8Array.from({ length: 3 * side * side }, () => random.uint32() >>> 24);
  if (kind === "clutter") return renderClutter(random, side, side);
  return renderBackground(random, side, side, { kinds: [kind] });
}

/** Three to seven overlapping ellipses in two or three colours on nothing: a body without a meaning. */
function figure(random: Random, side: number): Picture {
  const data = new Uint8ClampedArray(4 * side * side);
  const colours = Array.from({ length: 2 + random.int(2) }, () => randomColour(random));
  for (let count = 3 + random.int(5); count > 0; count--) {
    const x = random.uniform(0.3, 0.7), y = random.uniform(0.3, 0.7), colour = random.pick(colours);
    const wide = random.uniform(0.06, 0.28), high = random.uniform(0.06, 0.28);
    for (let i = 0; i < side * side; i++) {
      const u = ((i % side + 0.5) / side - x) / wide, v = ((Math.floor(i / side) + 0.5) / side - y) / high;
      if (u * u + v * v <= 1) data.set([...colour, 255], 4 * i);
    }
  }
  return { width: side, height: side, data, opaque: false };
}

const iconSetSchema = z.object({
  icons: z.record(
    z.string(),
    z.object({
      body: z.string(),
      hidden: z.boolean().optional(),
      width: z.number().optional(),
      height: z.number().optional(),
    }),
  ),
  width: z.number(),
  height: z.number(),
});

/** The ends of names that tell tones of skin of one drawing apart. */
const TONE = /-(light|dark|medium|medium-light|medium-dark)$/;

/** The emoji, by name. The import is what makes Deno fetch the package; its name is no literal, so that others need not. */
async function emoji(): Promise<Maker[]> {
  const name = "@iconify-json/fluent-emoji-flat";
  let module: { readonly default: unknown };
  try {
    module = await import(`${name}/icons.json`, { with: { type: "json" } });
  } catch (cause) {
    throw new WorkError(`other pictures: expected the npm package ${name}, found: ${describeError(cause, 200)}`, {
      cause,
    });
  }
  const { icons, width, height } = iconSetSchema.parse(module.default);
  return Object.entries(icons).filter(([name, { hidden }]) => !hidden && !TONE.test(name))
    .map(([name, icon]): Maker => ({
      id: `emoji/${name}`,
      kind: "emoji",
      square: (options) => squareOfBytes(svgOf({ width, height, ...icon }), options),
    })).sort((a, b) => compareText(a.id, b.id));
}

function svgOf({ body, width, height }: { body: string; width?: number | undefined; height?: number | undefined }) {
  return new TextEncoder().encode(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${body}</svg>`,
  );
}

async function folderFiles(folder: string): Promise<Maker[]> {
  const makers: Maker[] = [];
  const walk = async (inner: string): Promise<void> => {
    for await (const { name, isFile, isDirectory } of Deno.readDir(join(folder, inner))) {
      const path = inner === "" ? name : `${inner}/${name}`;
      if (isDirectory) await walk(path);
      else if (isFile && /\.(jpe?g|png|webp|gif|avif|svg)$/i.test(name)) {
        const kind = inner === "" ? "folder" : inner;
        makers.push({ id: path, kind, square: (options) => readSquareFile(join(folder, path), options) });
      }
    }
  };
  try {
    await walk("");
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${folder}: expected a folder of pictures, found ${reason(error)}`, { cause: error });
  }
  if (makers.length === 0) throw new InputError(`${folder}: expected pictures, found none`);
  return makers.sort((a, b) => compareText(a.id, b.id));
}
