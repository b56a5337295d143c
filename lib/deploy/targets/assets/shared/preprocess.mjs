/**
 * What the model expects of a picture, as preprocessing.json says: the same steps, with the same rounding, as in training.
 * Plain JavaScript for Node and for browsers. A picture is `{ width, height, data }`: RGBA, straight alpha, a byte a channel.
 */

/** What is fainter than this is no content. */
const VISIBLE_ALPHA = 16;

/** The longest side to which a decoded picture is shrunk before it is fitted, in pixels. */
export function decodedSize({ size, view }) {
  return view === "content" ? Math.min(2 * size, 4096) : size;
}

/** The rectangle of what can be seen: left, top, right, bottom in pixels; the whole frame where nothing can. */
export function contentOf({ width, height, data }) {
  let left = width, top = height, right = 0, bottom = 0;
  for (let y = 0, at = 3; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      if (data[at] < VISIBLE_ALPHA) continue;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
      if (y < top) top = y;
      bottom = y + 1;
    }
  }
  return right > left ? [left, top, right, bottom] : [0, 0, width, height];
}

/** The planes [3, size, size] of a picture that `decodedSize` has shrunk: fitted, laid on the background, normalised. */
export function planesOf(picture, input) {
  const { size, view, background, mean, std } = input;
  const seen = view === "content" ? contentOf(picture) : [0, 0, picture.width, picture.height];
  const square = fit(picture, seen, size);
  const planes = new Float32Array(3 * size * size);
  for (let k = 0; k < 3; k++) {
    const table = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - mean[k]) / std[k]);
    const plane = planes.subarray(k * size * size, (k + 1) * size * size);
    for (let i = 0, at = 0; i < plane.length; i++, at += 4) {
      const alpha = square[at + 3];
      // The byte is rounded to even, as in training.
      layer[0] = alpha === 255 ? square[at + k] : square[at + k] * (alpha / 255) + background[k] * (1 - alpha / 255);
      plane[i] = table[layer[0]];
    }
  }
  return planes;
}

const layer = new Uint8ClampedArray(1);

/** The part of the picture as large as fits into a square, centred; transparent beside it. RGBA of size x size. */
function fit(picture, [left, top, right, bottom], size) {
  const longer = Math.max(right - left, bottom - top);
  const x0 = left - (longer - (right - left)) / 2, y0 = top - (longer - (bottom - top)) / 2;
  let source = picture, scale = size / longer;
  if (source.width === size && source.height === size && scale === 1 && x0 === 0 && y0 === 0) return source.data;
  // Where the picture's corner lies in the square: x' = scale · x + shift.
  const shift = [-x0 * scale, -y0 * scale];
  for (; Math.sqrt(scale * scale) <= 0.5 && source.width >= 2 && source.height >= 2; scale *= 2) source = halve(source);
  return sample(source, scale, shift, size);
}

/** Half the size, each pixel the alpha-weighted mean of 2 x 2; an odd last row or column is averaged alone. */
function halve({ width, height, data }) {
  const w = Math.ceil(width / 2), h = Math.ceil(height / 2);
  const half = new Uint8ClampedArray(4 * w * h);
  for (let y = 0, to = 0; y < h; y++) {
    const upper = 2 * y * width, lower = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < w; x++, to += 4) {
      const l = 2 * x, r = Math.min(l + 1, width - 1);
      const places = [4 * (upper + l), 4 * (upper + r), 4 * (lower + l), 4 * (lower + r)];
      const sum = places.reduce((total, at) => total + data[at + 3], 0);
      if (sum === 0) continue;
      for (let k = 0; k < 3; k++) {
        half[to + k] = places.reduce((total, at) => total + data[at + k] * data[at + 3], 0) / sum;
      }
      half[to + 3] = sum / 4;
    }
  }
  return { width: w, height: h, data: half };
}

function isOpaque(data) {
  for (let at = 3; at < data.length; at += 4) if (data[at] !== 255) return false;
  return true;
}

/** Bilinear, on colours weighted by alpha; the picture's edge is smoothed over one pixel of the square. */
function sample({ width, height, data }, scale, [shiftX, shiftY], size) {
  const out = new Uint8ClampedArray(4 * size * size), opaque = isOpaque(data);
  // The map back, by the inverse of a matrix: in this order of operations it rounds as in training.
  const inverse = 1 / (scale * scale), one = 1 / (scale * scale * inverse), back = scale * inverse;
  const left = -(shiftX * scale) * inverse, top = -(scale * shiftY) * inverse;
  const step = 1 / Math.sqrt(scale * scale),
    inner = Math.max(0, 0.5 * step - 0.5),
    lastX = width - 1,
    lastY = height - 1;
  for (let y = 0, to = 0; y < size; y++) {
    for (let x = 0; x < size; x++, to += 4) {
      let sx = (back * (x + 0.5) + left) * one - 0.5, sy = (back * (y + 0.5) + top) * one - 0.5, coverage = 1;
      if (!(sx >= inner && sx <= lastX - inner && sy >= inner && sy <= lastY - inner)) {
        const reach = Math.min(sx + 0.5, width - 0.5 - sx, sy + 0.5, height - 0.5 - sy) / step + 0.5;
        if (!(reach > 0)) continue;
        coverage = reach > 0.999 ? 1 : reach;
        sx = Math.min(lastX, Math.max(0, sx));
        sy = Math.min(lastY, Math.max(0, sy));
      }
      const xa = Math.floor(sx), ya = Math.floor(sy), fx = sx - xa, fy = sy - ya;
      const p = 4 * (ya * width + xa), q = p + (xa < lastX ? 4 : 0), below = ya < lastY ? 4 * width : 0;
      const r = p + below, s = q + below;
      let wp = (1 - fx) * (1 - fy), wq = fx * (1 - fy), wr = (1 - fx) * fy, ws = fx * fy, alpha = 255;
      if (!opaque) {
        wp *= data[p + 3];
        wq *= data[q + 3];
        wr *= data[r + 3];
        ws *= data[s + 3];
        alpha = wp + wq + wr + ws;
        if (alpha === 0) continue;
        const scale = 1 / alpha;
        wp *= scale;
        wq *= scale;
        wr *= scale;
        ws *= scale;
      }
      for (let k = 0; k < 3; k++) {
        out[to + k] = data[p + k] * wp + data[q + k] * wq + data[r + k] * wr + data[s + k] * ws;
      }
      out[to + 3] = alpha * coverage;
    }
  }
  return out;
}

/** Probabilities at the model's temperature: softmax(log p / temperature). */
export function tempered(probabilities, temperature) {
  if (temperature === 1) return Float32Array.from(probabilities);
  const logits = Float32Array.from(probabilities, (p) => Math.log(Math.max(p, 2 ** -126)));
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const powers = Float64Array.from(logits, (x) => Math.exp((x - largest) / temperature));
  const sum = powers.reduce((a, b) => a + b);
  return Float32Array.from(powers, (x) => x / sum);
}

/** The likeliest classes, the likeliest first: `[{ class, name, score }]`; of equal ones the first. */
export function likeliest(probabilities, names, count) {
  return Array.from(probabilities, (score, index) => ({ class: index, name: names[index], score }))
    .sort((a, b) => b.score - a.score || a.class - b.class)
    .slice(0, count);
}
