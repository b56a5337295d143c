/** Busy drawings without a subject: landscapes and clouds of colour with shapes strewn over them. */

import type { Random } from "../runtime/mod.ts";
import { type Colour, randomColour, renderBackground } from "./backgrounds.ts";

/** One shape, in parts of the drawing's sides. */
interface Shape {
  readonly disc: boolean;
  readonly x: number;
  readonly y: number;
  /** Half sides along the angle and across it. */
  readonly long: number;
  readonly short: number;
  readonly cos: number;
  readonly sin: number;
  readonly colour: Colour;
}

/**
 * Draws a scene or noise with 8 to 16 boxes and ellipses on it: RGB, interleaved, `3 * width * height` bytes. The same stream
 * gives the same drawing at every size. Throws RangeError unless both sides are whole numbers ≥ 1.
 */
export function renderClutter(random: Random, width: number, height: number): Uint8Array {
  const pixels = renderBackground(random.fork("ground"), width, height, { kinds: ["scene", "noise"] });
  const shapes = Array.from({ length: 8 + random.int(9) }, (): Shape => {
    const angle = random.uniform(0, Math.PI), long = random.uniform(0.04, 0.2);
    return {
      disc: random.chance(0.5),
      ...{ x: random.uniform(), y: random.uniform(), long, short: long * random.uniform(0.3, 1) },
      ...{ cos: Math.cos(angle), sin: Math.sin(angle), colour: randomColour(random) },
    };
  });
  for (const { disc, x, y, long, short, cos, sin, colour } of shapes) {
    const reach = disc ? long : Math.hypot(long, short);
    const from = (centre: number, side: number) => Math.max(0, Math.floor((centre - reach) * side));
    const to = (centre: number, side: number) => Math.min(side, Math.ceil((centre + reach) * side));
    for (let row = from(y, height); row < to(y, height); row++) {
      for (let column = from(x, width); column < to(x, width); column++) {
        const dx = (column + 0.5) / width - x, dy = (row + 0.5) / height - y;
        const u = Math.abs(dx * cos + dy * sin) / long, v = Math.abs(dy * cos - dx * sin) / short;
        if (disc ? u * u + v * v <= 1 : u <= 1 && v <= 1) pixels.set(colour, 3 * (row * width + column));
      }
    }
  }
  return pixels;
}
