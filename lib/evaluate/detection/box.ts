/** Boxes, found and true, and how much two of them overlap. */

/** A rectangle; the right edge lies at or behind the left one, the bottom at or below the top. Pixels, or shares of a side. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Where an object is and of which class. */
export interface TruthBox extends Rectangle {
  readonly classId: number;
}

/** A box that a detector reports, with its confidence. */
export interface ScoredBox extends TruthBox {
  readonly score: number;
}

/** Intersection over union in 0 … 1; 0 where the boxes do not overlap or have no area. */
export function intersectionOverUnion(a: Rectangle, b: Rectangle): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (!(width > 0 && height > 0)) return 0;
  const shared = width * height;
  return shared / ((a.right - a.left) * (a.bottom - a.top) + (b.right - b.left) * (b.bottom - b.top) - shared);
}
