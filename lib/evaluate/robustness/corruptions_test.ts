/** Tests of corruptions.ts, blur.ts and silhouette.ts. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import sharp from "sharp";
import { augment, type Picture, renderBackground, renderClutter } from "../../data/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { gaussianBlur, motionBlur } from "./blur.ts";
import {
  type CleanPicture,
  cleanPicture,
  corrupt,
  CORRUPTION_NAMES,
  type CorruptionName,
  SEVERITIES,
  type Severity,
} from "./corruptions.ts";
import { silhouette } from "./silhouette.ts";

const GREY = [124, 124, 124] as const;

/** A patterned disc on nothing, or with `opaque` a scene that fills the frame. */
function drawn(seed: number, { size = 64, opaque = false } = {}): CleanPicture {
  const pixels = renderClutter(Random.seeded("drawn", seed), size, size);
  const picture = augment.pictureFrom(pixels, size, size, 3);
  const data = picture.data;
  for (let i = 0; i < size * size && !opaque; i++) {
    const x = i % size + 0.5 - size / 2, y = Math.floor(i / size) + 0.5 - size / 2;
    if (Math.hypot(x, y) > 0.38 * size) data[4 * i + 3] = 0;
  }
  return cleanPicture({ ...picture, opaque }, ground(size));
}

function ground(size: number): Uint8Array {
  return Uint8Array.from({ length: 3 * size * size }, (_, i) => GREY[i % 3]!);
}

/** A white square of half the side on nothing, in the middle. */
function square(size = 64): CleanPicture {
  const data = new Uint8ClampedArray(4 * size * size);
  for (let y = size / 4; y < 3 * size / 4; y++) {
    data.fill(255, 4 * (y * size + size / 4), 4 * (y * size + 3 * size / 4));
  }
  return cleanPicture({ width: size, height: size, data, opaque: false }, ground(size));
}

/** One value in all channels. */
function plain(value: number, size = 32): CleanPicture {
  const picture = augment.pictureFrom(new Uint8Array(3 * size * size).fill(value), size, size, 3);
  return cleanPicture(picture, ground(size));
}

/** Mean absolute difference of the colours, in 0 … 1. */
function difference(a: Picture, b: Picture): number {
  let sum = 0;
  for (let at = 0; at < a.data.length; at++) sum += Math.abs(a.data[at]! - b.data[at]!);
  return sum / 255 / (0.75 * a.data.length);
}

const at = (
  picture: Picture,
  x: number,
  y: number,
) => [...picture.data.slice(4 * (y * picture.width + x), 4 * (y * picture.width + x) + 3)];

Deno.test("every corruption changes a picture more with each severity, at three sizes of the frame", async () => {
  for (const size of [48, 64, 112]) {
    const pictures = Array.from({ length: 6 }, (_, i) => drawn(i, { size, opaque: i % 3 === 2 }));
    for (const name of CORRUPTION_NAMES) {
      const fit = name === "background" ? pictures.filter(({ cutOut }) => !cutOut.opaque) : pictures;
      const means: number[] = [0];
      for (const severity of SEVERITIES) {
        const changed = await Promise.all(fit.map((clean, i) => corrupt(clean, name, severity, { key: `${i}` })));
        means.push(changed.reduce((sum, picture, i) => sum + difference(picture, fit[i]!.flat), 0) / fit.length);
      }
      for (const severity of SEVERITIES) {
        assert.ok(means[severity]! > means[severity - 1]!, `${name} at ${size} px: ${means}`);
      }
    }
  }
});

Deno.test("a corruption is opaque, bounded, of the frame's size, the same again for one key, and leaves the clean picture alone", async () => {
  const clean = drawn(1),
    before = { cutOut: clean.cutOut.data.slice(), flat: clean.flat.data.slice(), ground: clean.ground.slice() };
  const random: CorruptionName[] = ["motion blur", "noise", "occlusion", "background", "rotation"];
  for (const name of CORRUPTION_NAMES) {
    const first = await corrupt(clean, name, 5, { key: "a" });
    assert.deepEqual([first.width, first.height, first.opaque], [64, 64, true], name);
    assert.ok(first.data instanceof Uint8ClampedArray);
    assert.ok(first.data.every((value, i) => i % 4 !== 3 || value === 255), `${name} is opaque`);
    assert.deepEqual((await corrupt(clean, name, 5, { key: "a" })).data, first.data, name);
    const others = await Promise.all(["b", "c", "d", "e", "f"].map((key) => corrupt(clean, name, 5, { key })));
    const differs = others.some(({ data }) => data.some((value, i) => value !== first.data[i]));
    assert.equal(differs, random.includes(name), `${name} draws by the key`);
  }
  assert.deepEqual({ cutOut: clean.cutOut.data, flat: clean.flat.data, ground: clean.ground }, before);
});

Deno.test("Gaussian blur is the convolution with exp(-d²/2σ²), as sharp's convolve() gives it", async () => {
  const random = Random.seeded("pixels");
  const pixels = Uint8Array.from({ length: 3 * 24 * 20 }, () => random.int(256));
  const picture = augment.pictureFrom(pixels, 24, 20, 3);
  for (const sigma of [0.5, 0.75]) {
    const kernel = Array.from(
      { length: 49 },
      (_, i) => Math.exp(-(((i % 7) - 3) ** 2 + (Math.floor(i / 7) - 3) ** 2) / (2 * sigma ** 2)),
    );
    const sum = kernel.reduce((a, b) => a + b);
    const expected = await sharp(Buffer.from(pixels), { raw: { width: 24, height: 20, channels: 3 } })
      .convolve({ width: 7, height: 7, kernel: kernel.map((w) => w / sum * 1e4), scale: 1e4 }).raw().toBuffer();
    const blurred = gaussianBlur(picture, sigma);
    for (let y = 3; y < 17; y++) {
      for (let x = 3; x < 21; x++) {
        const i = 24 * y + x;
        for (let k = 0; k < 3; k++) {
          assert.ok(Math.abs(blurred.data[4 * i + k]! - expected[3 * i + k]!) <= 1, `(${x}, ${y})`);
        }
      }
    }
  }
});

Deno.test("motion blur smears a point along its direction with the moments of a half-normal distribution, and leaves a plain picture", () => {
  const size = 41, data = new Uint8ClampedArray(4 * size * size);
  for (let i = 3; i < data.length; i += 4) data[i] = 255;
  for (let k = 0; k < 3; k++) data[4 * (20 * size + 20) + k] = 255;
  const [sigma, angle] = [3, 0.6];
  const { data: blurred } = motionBlur({ width: size, height: size, data, opaque: true }, sigma, angle);
  let sum = 0, along = 0, across = 0, spread = 0;
  for (let i = 0; i < size * size; i++) {
    const value = blurred[4 * i]!, x = i % size - 20, y = Math.floor(i / size) - 20;
    const u = -(x * Math.cos(angle) + y * Math.sin(angle)), v = y * Math.cos(angle) - x * Math.sin(angle);
    sum += value;
    along += value * u;
    across += value * v;
    spread += value * u * u;
  }
  // Half-normal: mean σ √(2/π), second moment σ²; bytes and quarter-pixel steps round them.
  assert.ok(Math.abs(sum - 255) < 12, `${sum}`);
  assert.ok(Math.abs(along / sum - sigma * Math.sqrt(2 / Math.PI)) < 0.25, `${along / sum}`);
  assert.ok(Math.abs(across / sum) < 0.1, `${across / sum}`);
  assert.ok(Math.abs(Math.sqrt(spread / sum) - sigma) < 0.35, `${Math.sqrt(spread / sum)}`);
  assert.ok(motionBlur(plain(90).flat, 3, 1).data.every((value, i) => i % 4 === 3 || value === 90));
});

Deno.test("noise has the standard deviation that it says", async () => {
  for (const [severity, deviation] of [[1, 0.04], [3, 0.12], [5, 0.18]] as const) {
    const { data } = await corrupt(plain(128, 96), "noise", severity, { key: "n" });
    const values = data.filter((_, i) => i % 4 !== 3), mean = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    // 27,648 draws: the standard error of the deviation is 0.4 %; clipping at 2.8 deviations takes some off.
    assert.ok(Math.abs(Math.sqrt(variance) / 255 / deviation - 1) < 0.02, `${Math.sqrt(variance) / 255}`);
    assert.ok(Math.abs(mean - 128) < 1.5);
  }
});

Deno.test("brightness raises the value of HSV by 0.1 … 0.5, darkness and contrast multiply, in closed form", async () => {
  const clean = cleanPicture(
    augment.pictureFrom(Uint8Array.from([100, 50, 0, 0, 0, 0, 250, 125, 25, 10, 20, 30]), 2, 2, 3),
    new Uint8Array(12),
  );
  const of = async (name: CorruptionName, severity: Severity) => {
    const { data } = await corrupt(clean, name, severity, { key: "" });
    return [0, 1, 2, 3].map((i) => [...data.slice(4 * i, 4 * i + 3)]);
  };
  // Value 100 → 151 keeps the ratios 2 : 1 : 0; black becomes grey 51; 250 → 255 is the end of the range; 30 → 81.
  assert.deepEqual(await of("brightness", 2), [[151, 76, 0], [51, 51, 51], [255, 128, 26], [27, 54, 81]]);
  assert.deepEqual(await of("darkness", 2), [[60, 30, 0], [0, 0, 0], [150, 75, 15], [6, 12, 18]]);
  // The means of the channels are 90, 48.75 and 13.75.
  assert.deepEqual(await of("contrast", 3), [[92, 49, 11], [72, 39, 11], [122, 64, 16], [74, 43, 17]]);
});

Deno.test("resolution loses what is finer than its pixels and keeps what is coarser", async () => {
  // Stripes along x as a cosine of so many periods in 64 pixels: 16 pixels of a quarter of the resolution hold up to 8.
  const contrastOf = async (periods: number) => {
    const pixels = Uint8Array.from(
      { length: 3 * 64 * 64 },
      (_, i) => Math.round(128 + 100 * Math.cos(2 * Math.PI * periods * (Math.floor(i / 3) % 64 + 0.5) / 64)),
    );
    const clean = cleanPicture(augment.pictureFrom(pixels, 64, 64, 3), ground(64));
    const { data } = await corrupt(clean, "resolution", 5, { key: "" });
    const row = Array.from({ length: 48 }, (_, x) => data[4 * (32 * 64 + x + 8)]!);
    return (Math.max(...row) - Math.min(...row)) / 200;
  };
  assert.ok(await contrastOf(2) > 0.85);
  assert.ok(await contrastOf(16) < 0.1);
});

Deno.test("JPEG is what sharp writes at the quality", async () => {
  const clean = drawn(3, { opaque: true });
  const file = await sharp(Buffer.from(clean.flat.data), { raw: { width: 64, height: 64, channels: 4 } }).removeAlpha()
    .jpeg({ quality: 25 }).toBuffer();
  const expected = await sharp(file).raw().toBuffer();
  const { data } = await corrupt(clean, "jpeg", 5, { key: "" });
  assert.deepEqual(data.filter((_, i) => i % 4 !== 3), new Uint8ClampedArray(expected));
});

Deno.test("occlusion hides the share of what can be seen, the same centre growing", async () => {
  for (const [index, clean] of [drawn(0), drawn(1), drawn(2, { opaque: true })].entries()) {
    const shares = [0.1, 0.2, 0.3, 0.4, 0.5];
    let earlier = new Set<number>();
    for (const severity of SEVERITIES) {
      const { data } = await corrupt(clean, "occlusion", severity, { key: `o${index}` });
      const visible = Array.from({ length: 64 * 64 }, (_, i) => i).filter((i) => clean.cutOut.data[4 * i + 3]! >= 16);
      const hidden = visible.filter((i) => [0, 1, 2].some((k) => data[4 * i + k] !== clean.flat.data[4 * i + k]));
      // A hidden pixel may by chance have its cover's colour; ties of the distance hide a few more.
      assert.ok(
        Math.abs(hidden.length / visible.length - shares[severity - 1]!) < 0.03,
        `${hidden.length} of ${visible.length}`,
      );
      const now = new Set(hidden);
      const lost = [...earlier].filter((i) => !now.has(i)).length;
      assert.ok(lost <= 0.02 * visible.length, "what was hidden stays hidden");
      earlier = now;
    }
  }
});

Deno.test("scale shrinks the subject about the middle, and the ground fills the rest", async () => {
  for (const [severity, factor] of [[1, 0.8], [3, 0.5], [5, 0.3]] as const) {
    const picture = await corrupt(square(), "scale", severity, { key: "s" });
    const light = picture.data.filter((_, i) => i % 4 === 0).reduce(
      (sum, value) => sum + (value - 124) / (255 - 124),
      0,
    );
    // The side, to half a pixel: the edge is smoothed.
    assert.ok(Math.abs(Math.sqrt(light) - 32 * factor) < 0.5, `${light} at ${factor}`);
    assert.deepEqual([at(picture, 32, 32), at(picture, 1, 1)], [[255, 255, 255], [...GREY]]);
  }
});

Deno.test("rotation turns by its angle either way: a square has a corner where trigonometry puts it", async () => {
  for (const [severity, degrees] of [[2, 20], [3, 35], [5, 90]] as const) {
    for (const key of ["a", "b", "c", "d"]) {
      const picture = await corrupt(square(), "rotation", severity, { key });
      const lit = (x: number, y: number) => at(picture, Math.floor(32 + x), Math.floor(32 + y))[0]! > 190;
      // Just inside and outside the corner, at 16 √2 pixels from the middle.
      for (let corner = 0; corner < 4; corner++) {
        const seen = [1, -1].map((way) => {
          const angle = (45 + 90 * corner + way * degrees) * Math.PI / 180;
          return lit(20 * Math.cos(angle), 20 * Math.sin(angle)) && !lit(25 * Math.cos(angle), 25 * Math.sin(angle));
        });
        assert.ok(seen[0] || seen[1], `${degrees}° of ${key}`);
      }
    }
  }
});

Deno.test("background changes nothing of the subject, everything behind it, and needs an outline", async () => {
  const clean = square();
  const half = await corrupt(clean, "background", 3, { key: "b" }),
    whole = await corrupt(clean, "background", 5, { key: "b" });
  const other = await corrupt(clean, "background", 5, { key: "c" });
  assert.deepEqual(at(whole, 32, 32), [255, 255, 255]);
  let changed = 0;
  for (let x = 0; x < 64; x++) {
    if (at(whole, x, 3).join() !== at(other, x, 3).join()) changed++;
    // 0.6 of the way from the grey ground to the busy drawing.
    at(half, x, 3).forEach((value, k) => assert.ok(Math.abs(value - (0.4 * 124 + 0.6 * at(whole, x, 3)[k]!)) <= 1));
  }
  assert.ok(changed > 50);
  await assert.rejects(
    corrupt(drawn(0, { opaque: true }), "background", 1, { key: "0025_001" }),
    /^EvaluateError: corruption background: expected a transparent picture, found 0025_001, which is opaque$/,
  );
});

Deno.test("a silhouette has one colour and the outline that was; an opaque picture has none", () => {
  const { cutOut } = drawn(0);
  const filled = silhouette(cutOut, [1, 2, 3]);
  for (let i = 0; i < 64 * 64; i++) {
    assert.deepEqual([...filled.data.slice(4 * i, 4 * i + 4)], [1, 2, 3, cutOut.data[4 * i + 3]]);
  }
  assert.throws(() => silhouette(drawn(0, { opaque: true }).cutOut), /expected a transparent picture, found an opaque/);
});

Deno.test("clutter has more edges than any other background, and is the same drawing at every size", () => {
  const edges = (pixels: Uint8Array) => {
    let sum = 0;
    for (let i = 3; i < pixels.length; i++) sum += Math.abs(pixels[i]! - pixels[i - 3]!);
    return sum / pixels.length;
  };
  const mean = (draw: (seed: number) => Uint8Array) =>
    Array.from({ length: 20 }, (_, i) => edges(draw(i))).reduce((a, b) => a + b) / 20;
  const busy = mean((i) => renderClutter(Random.seeded(i), 64, 64));
  for (const kind of ["gradient", "noise", "scene"] as const) {
    assert.ok(busy > mean((i) => renderBackground(Random.seeded(i), 64, 64, { kinds: [kind] })), kind);
  }
  const [small, large] = [32, 96].map((side) => renderClutter(Random.seeded("size"), side, side)) as [
    Uint8Array,
    Uint8Array,
  ];
  let far = 0;
  for (let y = 0; y < 32; y++) {
    for (let x = 0; x < 32; x++) {
      const a = 3 * (32 * y + x), b = 3 * (96 * (3 * y + 1) + 3 * x + 1);
      if ([0, 1, 2].some((k) => Math.abs(small[a + k]! - large[b + k]!) > 24)) far++;
    }
  }
  assert.ok(far < 0.05 * 32 * 32, `${far} pixels differ, at edges`);
});
