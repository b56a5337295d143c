/** Shrinking with a Lanczos kernel, as the pictures of the data set were shrunk: a browser's own way differs from one to the next. */

/** The picture with its longer side at most `longest` pixels, aspect kept; itself where it is small enough. RGBA, straight alpha. */
export function shrink(picture, longest) {
  const { width, height, data } = picture, factor = longest / Math.max(width, height);
  if (factor >= 1) return picture;
  const wide = Math.max(1, Math.round(width * factor)), high = Math.max(1, Math.round(height * factor));
  const weighted = new Float32Array(data.length);
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3] / 255;
    for (let k = 0; k < 3; k++) weighted[at + k] = data[at + k] * alpha;
    weighted[at + 3] = data[at + 3];
  }
  const rows = resample(weighted, width, height, 4, 4 * width, wide, 1 / factor);
  const all = resample(rows, height, wide, 4 * wide, 4, high, 1 / factor);
  const out = new Uint8ClampedArray(all.length);
  for (let at = 0; at < out.length; at += 4) {
    const alpha = Math.min(255, Math.max(0, all[at + 3]));
    if (alpha === 0) continue;
    for (let k = 0; k < 3; k++) out[at + k] = all[at + k] * 255 / alpha;
    out[at + 3] = alpha;
  }
  return { width: wide, height: high, data: out };
}

/** Lanczos with three lobes: the kernel of Duchon (1979), stretched by the factor so that nothing is skipped. */
function lanczos(x) {
  if (x === 0) return 1;
  if (Math.abs(x) >= 3) return 0;
  const t = Math.PI * x;
  return 3 * Math.sin(t) * Math.sin(t / 3) / (t * t);
}

/**
 * Resamples lines of `length` pixels, `step` apart in `from`, into `wanted`; there are `lines` of them, `next` apart. The factor is one
 * for both directions: what its rounding leaves over is split between the two ends.
 */
function resample(from, length, lines, step, next, wanted, factor) {
  const reach = 3 * factor, edge = (length - wanted * factor) / 2;
  const isRow = step === 4, to = new Float32Array(4 * wanted * lines);
  const toStep = isRow ? 4 : 4 * lines, toNext = isRow ? 4 * wanted : 4;
  for (let i = 0; i < wanted; i++) {
    const centre = edge + (i + 0.5) * factor - 0.5;
    const first = Math.ceil(centre - reach), last = Math.floor(centre + reach);
    const weights = [];
    for (let j = first; j <= last; j++) weights.push(lanczos((j - centre) / factor));
    const sum = weights.reduce((a, b) => a + b);
    for (let line = 0; line < lines; line++) {
      for (let k = 0; k < 4; k++) {
        let value = 0;
        for (let j = first; j <= last; j++) {
          const at = Math.min(length - 1, Math.max(0, j));
          value += weights[j - first] * from[line * next + at * step + k];
        }
        to[line * toNext + i * toStep + k] = value / sum;
      }
    }
  }
  return to;
}
