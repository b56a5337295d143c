/** Photometric transforms: every pixel's colour changes by the same rule. */

import { brightnessMatrix, contrastMatrix, hueMatrix, saturationMatrix } from "./colour.ts";
import { eachSample, type Transform } from "./transform.ts";

/** Multiplies by a factor within 1 ± `strength`. */
export function brightness({ strength = 0.25 }: { strength?: number } = {}): Transform {
  return eachSample("brightness", { strength }, (sample, random) => {
    sample.recolour({ matrix: brightnessMatrix(random.uniform(1 - strength, 1 + strength)) });
  });
}

/** Stretches about mid-grey by a factor within 1 ± `strength`. */
export function contrast({ strength = 0.25 }: { strength?: number } = {}): Transform {
  return eachSample("contrast", { strength }, (sample, random) => {
    sample.recolour({ matrix: contrastMatrix(random.uniform(1 - strength, 1 + strength)) });
  });
}

/** Moves away from grey or towards it by a factor within 1 ± `strength`. */
export function saturation({ strength = 0.4 }: { strength?: number } = {}): Transform {
  return eachSample("saturation", { strength }, (sample, random) => {
    sample.recolour({ matrix: saturationMatrix(random.uniform(1 - strength, 1 + strength)) });
  });
}

/** Turns the hue by up to `degrees` either way. Kept small: colour tells species apart. */
export function hue({ degrees = 12 }: { degrees?: number } = {}): Transform {
  return eachSample("hue", { degrees }, (sample, random) => {
    sample.recolour({ matrix: hueMatrix(random.uniform(-degrees, degrees)) });
  });
}

/** Raises each channel to a power between 1 / `highest` and `highest`, even in logarithm. */
export function gamma({ highest = 1.4 }: { highest?: number } = {}): Transform {
  if (!(highest >= 1)) throw new RangeError(`gamma: expected a highest power of at least 1, found ${highest}`);
  return eachSample("gamma", { highest }, (sample, random) => {
    sample.recolour({ gamma: Math.exp(random.uniform(-Math.log(highest), Math.log(highest))) });
  });
}
