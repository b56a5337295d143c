/** Tests of annotated.ts: the pixels of the marks. */

import assert from "node:assert/strict";
import sharp from "sharp";
import { annotated } from "./annotated.ts";

/** A plain grey picture. */
const grey = (width: number, height: number) => ({
  ...{ width, height, channels: 3 as const },
  data: new Uint8Array(3 * width * height).fill(128),
});

async function pixelsOf(png: Uint8Array) {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return {
    info,
    at: (x: number, y: number) => [...data.subarray(3 * (y * info.width + x), 3 * (y * info.width + x) + 3)],
  };
}

Deno.test("a box's line lies on its edges in the enlarged picture, and nothing is drawn beside it", async () => {
  const mark = { left: 8, top: 4, right: 24, bottom: 20, color: 1 };
  const { info, at } = await pixelsOf(await annotated(grey(32, 24), { marks: [mark], side: 320 }));
  assert.deepEqual([info.width, info.height], [320, 240]);
  assert.deepEqual(at(80, 120), [0xe0, 0x78, 0x2f], "the left edge in the palette's second colour");
  assert.deepEqual(at(160, 40), [0xe0, 0x78, 0x2f], "the top edge");
  assert.deepEqual(at(160, 120), [128, 128, 128], "inside");
  assert.deepEqual(at(40, 120), [128, 128, 128], "outside");
});

Deno.test("an area is tinted, a mark beyond the picture is cut to it, a grid divides evenly", async () => {
  const { at } = await pixelsOf(
    await annotated(grey(10, 10), {
      side: 100,
      grid: { columns: 2, rows: 2 },
      marks: [{ left: 5, top: 5, right: 99, bottom: 99, look: "area", color: 1 }, {
        left: -9,
        top: -9,
        right: 99,
        bottom: 99,
      }],
    }),
  );
  assert.notDeepEqual(at(75, 75), [128, 128, 128], "tinted");
  assert.deepEqual(at(25, 75), [128, 128, 128], "not tinted");
  assert.deepEqual(at(0, 30), [0x3f, 0x74, 0xd8], "the cut box runs along the picture's edge");
  assert.notDeepEqual(at(50, 25), [128, 128, 128], "the grid's line");
});

Deno.test("a photograph that was taken sideways stands upright, and a label stands alone", async () => {
  const sideways = await sharp({ create: { width: 40, height: 20, channels: 3, background: "#808080" } })
    .withMetadata({ orientation: 6 }).jpeg().toBuffer();
  const { info, at } = await pixelsOf(
    await annotated(new Uint8Array(sideways), {
      side: 400,
      marks: [{ left: 0, top: 0, right: 20, bottom: 40, look: "label", label: "i", color: 1 }],
    }),
  );
  assert.deepEqual([info.width, info.height], [200, 400]);
  assert.deepEqual(at(1, 1), [0xe0, 0x78, 0x2f], "the label's ground");
  assert.ok(at(1, 200).every((channel) => Math.abs(channel - 128) < 6), "no line at the left edge");
});
