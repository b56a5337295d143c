// deno-lint-ignore-file camelcase -- the Hub's names
import assert from "node:assert/strict";
import { augment, type Picture } from "../../data/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import { preparePictures, readPreprocessing } from "./preprocess.ts";

interface Recorded {
  settings: Record<string, { family: "clip" | "siglip"; file: Record<string, unknown> }>;
  cases: { settings: string; picture: [number, number]; shape: number[]; values: number[]; sum: number }[];
}

/** The pictures of tests/peers/record_processors.py. */
function drawn(width: number, height: number): Picture {
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      rgb[at] = (x * x * 7 + y * 13 + x * y * 3) % 256;
      rgb[at + 1] = (Math.floor(x / 5) + Math.floor(y / 3)) % 2 === 0 ? 255 : 0;
      rgb[at + 2] = Math.floor(x * 255 / Math.max(1, width - 1));
    }
  }
  return augment.pictureFrom(rgb, width, height, 3);
}

const recorded: Recorded = JSON.parse(
  await Deno.readTextFile(new URL("../../../tests/fixtures/vlm/processors.json", import.meta.url)),
);

Deno.test("pictures are prepared as the Python processors of CLIP, MobileCLIP and SigLIP prepare them, to 1e-4", () => {
  assert.equal(recorded.cases.length, 45);
  for (const { settings: name, picture, shape, values, sum } of recorded.cases) {
    const { family, file } = recorded.settings[name]!;
    const { data, shape: found } = preparePictures([drawn(...picture)], readPreprocessing(file, name, { family }));
    assert.deepEqual(found, [1, ...shape], name);
    const place = `${name}, ${picture.join(" x ")}`;
    values.forEach((value, i) =>
      assert.ok(Math.abs(data[41 * i]! - value) < 1e-4, `${place}: value ${41 * i}: ${data[41 * i]} for ${value}`)
    );
    assert.ok(Math.abs(data.reduce((total, each) => total + each, 0) - sum) < 0.01, `${place}: sum`);
  }
});

Deno.test("transparent pixels are laid on the background; the content is cut out and made square", () => {
  const file = { size: 4, image_mean: [0, 0, 0], image_std: [1, 1, 1] };
  const half = new Uint8ClampedArray(4 * 16);
  for (let i = 0; i < 16; i++) half.set([200, 100, 0, 51], 4 * i);
  const picture: Picture = { width: 4, height: 4, data: half, opaque: false };
  const { data } = preparePictures([picture], readPreprocessing(file, "here", { family: "siglip" }));
  // alpha 51 / 255 = 0.2: 0.2 · 200 + 0.8 · 255 = 244; 0.2 · 100 + 0.8 · 255 = 224; 0.8 · 255 = 204
  assert.deepEqual([data[0], data[16], data[32]], [244, 224, 204].map((byte) => Math.fround(byte / 255)));

  // A red bar of 2 x 4 in a corner of 9 x 9: the middle two columns of its square.
  const corner = new Uint8ClampedArray(4 * 81);
  for (let y = 5; y < 9; y++) for (let x = 7; x < 9; x++) corner.set([255, 0, 0, 255], 4 * (9 * y + x));
  const seen = preparePictures(
    [{ width: 9, height: 9, data: corner, opaque: false }],
    readPreprocessing(file, "here", { family: "siglip", view: "content", background: [0, 0, 255] }),
  );
  assert.deepEqual([...seen.data.subarray(0, 16)], [0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0]);
  assert.deepEqual([...seen.data.subarray(32, 36)], [1, 0, 0, 1]);
});

Deno.test("settings that cannot be followed are refused in a line that names the place", () => {
  const refuse = (file: unknown, pattern: RegExp, family: "clip" | "siglip" = "clip") =>
    assert.throws(() => readPreprocessing(file, "p.json", { family }), (error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, pattern);
      return true;
    });
  refuse({ resample: 4 }, /^p\.json: resample: expected 0 .* found 4$/);
  refuse({ size: { height: 224, width: 196 } }, /^p\.json: size: expected a square, found 196 x 224$/, "siglip");
  refuse({ size: { shortest_edge: 224 }, do_center_crop: false }, /without do_center_crop/);
  refuse({ do_resize: false }, /do_resize: expected true/);
  refuse({ image_std: [1, 0, 1] }, /^p\.json: image_std: .*above 0/);
  refuse({ image_mean: 3 }, /^p\.json: image_mean: /);
  refuse([], /^p\.json: /);
});

Deno.test("what a file leaves out is as in the Python class of its family", () => {
  const clip = readPreprocessing({}, "p.json", { family: "clip", imageSize: 224 });
  assert.deepEqual([clip.size, clip.resize, clip.kernel, clip.mean[0]], [224, "shortest", "bicubic", 0.48145466]);
  const siglip = readPreprocessing({}, "p.json", { family: "siglip", imageSize: 256 });
  assert.deepEqual([siglip.size, siglip.resize, siglip.mean[0]], [256, "exact", 0.5]);
});
