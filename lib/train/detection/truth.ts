/** True boxes of a batch of pictures, and what is refused among them. */

import type { YoloSpec } from "../../models/mod.ts";
import { TrainError } from "../errors.ts";

/** One labelled box, in pixels of the network's input. */
export interface TruthBox {
  readonly classId: number;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  /** The share of the picture that stands behind it, above 0 to 1; default 1. Less where pictures were mixed. */
  readonly weight?: number;
}

/** How far a box may stand out of the picture by rounding, in pixels; it is cut off. */
const ROUNDING = 0.01;

/**
 * A picture's boxes, cut to the picture. Throws TrainError that names the picture and the box for a class id out of range, a
 * number that is not finite, a box without area or outside the picture, a weight out of range, too many boxes.
 */
export function checkTruth(
  boxes: readonly TruthBox[],
  picture: number,
  { classes, size }: YoloSpec,
  maxBoxes: number,
): Required<TruthBox>[] {
  if (boxes.length > maxBoxes) {
    throw new TrainError(
      `yoloTargets: picture ${picture}: expected at most maxBoxes = ${maxBoxes} boxes, found ${boxes.length}`,
    );
  }
  return boxes.map((box, index) => {
    const { classId, left, top, right, bottom, weight = 1 } = box;
    const refuse = (expected: string, found: string | number) =>
      new TrainError(`yoloTargets: picture ${picture}, box ${index}: expected ${expected}, found ${found}`);
    if (!(Number.isInteger(classId) && classId >= 0 && classId < classes)) {
      throw refuse(`a class id in 0 … ${classes - 1}`, classId);
    }
    const corners = `${left}, ${top}, ${right}, ${bottom}`;
    if (![left, top, right, bottom].every(Number.isFinite)) throw refuse("four finite numbers", corners);
    if (!(right > left && bottom > top)) throw refuse("left < right and top < bottom", corners);
    if (Math.min(left, top) < -ROUNDING || Math.max(right, bottom) > size + ROUNDING) {
      throw refuse(`a box within the picture of ${size} x ${size} pixels`, corners);
    }
    if (!(weight > 0 && weight <= 1)) throw refuse("a weight above 0 to 1", weight);
    const inside = (x: number) => Math.min(size, Math.max(0, x));
    const cut = { left: inside(left), top: inside(top), right: inside(right), bottom: inside(bottom) };
    if (!(cut.right > cut.left && cut.bottom > cut.top)) throw refuse("a box within the picture", corners);
    return { classId, weight, ...cut };
  });
}
