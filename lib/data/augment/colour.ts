/** Colour changes as one affine map of RGB followed by one curve, so that a chain of them costs one pass. */

/** Twelve numbers, row-major 3 x 4: each channel (in 0 … 1) is a weighted sum of red, green, blue and 1. */
export type ColourMatrix = readonly number[];

/** An affine map, then a power curve: out = clamp(matrix · rgb) ^ gamma. */
export interface ColourStep {
  readonly matrix: ColourMatrix;
  readonly gamma: number;
}

const identityMatrix: ColourMatrix = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];

/** Multiplies every channel. */
export function brightnessMatrix(factor: number): ColourMatrix {
  return [factor, 0, 0, 0, 0, factor, 0, 0, 0, 0, factor, 0];
}

/** Stretches about mid-grey: f · (c − 1/2) + 1/2 (W3C Filter Effects, section 4.6, contrast()). */
export function contrastMatrix(factor: number): ColourMatrix {
  const offset = 0.5 - 0.5 * factor;
  return [factor, 0, 0, offset, 0, factor, 0, offset, 0, 0, factor, offset];
}

/** From grey (0) over unchanged (1) to more vivid (W3C Filter Effects, feColorMatrix type="saturate"). */
export function saturationMatrix(s: number): ColourMatrix {
  return [
    ...[0.213 + 0.787 * s, 0.715 - 0.715 * s, 0.072 - 0.072 * s, 0],
    ...[0.213 - 0.213 * s, 0.715 + 0.285 * s, 0.072 - 0.072 * s, 0],
    ...[0.213 - 0.213 * s, 0.715 - 0.715 * s, 0.072 + 0.928 * s, 0],
  ];
}

/** Turns the hue by an angle in degrees, luminance kept (W3C Filter Effects, feColorMatrix type="hueRotate"). */
export function hueMatrix(degrees: number): ColourMatrix {
  const c = Math.cos(degrees * Math.PI / 180), s = Math.sin(degrees * Math.PI / 180);
  return [
    ...[0.213 + 0.787 * c - 0.213 * s, 0.715 - 0.715 * c - 0.715 * s, 0.072 - 0.072 * c + 0.928 * s, 0],
    ...[0.213 - 0.213 * c + 0.143 * s, 0.715 + 0.285 * c + 0.140 * s, 0.072 - 0.072 * c - 0.283 * s, 0],
    ...[0.213 - 0.213 * c - 0.787 * s, 0.715 - 0.715 * c + 0.715 * s, 0.072 + 0.928 * c + 0.072 * s, 0],
  ];
}

/** The matrix that applies `first`, then `second`. */
export function composeColour(first: ColourMatrix, second: ColourMatrix): ColourMatrix {
  const result = new Array<number>(12);
  for (let r = 0; r < 3; r++) {
    for (let c = 0; c < 4; c++) {
      let sum = c === 3 ? second[4 * r + 3]! : 0;
      for (let k = 0; k < 3; k++) sum += second[4 * r + k]! * first[4 * k + c]!;
      result[4 * r + c] = sum;
    }
  }
  return result;
}

/** Adds a change to the end of a list, joined to the last step where that gives the same result. */
export function appendColour(
  steps: readonly ColourStep[],
  change: { matrix?: ColourMatrix; gamma?: number },
): ColourStep[] {
  const { matrix = identityMatrix, gamma = 1 } = change;
  const last = steps.at(-1);
  if (!last) return [{ matrix, gamma }];
  const head = steps.slice(0, -1);
  if (last.gamma === 1) return [...head, { matrix: composeColour(last.matrix, matrix), gamma }];
  if (matrix === identityMatrix) return [...head, { matrix: last.matrix, gamma: last.gamma * gamma }];
  return [...steps, { matrix, gamma }];
}

/** Applies the steps to RGBA pixels in place; alpha is left alone. One pass a step. */
export function applyColour(data: Uint8ClampedArray, steps: readonly ColourStep[]): void {
  for (const { matrix, gamma } of steps) {
    const m = matrix.map((value, index) => index % 4 === 3 ? value * 255 : value);
    const [a, b, c, d, e, f, g, h, i, j, k, l] = m as [
      ...[number, number, number, number],
      ...[number, number, number, number],
      ...[number, number, number, number],
    ];
    if (gamma === 1) {
      for (let at = 0; at < data.length; at += 4) {
        const red = data[at]!, green = data[at + 1]!, blue = data[at + 2]!;
        data[at] = a * red + b * green + c * blue + d;
        data[at + 1] = e * red + f * green + g * blue + h;
        data[at + 2] = i * red + j * green + k * blue + l;
      }
      continue;
    }
    const curve = gammaCurve(gamma);
    for (let at = 0; at < data.length; at += 4) {
      const red = data[at]!, green = data[at + 1]!, blue = data[at + 2]!;
      data[at] = curve[index(a * red + b * green + c * blue + d)]!;
      data[at + 1] = curve[index(e * red + f * green + g * blue + h)]!;
      data[at + 2] = curve[index(i * red + j * green + k * blue + l)]!;
    }
  }
}

/** Entries of a curve per unit of a byte, so that dark tones keep their steps. */
const fineness = 4;

function gammaCurve(gamma: number): Uint8ClampedArray {
  const curve = new Uint8ClampedArray(255 * fineness + 1);
  for (let i = 0; i < curve.length; i++) curve[i] = 255 * (i / (255 * fineness)) ** gamma;
  return curve;
}

function index(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 * fineness : (value * fineness + 0.5) | 0;
}
