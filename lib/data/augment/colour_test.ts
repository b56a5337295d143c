/** Tests of colour.ts and photometric.ts. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import sharp from "sharp";
import { Random } from "../../runtime/mod.ts";
import {
  appendColour,
  applyColour,
  brightnessMatrix,
  type ColourMatrix,
  composeColour,
  contrastMatrix,
  hueMatrix,
  saturationMatrix,
} from "./colour.ts";
import { brightness, contrast, gamma, hue, saturation } from "./photometric.ts";
import { pictureFrom } from "./picture.ts";
import { Sample } from "./sample.ts";
import { chain } from "./transform.ts";

/** Mid-tones, so that no step clips. */
function midTones(count = 200): Uint8ClampedArray {
  const random = Random.seeded("colours");
  const data = new Uint8ClampedArray(4 * count);
  for (let at = 0; at < data.length; at++) data[at] = at % 4 === 3 ? 255 : 80 + random.int(90);
  return data;
}

function changed(matrix: ColourMatrix, gamma = 1): Uint8ClampedArray {
  const data = midTones();
  applyColour(data, [{ matrix, gamma }]);
  return data;
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>, skipAlpha = false): number {
  let largest = 0;
  for (let at = 0; at < a.length; at++) {
    if (!(skipAlpha && at % 4 === 3)) largest = Math.max(largest, Math.abs(a[at]! - b[at]!));
  }
  return largest;
}

Deno.test("saturation and hue agree with sharp's recomb() of the W3C matrices at published points", async () => {
  // W3C Filter Effects Level 1, feColorMatrix: saturate 0 is luminance; hueRotate 90 and 180 by hand from its formula.
  const published: [ColourMatrix, number[][]][] = [
    [saturationMatrix(0), [[0.213, 0.715, 0.072], [0.213, 0.715, 0.072], [0.213, 0.715, 0.072]]],
    [hueMatrix(90), [[0, 0, 1], [0.356, 0.855, -0.211], [-0.574, 1.43, 0.144]]],
    [hueMatrix(180), [[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]]],
    [saturationMatrix(1), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]],
  ];
  for (const [matrix, rows] of published) {
    const expected = await sharp(Buffer.from(midTones()), { raw: { width: 200, height: 1, channels: 4 } })
      .recomb(rows as [[number, number, number], [number, number, number], [number, number, number]]).raw().toBuffer();
    // sharp cuts fractions off, we round: at most one step apart.
    assert.ok(largestDifference(changed(matrix), expected, true) <= 1, JSON.stringify(rows));
  }
});

Deno.test("brightness and contrast agree with sharp's linear()", async () => {
  for (const factor of [0.8, 1, 1.3]) {
    for (
      const [matrix, offset] of [[brightnessMatrix(factor), 0], [contrastMatrix(factor), 127.5 * (1 - factor)]] as const
    ) {
      const expected = await sharp(Buffer.from(midTones()), { raw: { width: 200, height: 1, channels: 4 } })
        .removeAlpha().linear(factor, offset).ensureAlpha().raw().toBuffer();
      assert.ok(largestDifference(changed(matrix), expected) <= 1, `factor ${factor}, offset ${offset}`);
    }
  }
});

Deno.test("a power curve is 255 (v / 255)^gamma for every byte", () => {
  const data = new Uint8ClampedArray(4 * 256);
  for (let v = 0; v < 256; v++) data.set([v, v, v, 77], 4 * v);
  applyColour(data, [{ matrix: brightnessMatrix(1), gamma: 0.45 }]);
  for (let v = 0; v < 256; v++) {
    assert.ok(Math.abs(data[4 * v]! - 255 * (v / 255) ** 0.45) <= 0.51, `byte ${v}: ${data[4 * v]}`);
    assert.equal(data[4 * v + 3], 77);
  }
});

Deno.test("a chain of colour changes is one step, and gives what the steps one by one give", () => {
  const changes = [
    { matrix: brightnessMatrix(1.1) },
    { matrix: contrastMatrix(0.9) },
    { matrix: saturationMatrix(1.2) },
    { matrix: hueMatrix(10) },
    { gamma: 1.2 },
  ];
  const joined = changes.reduce<ReturnType<typeof appendColour>>((steps, change) => appendColour(steps, change), []);
  assert.equal(joined.length, 1);
  const once = midTones(), singly = midTones();
  applyColour(once, joined);
  for (const change of changes) applyColour(singly, appendColour([], change));
  assert.ok(largestDifference(once, singly) <= 3, "only the roundings between differ");
  assert.equal(
    appendColour(joined, { matrix: brightnessMatrix(2) }).length,
    2,
    "a map after a curve is a step of its own",
  );
});

Deno.test("composeColour() applies its first matrix first", () => {
  // (c + 0) * 2 then contrast 0.5: c -> 2c -> c + 0.25
  const joined = composeColour(brightnessMatrix(2), contrastMatrix(0.5));
  assert.deepEqual(joined, [1, 0, 0, 0.25, 0, 1, 0, 0.25, 0, 0, 1, 0.25]);
});

Deno.test("each photometric transform stays within its strength and leaves alpha and boxes alone", async () => {
  const grey = new Uint8Array(4 * 64).fill(100);
  for (let seed = 0; seed < 60; seed++) {
    const draw = async (transform: ReturnType<typeof brightness>) => {
      const box = { classId: 3, weight: 1, left: 1, top: 2, right: 7, bottom: 8 };
      const sample = new Sample(pictureFrom(grey, 8, 8, 4), [{ classId: 3, weight: 1 }], [box]);
      await transform.apply([sample], Random.seeded(seed));
      const { data } = sample.render();
      assert.equal(data[3], 100);
      assert.deepEqual(sample.frameBoxes(), [box]);
      return data[0]!;
    };
    const bright = await draw(brightness({ strength: 0.3 }));
    assert.ok(bright >= 70 && bright <= 130);
    const contrasted = await draw(contrast({ strength: 0.5 }));
    assert.ok(contrasted >= 127.5 - 27.5 * 1.5 - 1 && contrasted <= 127.5 - 27.5 * 0.5 + 1);
    // Grey has neither saturation nor hue.
    assert.ok(Math.abs(await draw(chain(saturation({ strength: 1 }), hue({ degrees: 180 }))) - 100) <= 1);
    const curved = await draw(gamma({ highest: 2 }));
    assert.ok(curved >= 255 * (100 / 255) ** 2 - 1 && curved <= 255 * (100 / 255) ** 0.5 + 1);
  }
});
