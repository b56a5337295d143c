/** Parts that are hidden: something in front of the subject, or a patch of noise. */

import type { Random } from "../../runtime/mod.ts";
import { randomColour, renderBackground } from "../backgrounds.ts";
import type { Picture } from "./picture.ts";
import { eachSample, type Transform } from "./transform.ts";

/** Covers up to `share` of the picture with a plain or patterned bar, box or disc, as a thing in front would. */
export function occlusion({ share = 0.2 }: { share?: number } = {}): Transform {
  return eachSample("occlusion", { share }, (sample, random) => {
    const picture = sample.render();
    const { width, height } = picture;
    const wanted = random.uniform(0.25, 1) * share * width * height;
    const angle = random.uniform(0, Math.PI), dx = Math.cos(angle), dy = Math.sin(angle);
    const ratio = Math.exp(random.uniform(-0.7, 0.7));
    const shape = random.pick(["bar", "box", "disc"] as const);
    const centreX = random.uniform(0.1, 0.9) * width, centreY = random.uniform(0.1, 0.9) * height;
    // Half sides, so that the shape's own area is what was wanted.
    const area = shape === "disc" ? wanted / Math.PI : wanted / 4;
    const half = shape === "bar" ? [Math.hypot(width, height), wanted / (2 * Math.hypot(width, height))] : [
      Math.sqrt(area * ratio),
      Math.sqrt(area / ratio),
    ];
    const cover = renderBackground(random, width, height, { kinds: ["plain", "plain", "gradient", "noise"] });
    paintWhere(picture, cover, (x, y) => {
      const u = Math.abs((x - centreX) * dx + (y - centreY) * dy) / half[0]!;
      const v = Math.abs((y - centreY) * dx - (x - centreX) * dy) / half[1]!;
      return shape === "disc" ? u * u + v * v <= 1 : u <= 1 && v <= 1;
    });
  });
}

/**
 * Fills an upright rectangle with noise or one colour (Zhong et al. 2017, "Random Erasing Data Augmentation", algorithm 1):
 * its area is between `smallest` and `largest` of the picture, its sides' ratio between `ratio` and 1 / `ratio`.
 */
export function erasing(
  { smallest = 0.02, largest = 0.25, ratio = 0.3 }: { smallest?: number; largest?: number; ratio?: number } = {},
): Transform {
  return eachSample("erasing", { smallest, largest, ratio }, (sample, random) => {
    const picture = sample.render();
    const { width, height, data } = picture;
    for (let attempt = 0; attempt < 100; attempt++) {
      const area = random.uniform(smallest, largest) * width * height;
      const sides = Math.exp(random.uniform(Math.log(ratio), -Math.log(ratio)));
      const w = Math.round(Math.sqrt(area / sides)), h = Math.round(Math.sqrt(area * sides));
      if (w < 1 || h < 1 || w > width || h > height) continue;
      const left = random.int(width - w + 1), top = random.int(height - h + 1);
      const colour = random.chance(0.5) ? randomColour(random) : undefined;
      for (let y = top; y < top + h; y++) {
        for (let at = 4 * (y * width + left), end = at + 4 * w; at < end; at += 4) fill(data, at, colour, random);
      }
      return;
    }
  });
}

function fill(
  data: Uint8ClampedArray,
  at: number,
  colour: readonly [number, number, number] | undefined,
  random: Random,
): void {
  const bits = colour ? 0 : random.uint32();
  data[at] = colour ? colour[0] : bits & 255;
  data[at + 1] = colour ? colour[1] : (bits >>> 8) & 255;
  data[at + 2] = colour ? colour[2] : (bits >>> 16) & 255;
  data[at + 3] = 255;
}

/** Paints a cover (RGB, interleaved, of the picture's size) over the pixels whose centres lie inside, in place. */
export function paintWhere(
  { width, height, data }: Picture,
  cover: Uint8Array,
  inside: (x: number, y: number) => boolean,
): void {
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!inside(x + 0.5, y + 0.5)) continue;
      for (let k = 0; k < 3; k++) data[4 * i + k] = cover[3 * i + k]!;
      data[4 * i + 3] = 255;
    }
  }
}
