/** Geometric transforms: they move pixels and boxes alike, about the frame's centre. */

import type { Random } from "../../runtime/mod.ts";
import { about, type Homography, rotating, scaling, shearing, toQuadrilateral, translating } from "./homography.ts";
import type { Sample } from "./sample.ts";
import { eachSample, type Transform } from "./transform.ts";

/** Mirrors left and right, or top and bottom, with the given probabilities. */
export function flip({ horizontal = 0.5, vertical = 0 }: { horizontal?: number; vertical?: number } = {}): Transform {
  return eachSample("flip", { horizontal, vertical }, (sample, random) => {
    const mirrorX = random.chance(horizontal), mirrorY = random.chance(vertical);
    if (mirrorX || mirrorY) centred(sample, scaling(mirrorX ? -1 : 1, mirrorY ? -1 : 1));
  });
}

/** Turns by up to `degrees` either way. */
export function rotation({ degrees = 20 }: { degrees?: number } = {}): Transform {
  return eachSample("rotation", { degrees }, (sample, random) => {
    centred(sample, rotating(random.uniform(-degrees, degrees) * Math.PI / 180));
  });
}

/** Zooms by a factor between `lowest` and `highest`, as likely smaller as larger in logarithm. */
export function scale({ lowest = 0.75, highest = 1.35 }: { lowest?: number; highest?: number } = {}): Transform {
  return eachSample("scale", { lowest, highest }, (sample, random) => {
    centred(sample, scaling(Math.exp(random.uniform(Math.log(lowest), Math.log(highest)))));
  });
}

/** Moves by up to `share` of the frame's sides in each direction. */
export function translation({ share = 0.1 }: { share?: number } = {}): Transform {
  return eachSample("translation", { share }, (sample, random) => {
    sample.transform(
      translating(random.uniform(-share, share) * sample.width, random.uniform(-share, share) * sample.height),
    );
  });
}

/** Shears along both axes, each by an angle of up to `degrees`. */
export function shear({ degrees = 8 }: { degrees?: number } = {}): Transform {
  return eachSample("shear", { degrees }, (sample, random) => {
    const amount = () => Math.tan(random.uniform(-degrees, degrees) * Math.PI / 180);
    centred(sample, shearing(amount(), 0));
    centred(sample, shearing(0, amount()));
  });
}

/** Moves each corner of the frame inwards or outwards by up to `strength` of its sides (below 1/4: corners stay convex). */
export function perspective({ strength = 0.1 }: { strength?: number } = {}): Transform {
  if (!(strength >= 0 && strength < 0.25)) {
    throw new RangeError(`perspective: expected a strength in 0 … 0.25, found ${strength}`);
  }
  return eachSample("perspective", { strength }, (sample, random) => {
    sample.transform(perspectiveMap(sample, strength, random));
  });
}

function perspectiveMap({ width, height }: Sample, strength: number, random: Random): Homography {
  const moved = (x: number, y: number): [number, number] => [
    x + random.uniform(-strength, strength) * width,
    y + random.uniform(-strength, strength) * height,
  ];
  return toQuadrilateral(width, height, [moved(0, 0), moved(width, 0), moved(width, height), moved(0, height)]);
}

function centred(sample: Sample, map: Homography): void {
  sample.transform(about(sample.width / 2, sample.height / 2, map));
}
