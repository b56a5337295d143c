/** Which validation is the best, and when waiting for a better one ends. */

import { TrainError } from "../errors.ts";
import type { Best } from "./progress.ts";

/** The figure that decides which validation is the best. */
export interface Monitor {
  /** A name among the figures that validation returns. */
  readonly metric: string;
  readonly mode: "max" | "min";
  /** A figure counts as better only when it is better by more than this. Default: 0. */
  readonly minDelta?: number;
}

/**
 * Compares a validation with the best before it. NaN is never better. Throws TrainError when the figure is not among those
 * that validation returned.
 */
export function isBetter(
  { metric, mode, minDelta = 0 }: Monitor,
  figures: Readonly<Record<string, number>>,
  best: Best | null,
): boolean {
  const value = figures[metric];
  if (value === undefined) {
    throw new TrainError(
      `fit: monitor: expected the figure "${metric}", found ${Object.keys(figures).join(", ") || "no figure"}`,
    );
  }
  if (!Number.isFinite(value)) return false;
  if (!best) return true;
  return mode === "max" ? value > best.value + minDelta : value < best.value - minDelta;
}
