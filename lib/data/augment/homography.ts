/** Plane projective maps (3 x 3 matrices, row-major) on pixel coordinates; a pixel's centre lies at +0.5. */

/** Maps (x, y, w) to the matrix times it; a point is (x / w, y / w). */
export type Homography = readonly [number, number, number, number, number, number, number, number, number];

export const identity: Homography = [1, 0, 0, 0, 1, 0, 0, 0, 1];

/** The map that applies `first`, then `second`. */
export function compose(first: Homography, second: Homography): Homography {
  const m = new Array<number>(9);
  for (let r = 0; r < 3; r++) {
    for (let c = 0; c < 3; c++) {
      m[3 * r + c] = second[3 * r]! * first[c]! + second[3 * r + 1]! * first[3 + c]! +
        second[3 * r + 2]! * first[6 + c]!;
    }
  }
  return m as unknown as Homography;
}

/** The map back. Throws RangeError when the map folds the plane into a line. */
export function invert([a, b, c, d, e, f, g, h, i]: Homography): Homography {
  const [A, B, C] = [e * i - f * h, f * g - d * i, d * h - e * g];
  const determinant = a * A + b * B + c * C;
  if (!(Math.abs(determinant) > 1e-12)) {
    throw new RangeError(`invert: expected an invertible map, found ${determinant}`);
  }
  const s = 1 / determinant;
  return [
    A * s,
    (c * h - b * i) * s,
    (b * f - c * e) * s,
    B * s,
    (a * i - c * g) * s,
    (c * d - a * f) * s,
    C * s,
    (b * g - a * h) * s,
    (a * e - b * d) * s,
  ];
}

/** Moves by (dx, dy) pixels. */
export function translating(dx: number, dy: number): Homography {
  return [1, 0, dx, 0, 1, dy, 0, 0, 1];
}

/** Stretches by (sx, sy) about the origin; a negative factor mirrors. */
export function scaling(sx: number, sy = sx): Homography {
  return [sx, 0, 0, 0, sy, 0, 0, 0, 1];
}

/** Turns by an angle in radians about the origin, clockwise as the picture is seen (y points down). */
export function rotating(angle: number): Homography {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [cos, -sin, 0, sin, cos, 0, 0, 0, 1];
}

/** Shears about the origin: x grows by `kx` times y, y by `ky` times x. */
export function shearing(kx: number, ky = 0): Homography {
  return [1, kx, 0, ky, 1, 0, 0, 0, 1];
}

/** The same map about another point. */
export function about(x: number, y: number, map: Homography): Homography {
  return compose(compose(translating(-x, -y), map), translating(x, y));
}

/** The point where (x, y) goes. */
export function mapPoint([a, b, c, d, e, f, g, h, i]: Homography, x: number, y: number): [number, number] {
  const w = g * x + h * y + i;
  return [(a * x + b * y + c) / w, (d * x + e * y + f) / w];
}

/**
 * The map of the rectangle (0, 0) … (width, height) to a quadrilateral given by its corners, clockwise from the top left
 * (Heckbert 1989, "Fundamentals of Texture Mapping and Image Warping", section 2.2.3).
 * Throws RangeError when the corners are not those of a convex quadrilateral.
 */
export function toQuadrilateral(
  width: number,
  height: number,
  corners: readonly [
    readonly [number, number],
    readonly [number, number],
    readonly [number, number],
    readonly [
      number,
      number,
    ],
  ],
): Homography {
  const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = corners;
  for (let i = 0; i < 4; i++) {
    const [p, q, r] = [corners[i]!, corners[(i + 1) % 4]!, corners[(i + 2) % 4]!];
    if ((q[0] - p[0]) * (r[1] - q[1]) - (q[1] - p[1]) * (r[0] - q[0]) <= 0) {
      throw new RangeError(`toQuadrilateral: expected convex corners, clockwise, found ${JSON.stringify(corners)}`);
    }
  }
  const [dx1, dx2, sx] = [x1 - x2, x3 - x2, x0 - x1 + x2 - x3];
  const [dy1, dy2, sy] = [y1 - y2, y3 - y2, y0 - y1 + y2 - y3];
  const denominator = dx1 * dy2 - dx2 * dy1;
  const g = (sx * dy2 - dx2 * sy) / denominator;
  const h = (dx1 * sy - sx * dy1) / denominator;
  const unit: Homography = [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
  return compose(scaling(1 / width, 1 / height), unit);
}

/** How many times larger a small area at (x, y) becomes, as a factor of length: the root of |det J|. */
export function magnification(map: Homography, x: number, y: number): number {
  const [a, b, , d, e, , g, h, i] = map;
  const w = g * x + h * y + i;
  const [u, v] = mapPoint(map, x, y);
  const determinant = ((a - u * g) * (e - v * h) - (b - u * h) * (d - v * g)) / (w * w);
  return Math.sqrt(Math.abs(determinant));
}
