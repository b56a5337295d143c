/** Steps whose loss or gradients are not finite: counted, and after too many in a row the end of training. */

import { TrainError } from "../errors.ts";
import type { StepResult } from "../compile_step.ts";
import type { FitProgress } from "./progress.ts";

/** Counts a step in. Throws TrainError that names the first cause after `most` such steps in a row. */
export function countNonFinite(
  before: FitProgress["nonFinite"],
  { finite, problem = "" }: StepResult,
  most: number,
): FitProgress["nonFinite"] {
  if (finite) return before.inRow === 0 ? before : { ...before, inRow: 0, first: "" };
  const after = {
    total: before.total + 1,
    inRow: before.inRow + 1,
    first: before.inRow === 0 ? problem : before.first,
  };
  if (after.inRow >= most) {
    throw new TrainError(`fit: expected a finite step among ${most} in a row, found none; the first: ${after.first}`);
  }
  return after;
}
