/** Seeded backgrounds that stand behind transparent pictures: plain, gradient, noise, procedural scene. */

import type { Random } from "../runtime/mod.ts";

/** What a background is made of. */
export const backgroundKinds = ["plain", "gradient", "noise", "scene"] as const;
export type BackgroundKind = typeof backgroundKinds[number];

/** An opaque colour, each channel in 0 … 255. */
export type Colour = readonly [red: number, green: number, blue: number];

export interface BackgroundOptions {
  /** The kinds to choose from, each as likely as the others. */
  readonly kinds?: readonly BackgroundKind[];
}

/**
 * Draws a background: RGB, interleaved, `3 * width * height` bytes. The same stream gives the same drawing at every size
 * (numbers are drawn before pixels are visited), so a small and a large version of one picture agree.
 * About 5 ns a pixel. Throws RangeError unless both sides are whole numbers ≥ 1.
 */
export function renderBackground(
  random: Random,
  width: number,
  height: number,
  { kinds = backgroundKinds }: BackgroundOptions = {},
): Uint8Array {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new RangeError(`renderBackground: expected whole sides ≥ 1, found ${width} x ${height}`);
  }
  const kind = random.pick(kinds);
  if (kind === "plain") return plainBackground(randomColour(random), width, height);
  if (kind === "gradient") return gradient(random, width, height);
  if (kind === "noise") return noise(random, width, height);
  return scene(random, width, height);
}

/** One colour everywhere: RGB, interleaved, `3 * width * height` bytes. */
export function plainBackground([red, green, blue]: Colour, width: number, height: number): Uint8Array {
  const pixels = new Uint8Array(3 * width * height);
  for (let at = 0; at < pixels.length; at += 3) {
    pixels[at] = red;
    pixels[at + 1] = green;
    pixels[at + 2] = blue;
  }
  return pixels;
}

/** A colour from hue, saturation and lightness drawn independently: greys are rare, extremes too. */
export function randomColour(random: Random): Colour {
  return fromHsl(random.uniform(0, 360), random.uniform(0.05, 0.9), random.uniform(0.12, 0.92));
}

/** HSL to RGB (CSS Color 4, section 7.1): hue in degrees, saturation and lightness in 0 … 1. */
export function fromHsl(hue: number, saturation: number, lightness: number): Colour {
  const channel = (n: number) => {
    const k = (n + hue / 30) % 12;
    const a = saturation * Math.min(lightness, 1 - lightness);
    return Math.round(255 * (lightness - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

/** Two or three colours along a line or around a point. */
function gradient(random: Random, width: number, height: number): Uint8Array {
  const ramp = colourRamp([randomColour(random), randomColour(random), randomColour(random)].slice(random.int(2)));
  const angle = random.uniform(0, 2 * Math.PI);
  const centreX = random.uniform(0.1, 0.9), centreY = random.uniform(0.1, 0.9);
  const pixels = new Uint8Array(3 * width * height);
  if (random.chance(0.5)) {
    // t runs from 0 to 1 between the two corners that the direction reaches first and last.
    const dx = Math.cos(angle), dy = Math.sin(angle);
    const reach = Math.abs(dx) + Math.abs(dy);
    return paint(pixels, ramp, width, height, (x, y) => ((x - 0.5) * dx + (y - 0.5) * dy) / reach + 0.5);
  }
  return paint(pixels, ramp, width, height, (x, y) => Math.sqrt((x - centreX) ** 2 + (y - centreY) ** 2) / 1.1);
}

/** Fractal value noise between two or three colours. */
function noise(random: Random, width: number, height: number): Uint8Array {
  const ramp = colourRamp([randomColour(random), randomColour(random), randomColour(random)].slice(random.int(2)));
  const first = 2 + random.int(6);
  const field = new Float32Array(width * height);
  for (let octave = 0, cells = first, amplitude = 0.5; octave < 4; octave++, cells *= 2, amplitude /= 2) {
    addNoise(field, random, width, height, cells, amplitude / 0.9375);
  }
  const pixels = new Uint8Array(3 * width * height);
  for (let i = 0, at = 0; i < field.length; i++, at += 3) {
    // Value noise keeps close to its middle; the stretch uses more of the ramp.
    const t = (field[i]! - 0.5) * 1.8 + 0.5;
    put(pixels, at, ramp, t <= 0 ? 0 : t >= 1 ? 255 : (t * 255) | 0);
  }
  return pixels;
}

/** A landscape: sky with clouds, two or three ridges that darken towards the viewer, mottled ground. */
function scene(random: Random, width: number, height: number): Uint8Array {
  const [skyHue, groundHue] = [random.uniform(180, 260), random.pick([35, 90, 110, 130, 200, 45])];
  const light = random.uniform(0.35, 0.95);
  const sky = colourRamp([
    fromHsl(skyHue, random.uniform(0.2, 0.8), 0.25 + 0.4 * light),
    fromHsl(random.chance(0.3) ? 30 : skyHue, random.uniform(0.2, 0.8), 0.45 + 0.45 * light),
  ]);
  const cloudiness = random.uniform(0, 0.9);
  const horizon = random.uniform(0.3, 0.7);
  const ridges = Array.from({ length: 1 + random.int(3) }, (_, index) => ({
    base: horizon + index * random.uniform(0.08, 0.16),
    line: ridgeLine(random, width, random.uniform(0.05, 0.22), 2 + random.int(4)),
    ramp: colourRamp([0, 1].map((bright) =>
      fromHsl(
        (groundHue + random.uniform(-15, 15) + 360) % 360,
        random.uniform(0.2, 0.6),
        light * (0.55 - 0.12 * index) * (0.75 + 0.4 * bright),
      )
    )),
  }));
  const field = new Float32Array(width * height);
  for (let octave = 0, cells = 3 + random.int(4), amplitude = 0.6; octave < 3; octave++, cells *= 2, amplitude /= 2) {
    addNoise(field, random, width, height, cells, amplitude / 1.05);
  }
  const pixels = new Uint8Array(3 * width * height);
  for (let y = 0, i = 0; y < height; y++) {
    const v = (y + 0.5) / height;
    const skyAt = Math.min(255, (v / horizon) * 255) | 0;
    for (let x = 0; x < width; x++, i++) {
      let ramp = sky, t = skyAt, cloud = 0;
      for (let r = ridges.length - 1; r >= 0; r--) {
        const ridge = ridges[r]!;
        if (v < ridge.base + ridge.line[x]!) continue;
        ramp = ridge.ramp;
        t = (field[i]! * 255) | 0;
        break;
      }
      if (ramp === sky) cloud = Math.max(0, Math.min(0.85, (field[i]! - 0.75 + 0.4 * cloudiness) * 4)) * light;
      put(pixels, 3 * i, ramp, t);
      if (cloud > 0) {
        for (let c = 0; c < 3; c++) pixels[3 * i + c] = pixels[3 * i + c]! * (1 - cloud) + 245 * cloud;
      }
    }
  }
  return pixels;
}

/** The height of a ridge above its base at each column, in parts of the picture's height, negative upwards. */
function ridgeLine(random: Random, width: number, amplitude: number, cells: number): Float32Array {
  const line = new Float32Array(width);
  for (let octave = 0; octave < 4; octave++, cells *= 2, amplitude /= 2) {
    addNoise(line, random, width, 1, cells, -amplitude);
  }
  return line;
}

/**
 * Adds value noise to a field: random numbers in [0, amplitude) on a grid of `cells` by `cells` (by 1 for a single row),
 * interpolated with a smooth step. Rows are interpolated first, so that a pixel costs one multiplication.
 */
function addNoise(
  field: Float32Array,
  random: Random,
  width: number,
  height: number,
  cells: number,
  amplitude: number,
): void {
  const rows = height === 1 ? 2 : cells + 1;
  const grid = new Float32Array(rows * (cells + 1));
  for (let i = 0; i < grid.length; i++) grid[i] = amplitude * random.uniform();
  const column = new Int32Array(width), weight = new Float32Array(width);
  for (let x = 0; x < width; x++) {
    const at = ((x + 0.5) / width) * cells;
    column[x] = Math.floor(at);
    weight[x] = smooth(at - Math.floor(at));
  }
  const row = new Float32Array(cells + 1);
  for (let y = 0; y < height; y++) {
    const at = height === 1 ? 0 : ((y + 0.5) / height) * cells;
    const top = Math.floor(at) * (cells + 1), t = smooth(at - Math.floor(at));
    for (let x = 0; x <= cells; x++) row[x] = grid[top + x]! * (1 - t) + grid[top + cells + 1 + x]! * t;
    for (let x = 0, i = y * width; x < width; x++, i++) {
      const left = row[column[x]!]!;
      field[i] = field[i]! + left + (row[column[x]! + 1]! - left) * weight[x]!;
    }
  }
}

function smooth(t: number): number {
  return t * t * (3 - 2 * t);
}

/** 256 colours between the given ones, spaced evenly: RGB, interleaved. */
function colourRamp(colours: readonly Colour[]): Uint8Array {
  const ramp = new Uint8Array(3 * 256);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (colours.length - 1);
    const index = Math.min(colours.length - 2, Math.floor(at));
    const from = colours[index]!, to = colours[index + 1]!;
    for (let c = 0; c < 3; c++) ramp[3 * i + c] = Math.round(from[c]! + (to[c]! - from[c]!) * (at - index));
  }
  return ramp;
}

/** Colours every pixel by t in 0 … 1, a function of its place in 0 … 1 from the top left corner. */
function paint(
  pixels: Uint8Array,
  ramp: Uint8Array,
  width: number,
  height: number,
  t: (x: number, y: number) => number,
): Uint8Array {
  for (let y = 0, at = 0; y < height; y++) {
    const v = (y + 0.5) / height;
    for (let x = 0; x < width; x++, at += 3) {
      const value = t((x + 0.5) / width, v);
      put(pixels, at, ramp, value <= 0 ? 0 : value >= 1 ? 255 : (value * 255) | 0);
    }
  }
  return pixels;
}

function put(pixels: Uint8Array, at: number, ramp: Uint8Array, index: number): void {
  const from = 3 * index;
  pixels[at] = ramp[from]!;
  pixels[at + 1] = ramp[from + 1]!;
  pixels[at + 2] = ramp[from + 2]!;
}
