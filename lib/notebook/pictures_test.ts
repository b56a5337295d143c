/** Tests of picture grids. */

import assert from "node:assert/strict";
import sharp from "sharp";
import { jupyterDisplay } from "./display.ts";
import { composeGrid, pictures } from "./pictures.ts";

function flat([red, green, blue]: readonly [number, number, number]) {
  const size = 20;
  const data = new Uint8Array(size * size * 4);
  for (let i = 0; i < data.length; i += 4) data.set([red, green, blue, 255], i);
  return { data, width: size, height: size, channels: 4 as const };
}

/** The colour at a place given in CSS pixels. */
async function colorAt(grid: { png: Uint8Array; width: number }, x: number, y: number): Promise<number[]> {
  const { data, info } = await sharp(grid.png).raw().toBuffer({ resolveWithObject: true });
  const scale = info.width / grid.width;
  const at = (Math.round(y * scale) * info.width + Math.round(x * scale)) * info.channels;
  return [...data.subarray(at, at + 3)];
}

Deno.test("a grid puts its pictures row by row", async () => {
  const colors = [[250, 0, 0], [0, 250, 0], [0, 0, 250]] as const;
  const grid = await composeGrid(colors.map((color) => ({ image: flat(color), label: "x" })), {
    columns: 2,
    size: 100,
  });
  assert.deepEqual(await colorAt(grid, 10 + 50, 10 + 50), [250, 0, 0]);
  assert.deepEqual(await colorAt(grid, 120 + 50, 10 + 50), [0, 250, 0]);
  assert.deepEqual(await colorAt(grid, 10 + 50, 140 + 50), [0, 0, 250]);
});

Deno.test("a grid takes encoded bytes and keeps a wide picture's proportions", async () => {
  const png = await sharp({ create: { width: 80, height: 20, channels: 3, background: { r: 200, g: 10, b: 10 } } })
    .png()
    .toBuffer();
  const grid = await composeGrid([{ image: new Uint8Array(png) }], { size: 100 });
  assert.deepEqual(await colorAt(grid, 60, 60), [200, 10, 10]);
  assert.deepEqual(await colorAt(grid, 60, 20), [241, 242, 245], "above a picture four times as wide as high");
});

Deno.test("a picture that cannot be decoded leaves the others shown", async () => {
  const items = [{ image: new Uint8Array([1, 2, 3]), label: "bad" }, { image: flat([0, 250, 0]), label: "good" }];
  const grid = await composeGrid(items, { size: 100 });
  assert.deepEqual(await colorAt(grid, 120 + 50, 60), [0, 250, 0]);
});

Deno.test("labels with markup and control characters break neither the picture nor the HTML", async () => {
  const label = `</text><script>alert(1)</script>\u0000&`;
  const bundle = await pictures([{ image: flat([1, 2, 3]), label }], { caption: "<b>x</b>" })[jupyterDisplay]();
  assert.ok(!/<script|<b>/.test(String(bundle["text/html"])));
  const { width } = await sharp(Uint8Array.fromBase64(String(bundle["image/png"]))).metadata();
  assert.ok(width > 100);
});

Deno.test("an empty grid is refused", async () => {
  await assert.rejects(composeGrid([]), /InputError: pictures: expected 1 to 2000 pictures in a grid, found 0/);
});
