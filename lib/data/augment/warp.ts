/** Samples a picture through a homography, once, with bilinear interpolation on premultiplied colours. */

import { compose, type Homography, invert, magnification, scaling } from "./homography.ts";
import { halve, type Picture } from "./picture.ts";

/**
 * Draws the picture into a frame of `width` x `height`; `toFrame` maps its pixels to the frame's. Where the picture does
 * not reach, the frame is transparent; its edge is smoothed over one pixel. A picture that shrinks by 2 or more is halved
 * first, so that no pixel is skipped.
 */
export function warp(picture: Picture, toFrame: Homography, width: number, height: number): Picture {
  if (picture.width === width && picture.height === height && isIdentity(toFrame)) return picture;
  let source = picture, map = toFrame;
  for (;;) {
    const factor = magnification(map, source.width / 2, source.height / 2);
    if (factor > 0.5 || source.width < 2 || source.height < 2) break;
    source = halve(source);
    map = compose(scaling(2), map);
  }
  return sampleInto(source, map, width, height);
}

function isIdentity([a, b, c, d, e, f, g, h, i]: Homography): boolean {
  const near = (value: number, wanted: number) => Math.abs(value / i - wanted) < 1e-9;
  return near(a, 1) && near(b, 0) && near(c, 0) && near(d, 0) && near(e, 1) && near(f, 0) && near(g, 0) && near(h, 0);
}

function sampleInto(source: Picture, toFrame: Homography, width: number, height: number): Picture {
  const [a, b, c, d, e, f, g, h, i] = invert(toFrame);
  const { width: w, height: ht, data } = source;
  const stride = 4 * w;
  const out = new Uint8ClampedArray(4 * width * height);
  // Source pixels per frame pixel: the width, in the source, of the edge's smoothing.
  const step = 1 / Math.max(1e-6, magnification(toFrame, w / 2, ht / 2));
  const inner = Math.max(0, 0.5 * step - 0.5);
  const lastX = w - 1, lastY = ht - 1;
  // 1 / w where it is the same everywhere, else 0.
  const affine = g === 0 && h === 0 && i > 0 ? 1 / i : 0;
  const solid = source.opaque;
  let opaque = solid;
  for (let y = 0, to = 0; y < height; y++) {
    const v = y + 0.5;
    const rowX = b * v + c, rowY = e * v + f, rowZ = h * v + i;
    for (let x = 0; x < width; x++, to += 4) {
      const u = x + 0.5;
      let inverse = affine;
      if (inverse === 0) {
        const z = g * u + rowZ;
        if (!(z > 1e-9)) {
          opaque = false;
          continue;
        }
        inverse = 1 / z;
      }
      let sx = (a * u + rowX) * inverse - 0.5, sy = (d * u + rowY) * inverse - 0.5;
      let coverage = 1;
      if (!(sx >= inner && sx <= lastX - inner && sy >= inner && sy <= lastY - inner)) {
        const reach = Math.min(sx + 0.5, w - 0.5 - sx, sy + 0.5, ht - 0.5 - sy) / step + 0.5;
        if (!(reach > 0)) {
          opaque = false;
          continue;
        }
        // A hair below 1 is rounding, not an edge.
        coverage = reach > 0.999 ? 1 : reach;
        if (coverage < 1) opaque = false;
        sx = sx < 0 ? 0 : sx > lastX ? lastX : sx;
        sy = sy < 0 ? 0 : sy > lastY ? lastY : sy;
      }
      const x0 = sx | 0, y0 = sy | 0, fx = sx - x0, fy = sy - y0;
      const p = y0 * stride + 4 * x0;
      const right = x0 < lastX ? 4 : 0, below = y0 < lastY ? stride : 0;
      const q = p + right, r = p + below, s = r + right;
      let wp = (1 - fx) * (1 - fy), wq = fx * (1 - fy), wr = (1 - fx) * fy, ws = fx * fy;
      if (!solid) {
        wp *= data[p + 3]!;
        wq *= data[q + 3]!;
        wr *= data[r + 3]!;
        ws *= data[s + 3]!;
        const alpha = wp + wq + wr + ws;
        if (alpha === 0) continue;
        const scale = 1 / alpha;
        wp *= scale;
        wq *= scale;
        wr *= scale;
        ws *= scale;
        out[to + 3] = alpha * coverage;
      } else out[to + 3] = 255 * coverage;
      out[to] = data[p]! * wp + data[q]! * wq + data[r]! * wr + data[s]! * ws;
      out[to + 1] = data[p + 1]! * wp + data[q + 1]! * wq + data[r + 1]! * wr + data[s + 1]! * ws;
      out[to + 2] = data[p + 2]! * wp + data[q + 2]! * wq + data[r + 2]! * wr + data[s + 2]! * ws;
    }
  }
  return { width, height, data: out, opaque };
}
