/** Backgrounds behind transparent pictures: plain, gradient, noise, procedural scene; all from a seed. */

import { Random } from "../runtime/mod.ts";

export const backgroundKinds = ["plain", "gradient", "noise", "scene"] as const;
export type BackgroundKind = typeof backgroundKinds[number];

/** The grey that YOLO tools pad with (Ultralytics' LetterBox). */
export const paddingGrey = 114;

/**
 * A square background: one byte a pixel, and the RGB colour of each of the 256 values (`palette[3 * value + channel]`).
 * Keeping the two apart makes a background cheap: few maps are drawn, and a palette is drawn anew for every picture.
 */
export interface Background {
  readonly map: Uint8Array;
  readonly palette: Uint8Array;
}

/** Maps drawn in advance of each kind; with a free palette each. */
const mapsPerKind = 12;

/** A seeded set of backgrounds for pictures of `size` x `size` pixels. Two sets with one seed are the same. */
export class BackgroundSet {
  readonly size: number;
  readonly #maps: Record<Exclude<BackgroundKind, "plain">, Uint8Array[]>;
  readonly #flat: Uint8Array;

  constructor(seed: number, size: number) {
    this.size = size;
    this.#flat = new Uint8Array(size * size);
    const draw = (kind: string, drawMap: (random: Random, size: number) => Uint8Array) =>
      Array.from({ length: mapsPerKind }, (_, index) => drawMap(Random.seeded("background", seed, kind, index), size));
    this.#maps = { gradient: draw("gradient", gradientMap), noise: draw("noise", noiseMap), scene: draw("scene", sceneMap) };
  }

  /** The grey that opaque pictures are padded with. */
  padding(): Background {
    return { map: this.#flat, palette: new Uint8Array(256 * 3).fill(paddingGrey) };
  }

  /** One of the set, chosen and coloured by `random`; every kind is as likely as any other unless one is asked for. */
  pick(random: Random, kind: BackgroundKind = random.pick(backgroundKinds)): Background {
    if (kind === "plain") return { map: this.#flat, palette: ramp([colour(random), colour(random)]) };
    const map = random.pick(this.#maps[kind]);
    return { map, palette: kind === "scene" ? scenePalette(random) : ramp([colour(random), colour(random)]) };
  }
}

type Colour = readonly [number, number, number];

/** Any colour, pale and grey ones as likely as bright ones. */
function colour(random: Random): Colour {
  return fromHsv(random.uniform(0, 360), random.uniform() ** 1.5, random.uniform(0.15, 1));
}

/** Smith 1978: hue in degrees, saturation and value in 0 … 1, to RGB in 0 … 255. */
function fromHsv(hue: number, saturation: number, value: number): Colour {
  const channel = (n: number) => {
    const k = (n + hue / 60) % 6;
    return Math.round(255 * (value - value * saturation * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [channel(5), channel(3), channel(1)];
}

/** 256 colours through the given ones at even distances. */
function ramp(colours: readonly Colour[]): Uint8Array {
  const palette = new Uint8Array(256 * 3);
  fillRamp(palette, 0, 256, colours);
  return palette;
}

function fillRamp(palette: Uint8Array, from: number, length: number, colours: readonly Colour[]): void {
  for (let i = 0; i < length; i++) {
    const at = i / (length - 1) * (colours.length - 1);
    const low = Math.min(colours.length - 2, Math.floor(at));
    for (let k = 0; k < 3; k++) {
      const a = colours[low]![k]!, b = colours[low + 1]![k]!;
      palette[(from + i) * 3 + k] = Math.round(a + (b - a) * (at - low));
    }
  }
}

/** Linear at any angle, or radial around any point; values 0 … 255. */
function gradientMap(random: Random, size: number): Uint8Array {
  const map = new Uint8Array(size * size);
  const radial = random.chance(0.3);
  const angle = random.uniform(0, 2 * Math.PI);
  const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
  const [cx, cy] = [random.uniform(0.2, 0.8), random.uniform(0.2, 0.8)];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const [u, v] = [x / size, y / size];
      const value = radial ? Math.hypot(u - cx, v - cy) / 1.1 : 0.5 + ((u - 0.5) * dx + (v - 0.5) * dy) / 1.42;
      map[y * size + x] = Math.round(255 * Math.min(1, Math.max(0, value)));
    }
  }
  return map;
}

/** Value noise in octaves (Perlin's sum of octaves over lattice noise), from clouds to grain; values 0 … 255. */
function noiseMap(random: Random, size: number): Uint8Array {
  const coarsest = random.pick([3, 5, 8, 16, 40]);
  const sum = new Float32Array(size * size);
  let weights = 0;
  for (let octave = 0, cells = coarsest; octave < 4 && cells < size; octave++, cells *= 2) {
    const weight = 0.55 ** octave;
    weights += weight;
    addLattice(sum, random, size, cells, weight);
  }
  return Uint8Array.from(sum, (value) => Math.round(255 * value / weights));
}

/** Adds random values on a lattice of `cells` a side, smoothly interpolated, each in 0 … weight. */
function addLattice(sum: Float32Array, random: Random, size: number, cells: number, weight: number): void {
  const stride = cells + 1;
  const lattice = Float32Array.from({ length: stride * stride }, () => random.uniform());
  const smooth = (t: number) => t * t * (3 - 2 * t);
  for (let y = 0; y < size; y++) {
    const v = y * cells / size, row = Math.floor(v), fy = smooth(v - row);
    for (let x = 0; x < size; x++) {
      const u = x * cells / size, column = Math.floor(u), fx = smooth(u - column);
      const at = row * stride + column;
      const top = lattice[at]! + (lattice[at + 1]! - lattice[at]!) * fx;
      const bottom = lattice[at + stride]! + (lattice[at + stride + 1]! - lattice[at + stride]!) * fx;
      sum[y * size + x]! += weight * (top + (bottom - top) * fy);
    }
  }
}

/** Values of a scene's map: sky, two ranges of hills, ground, things that stand on it. */
const sceneBands = { sky: [0, 96], far: [96, 32], near: [128, 32], ground: [160, 64], things: [224, 32] } as const;

/** A landscape: sky getting lighter towards the horizon, hills, textured ground, bushes or rocks. */
function sceneMap(random: Random, size: number): Uint8Array {
  const map = new Uint8Array(size * size);
  const horizon = random.uniform(0.45, 0.75) * size;
  const texture = noiseMap(random, size);
  const ridge = (height: number) => {
    const waves = Array.from({ length: 4 }, (_, k) => ({
      cycles: (k + 1) * random.uniform(0.6, 1.4),
      phase: random.uniform(0, 2 * Math.PI),
      height: height / (k + 1),
    }));
    return (x: number) =>
      horizon - waves.reduce((sum, wave) =>
        sum + wave.height * (1 + Math.sin(2 * Math.PI * wave.cycles * x / size + wave.phase)), 0);
  };
  const far = ridge(size * random.uniform(0.04, 0.12)), near = ridge(size * random.uniform(0, 0.05));
  const value = ([first, count]: readonly [number, number], share: number) =>
    first + Math.min(count - 1, Math.max(0, Math.floor(share * count)));
  for (let x = 0; x < size; x++) {
    const [top, middle] = [far(x), near(x)];
    for (let y = 0; y < size; y++) {
      const grain = texture[y * size + x]! / 255;
      map[y * size + x] = y >= horizon
        ? value(sceneBands.ground, 0.5 * (y - horizon) / (size - horizon) + 0.5 * grain)
        : y >= middle
        ? value(sceneBands.near, grain)
        : y >= top
        ? value(sceneBands.far, grain)
        : value(sceneBands.sky, y / horizon * 0.85 + 0.15 * grain);
    }
  }
  for (let k = random.int(10); k > 0; k--) {
    const cx = random.uniform(0, size), cy = random.uniform(horizon, size);
    const rx = size * random.uniform(0.02, 0.09), ry = rx * random.uniform(0.5, 1.3);
    for (let y = Math.max(0, Math.floor(cy - ry)); y < Math.min(size, cy); y++) {
      for (let x = Math.max(0, Math.floor(cx - rx)); x < Math.min(size, cx + rx); x++) {
        if (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 > 1) continue;
        map[y * size + x] = value(sceneBands.things, 0.6 * (y - cy + ry) / ry + 0.4 * texture[y * size + x]! / 255);
      }
    }
  }
  return map;
}

/** Times of day and places: day, dusk, night; meadow, sand, snow, rock, water. */
function scenePalette(random: Random): Uint8Array {
  const palette = new Uint8Array(256 * 3);
  const [skyHue, light] = random.pick([[210, 1], [200, 0.85], [25, 0.9], [280, 0.6], [230, 0.4]] as const);
  const ground = random.pick([[100, 0.5], [42, 0.4], [200, 0.08], [25, 0.25], [190, 0.5]] as const);
  const tone = (hue: number, saturation: number, value: number) =>
    fromHsv((hue + random.uniform(-12, 12) + 360) % 360, saturation * random.uniform(0.7, 1.2), Math.min(1, value * light));
  fillRamp(palette, ...sceneBands.sky, [tone(skyHue, 0.6, 0.9), tone(skyHue, 0.15, 1)]);
  fillRamp(palette, ...sceneBands.far, [tone(skyHue, 0.3, 0.6), tone(skyHue, 0.3, 0.75)]);
  fillRamp(palette, ...sceneBands.near, [tone(ground[0] + 15, ground[1] + 0.1, 0.45), tone(ground[0] + 15, ground[1], 0.6)]);
  fillRamp(palette, ...sceneBands.ground, [tone(ground[0], ground[1], 0.85), tone(ground[0], ground[1] + 0.1, 0.5)]);
  fillRamp(palette, ...sceneBands.things, [tone(ground[0] + 30, 0.4, 0.55), tone(ground[0] + 30, 0.5, 0.2)]);
  return palette;
}
