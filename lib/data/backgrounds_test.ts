/** Tests of backgrounds.ts. */

import assert from "node:assert/strict";
import { Random } from "../runtime/mod.ts";
import { backgroundKinds, fromHsl, plainBackground, renderBackground } from "./backgrounds.ts";

Deno.test("fromHsl() gives the colours that CSS Color names", () => {
  // CSS named colours and their HSL values.
  assert.deepEqual(fromHsl(0, 1, 0.5), [255, 0, 0]); // red
  assert.deepEqual(fromHsl(120, 1, 0.25), [0, 128, 0]); // green, #008000 (lightness 25.1 %)
  assert.deepEqual(fromHsl(240, 1, 0.5), [0, 0, 255]); // blue
  assert.deepEqual(fromHsl(39, 1, 0.5), [255, 166, 0]); // orange is hsl(38.8 100% 50%) = #ffa500
  assert.deepEqual(fromHsl(77, 0, 1), [255, 255, 255]);
});

Deno.test("the same stream gives the same background and another stream another one", () => {
  for (const kind of backgroundKinds) {
    const draw = (seed: number) => renderBackground(Random.seeded(seed), 40, 30, { kinds: [kind] });
    assert.deepEqual(draw(1), draw(1), kind);
    assert.notDeepEqual(draw(1), draw(2), kind);
    assert.equal(draw(1).length, 3 * 40 * 30);
  }
});

Deno.test("a background looks the same at twice the size", () => {
  for (const kind of backgroundKinds) {
    for (let seed = 0; seed < 8; seed++) {
      const small = renderBackground(Random.seeded(seed), 48, 48, { kinds: [kind] });
      const large = renderBackground(Random.seeded(seed), 96, 96, { kinds: [kind] });
      let difference = 0;
      for (let y = 0; y < 48; y++) {
        for (let x = 0; x < 48; x++) {
          for (let c = 0; c < 3; c++) {
            let mean = 0;
            for (const [dx, dy] of [[0, 0], [1, 0], [0, 1], [1, 1]] as const) {
              mean += large[3 * ((2 * y + dy) * 96 + 2 * x + dx) + c]! / 4;
            }
            difference += Math.abs(mean - small[3 * (y * 48 + x) + c]!);
          }
        }
      }
      assert.ok(difference / small.length < 4, `${kind} ${seed}: mean difference ${difference / small.length}`);
    }
  }
});

Deno.test("a plain background has one colour, the other kinds have many", () => {
  const colours = (pixels: Uint8Array) => {
    const seen = new Set<number>();
    for (let i = 0; i < pixels.length; i += 3) seen.add(pixels[i]! << 16 | pixels[i + 1]! << 8 | pixels[i + 2]!);
    return seen.size;
  };
  assert.equal(colours(plainBackground([1, 2, 3], 5, 4)), 1);
  for (let seed = 0; seed < 10; seed++) {
    assert.equal(colours(renderBackground(Random.seeded(seed), 64, 64, { kinds: ["plain"] })), 1);
    for (const kind of ["gradient", "noise", "scene"] as const) {
      assert.ok(colours(renderBackground(Random.seeded(seed), 64, 64, { kinds: [kind] })) > 16, `${kind} ${seed}`);
    }
  }
});

Deno.test("renderBackground() refuses a size that is no whole number of pixels", () => {
  assert.throws(() => renderBackground(Random.seeded(1), 0, 5), /expected whole sides ≥ 1, found 0 x 5/);
  assert.throws(() => renderBackground(Random.seeded(1), 2.5, 5), RangeError);
});
