/** Convex polygons in homogeneous coordinates: what a box becomes under a homography, and what the frame leaves of it. */

import type { Homography } from "./homography.ts";

/** Vertices x, y, w, one after another. */
export type Polygon = readonly number[];

/** An upright rectangle, in pixels. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export function rectanglePolygon({ left, top, right, bottom }: Rectangle): Polygon {
  return [left, top, 1, right, top, 1, right, bottom, 1, left, bottom, 1];
}

export function mapPolygon(polygon: Polygon, m: Homography): Polygon {
  const result = new Array<number>(polygon.length);
  for (let i = 0; i < polygon.length; i += 3) {
    const x = polygon[i]!, y = polygon[i + 1]!, w = polygon[i + 2]!;
    for (let r = 0; r < 3; r++) result[i + r] = m[3 * r]! * x + m[3 * r + 1]! * y + m[3 * r + 2]! * w;
  }
  return result;
}

/** The part in front of the viewer (w > 0); without it a perspective's far side would fold over the near one. */
export function inFront(polygon: Polygon): Polygon {
  return cut(polygon, 0, 0, 1, -1e-6);
}

/** The part inside the frame (0, 0) … (width, height) (Sutherland and Hodgman 1974, in homogeneous coordinates). */
export function clipToFrame(polygon: Polygon, width: number, height: number): Polygon {
  let result = inFront(polygon);
  result = cut(result, 1, 0, 0, 0);
  result = cut(result, -1, 0, width, 0);
  result = cut(result, 0, 1, 0, 0);
  return cut(result, 0, -1, height, 0);
}

/** Area in square pixels; every w must be positive. */
export function area(polygon: Polygon): number {
  let twice = 0;
  for (let i = 0, j = polygon.length - 3; i < polygon.length; j = i, i += 3) {
    const [x0, y0] = [polygon[j]! / polygon[j + 2]!, polygon[j + 1]! / polygon[j + 2]!];
    const [x1, y1] = [polygon[i]! / polygon[i + 2]!, polygon[i + 1]! / polygon[i + 2]!];
    twice += x0 * y1 - x1 * y0;
  }
  return Math.abs(twice) / 2;
}

/** The smallest upright rectangle around the polygon; undefined for an empty one. Every w must be positive. */
export function hull(polygon: Polygon): Rectangle | undefined {
  if (polygon.length === 0) return undefined;
  let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity;
  for (let i = 0; i < polygon.length; i += 3) {
    const x = polygon[i]! / polygon[i + 2]!, y = polygon[i + 1]! / polygon[i + 2]!;
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return { left, top, right, bottom };
}

/** Keeps the side where a·x + b·y + c·w + d ≥ 0. */
function cut(polygon: Polygon, a: number, b: number, c: number, d: number): Polygon {
  const result: number[] = [];
  const side = (i: number) => a * polygon[i]! + b * polygon[i + 1]! + c * polygon[i + 2]! + d;
  for (let i = 0, j = polygon.length - 3; i < polygon.length; j = i, i += 3) {
    const from = side(j), to = side(i);
    if (from >= 0 !== to >= 0) {
      const t = from / (from - to);
      for (let k = 0; k < 3; k++) result.push(polygon[j + k]! + t * (polygon[i + k]! - polygon[j + k]!));
    }
    if (to >= 0) { for (let k = 0; k < 3; k++) result.push(polygon[i + k]!); }
  }
  return result;
}
