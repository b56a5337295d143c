/**
 * Corruptions in five severities, after ImageNet-C (Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to
 * common corruptions and perturbations", section 3). Strengths are those of its version for small pictures, Tiny ImageNet-C,
 * wherever it has the corruption; its lengths, given for frames of 64 pixels, are taken as parts of the frame's side. Occlusion,
 * scale, resolution (its pixelate shows even boxes), rotation, darkness and background are not among its corruptions: their
 * strengths are this project's.
 */

import { augment, type Picture, renderBackground, renderClutter } from "../../data/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { EvaluateError } from "../errors.ts";
import { gaussianBlur, motionBlur } from "./blur.ts";

/** From hardly seen to severe. */
export const SEVERITIES = [1, 2, 3, 4, 5] as const;
export type Severity = typeof SEVERITIES[number];

/** A picture before its corruption. */
export interface CleanPicture {
  /** Square, transparent where the picture is and beside what is not square. */
  readonly cutOut: Picture;
  /** What stands behind it: RGB, interleaved, of the same size. */
  readonly ground: Uint8Array;
  /** The one on the other: what a model is shown. */
  readonly flat: Picture;
}

/** A way in which pictures get worse. */
export interface Corruption {
  /** What is done to the picture, in a few words. */
  readonly about: string;
  /** What `strengths` are, with the unit. */
  readonly unit: string;
  /** By severity. */
  readonly strengths: readonly [number, number, number, number, number];
  /** Whether it needs a picture whose outline is known. */
  readonly cutOutsOnly: boolean;
  /** An opaque picture; the clean one is left as it is. */
  apply(clean: CleanPicture, strength: number, random: Random): Picture | Promise<Picture>;
}

/** Lays a square on its ground. */
export function cleanPicture(cutOut: Picture, ground: Uint8Array): CleanPicture {
  return { cutOut, ground, flat: augment.layOver(copyOf(cutOut), ground) };
}

const corruptions = {
  "gaussian blur": {
    about: "out of focus",
    unit: "standard deviation, parts of the side",
    strengths: [0.5 / 64, 0.75 / 64, 1 / 64, 1.25 / 64, 1.5 / 64],
    cutOutsOnly: false,
    apply: ({ flat }, strength) => gaussianBlur(flat, strength * flat.width),
  },
  "motion blur": {
    about: "moved while it was taken, in a random direction",
    unit: "standard deviation, parts of the side",
    strengths: [1 / 64, 1.5 / 64, 2 / 64, 2.5 / 64, 3 / 64],
    cutOutsOnly: false,
    apply: ({ flat }, strength, random) => motionBlur(flat, strength * flat.width, random.uniform(0, 2 * Math.PI)),
  },
  noise: {
    about: "normal noise on each channel",
    unit: "standard deviation, parts of the range",
    strengths: [0.04, 0.08, 0.12, 0.15, 0.18],
    cutOutsOnly: false,
    apply({ flat }, strength, random) {
      const picture = copyOf(flat);
      augment.addNoise(picture, 255 * strength, random);
      return picture;
    },
  },
  jpeg: {
    about: "compressed as JPEG",
    unit: "quality, 1 … 100",
    strengths: [65, 58, 50, 40, 25],
    cutOutsOnly: false,
    async apply({ flat }, strength) {
      const picture = copyOf(flat);
      await augment.throughJpeg(picture, strength);
      return picture;
    },
  },
  brightness: {
    about: "lighter: the value of HSV raised",
    unit: "added value, parts of the range",
    strengths: [0.1, 0.2, 0.3, 0.4, 0.5],
    cutOutsOnly: false,
    apply: ({ flat }, strength) => brightened(flat, 255 * strength),
  },
  darkness: {
    about: "darker, as in a dim room",
    unit: "light that is left",
    strengths: [0.75, 0.6, 0.45, 0.3, 0.2],
    cutOutsOnly: false,
    apply: ({ flat }, strength) => ({ ...flat, data: flat.data.map((v, at) => at % 4 === 3 ? v : v * strength) }),
  },
  contrast: {
    about: "paler: drawn together about the mean of each channel",
    unit: "contrast that is left",
    strengths: [0.4, 0.3, 0.2, 0.1, 0.05],
    cutOutsOnly: false,
    apply({ flat }, strength) {
      const means = [0, 1, 2].map((channel) => meanOf(flat, channel));
      return {
        ...flat,
        data: flat.data.map((v, at) => at % 4 === 3 ? v : means[at % 4]! * (1 - strength) + v * strength),
      };
    },
  },
  occlusion: {
    about: "something in front hides a part of the subject",
    unit: "hidden share of what can be seen",
    strengths: [0.1, 0.2, 0.3, 0.4, 0.5],
    cutOutsOnly: false,
    apply: ({ cutOut, ground }, strength, random) => occluded(cutOut, ground, strength, random),
  },
  scale: {
    about: "smaller in the frame",
    unit: "times the size",
    strengths: [0.8, 0.65, 0.5, 0.4, 0.3],
    cutOutsOnly: false,
    apply: (clean, strength) => moved(clean, augment.scaling(strength)),
  },
  resolution: {
    about: "fewer pixels, enlarged again",
    unit: "times the pixels of a side",
    strengths: [0.8, 0.6, 0.45, 0.33, 0.25],
    cutOutsOnly: false,
    apply: ({ flat }, strength) => augment.lowerResolution(copyOf(flat), strength),
  },
  rotation: {
    about: "turned either way",
    unit: "degrees",
    strengths: [10, 20, 35, 60, 90],
    cutOutsOnly: false,
    apply: (clean, strength, random) =>
      moved(clean, augment.rotating((random.chance(0.5) ? 1 : -1) * strength * Math.PI / 180)),
  },
  background: {
    about: "a busy drawing behind the cut-out",
    unit: "share of the busy drawing in the background",
    strengths: [0.2, 0.4, 0.6, 0.8, 1],
    cutOutsOnly: true,
    apply({ cutOut, ground }, strength, random) {
      const busy = renderClutter(random, cutOut.width, cutOut.height);
      const mixed = ground.map((value, at) => Math.round(value * (1 - strength) + busy[at]! * strength));
      return augment.layOver(copyOf(cutOut), mixed);
    },
  },
} satisfies Record<string, Corruption>;

/** The name of a corruption. */
export type CorruptionName = keyof typeof corruptions;

/** All corruptions by name. */
export const CORRUPTIONS: Readonly<Record<CorruptionName, Corruption>> = corruptions;

/** The names of all corruptions. */
export const CORRUPTION_NAMES = Object.keys(corruptions) as CorruptionName[];

/**
 * The picture, corrupted: opaque, its channels in 0 … 255. What is drawn by chance (directions, noise, what stands in front or
 * behind) follows from the corruption and the picture's key alone, so that severities differ by their strength only. Throws
 * EvaluateError for a picture without an outline where the corruption needs one.
 */
export async function corrupt(
  clean: CleanPicture,
  name: CorruptionName,
  severity: Severity,
  { key, seed = 0 }: { readonly key: string; readonly seed?: number },
): Promise<Picture> {
  const { strengths, cutOutsOnly, apply } = CORRUPTIONS[name];
  if (cutOutsOnly && clean.cutOut.opaque) {
    throw new EvaluateError(`corruption ${name}: expected a transparent picture, found ${key}, which is opaque`);
  }
  return await apply(clean, strengths[severity - 1]!, Random.seeded("corruption", seed, name, key));
}

function copyOf(picture: Picture): Picture {
  return { ...picture, data: picture.data.slice() };
}

function meanOf({ data }: Picture, channel: number): number {
  let sum = 0;
  for (let at = channel; at < data.length; at += 4) sum += data[at]!;
  return sum / (data.length / 4);
}

/** Raises the value of HSV, the largest channel, hue and saturation kept; black becomes grey. */
function brightened(picture: Picture, added: number): Picture {
  const result = copyOf(picture), { data } = result;
  for (let at = 0; at < data.length; at += 4) {
    const value = Math.max(data[at]!, data[at + 1]!, data[at + 2]!), raised = Math.min(255, value + added);
    for (let k = 0; k < 3; k++) data[at + k] = value === 0 ? raised : data[at + k]! * raised / value;
  }
  return result;
}

/** The cut-out mapped about the frame's centre, on the ground, which stays. */
function moved({ cutOut, ground }: CleanPicture, map: augment.Homography): Picture {
  const sample = new augment.Sample(copyOf(cutOut), []);
  sample.transform(augment.about(cutOut.width / 2, cutOut.height / 2, map));
  return augment.layOver(sample.render(), ground);
}

/**
 * Hides a share of the pixels that can be seen behind a box or disc around one of them, grown until it hides as many. The
 * severities of one picture grow from one centre.
 */
function occluded(cutOut: Picture, ground: Uint8Array, share: number, random: Random): Picture {
  const picture = copyOf(cutOut), { width, height, data } = picture;
  const visible: number[] = [];
  for (let i = 0; i < width * height; i++) if (data[4 * i + 3]! >= augment.visibleAlpha) visible.push(i);
  const angle = random.uniform(0, Math.PI), cos = Math.cos(angle), sin = Math.sin(angle), disc = random.chance(0.5);
  if (visible.length > 0) {
    const centre = random.pick(visible), centreX = centre % width + 0.5, centreY = Math.floor(centre / width) + 0.5;
    const distance = (x: number, y: number) => {
      const u = Math.abs((x - centreX) * cos + (y - centreY) * sin);
      const v = Math.abs((y - centreY) * cos - (x - centreX) * sin);
      return disc ? Math.hypot(u, v) : Math.max(u, v);
    };
    const distances = Float64Array.from(visible, (i) => distance(i % width + 0.5, Math.floor(i / width) + 0.5)).sort();
    const reach = distances[Math.max(0, Math.round(share * distances.length) - 1)]!;
    const cover = renderBackground(random, width, height, { kinds: ["plain", "gradient", "noise"] });
    augment.paintWhere(picture, cover, (x, y) => distance(x, y) <= reach);
  }
  return augment.layOver(picture, ground);
}
