/** Tests of compose.ts. */

import assert from "node:assert/strict";
import { plainBackground } from "./backgrounds.ts";
import { composeSquare } from "./compose.ts";

const at = (square: Uint8Array, size: number, x: number, y: number) => [
  ...square.subarray((y * size + x) * 3, (y * size + x) * 3 + 3),
];
const grey = (size: number) => plainBackground([114, 114, 114], size, size);

Deno.test("a wide picture is centred between two grey bars", () => {
  const red = new Uint8Array(4 * 2 * 4).fill(255).map((value, index) => index % 4 === 1 || index % 4 === 2 ? 0 : value);
  const square = composeSquare({ data: red, width: 4, height: 2 }, grey(8), 8);
  for (let y = 0; y < 8; y++) {
    for (let x = 0; x < 8; x++) {
      assert.deepEqual(at(square, 8, x, y), y < 2 || y >= 6 ? [114, 114, 114] : [255, 0, 0], `${x}, ${y}`);
    }
  }
});

Deno.test("enlarging interpolates linearly between pixel centres, as OpenCV's INTER_LINEAR does", () => {
  // cv2.resize(np.array([[0, 100]], np.float32), (4, 1)) = [0, 25, 75, 100]
  const data = new Uint8Array([0, 0, 0, 255, 100, 100, 100, 255, 0, 0, 0, 255, 100, 100, 100, 255]);
  const square = composeSquare({ data, width: 2, height: 2 }, grey(4), 4);
  for (let y = 0; y < 4; y++) {
    assert.deepEqual([0, 1, 2, 3].map((x) => at(square, 4, x, y)[0]), [0, 25, 75, 100]);
  }
});

Deno.test("half-transparent pixels mix with the background, invisible ones show it and lend no colour", () => {
  const half = new Uint8Array([255, 255, 255, 128]);
  const mixed = composeSquare({ data: half, width: 1, height: 1 }, plainBackground([0, 100, 200], 3, 3), 3);
  // 255 · 128/255 + b · 127/255
  for (const [k, b] of [0, 100, 200].entries()) assert.ok(Math.abs(mixed[k]! - (128 + b * 127 / 255)) <= 1);
  const green = new Uint8Array([0, 255, 0, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0, 0, 0, 255]);
  const square = composeSquare({ data: green, width: 2, height: 2 }, plainBackground([0, 0, 0], 8, 8), 8);
  assert.ok(square.every((value) => value <= 1), "no green from behind alpha 0");
});

Deno.test("a picture of the square's own size is copied", () => {
  const data = Uint8Array.from({ length: 5 * 5 * 4 }, (_, index) => index % 4 === 3 ? 255 : (index * 7) % 256);
  const square = composeSquare({ data, width: 5, height: 5 }, grey(5), 5);
  assert.deepEqual([...square], [...data].filter((_, index) => index % 4 !== 3));
});

Deno.test("a picture that is too large or a background of another size is refused", () => {
  const picture = { data: new Uint8Array(4 * 9), width: 9, height: 1 };
  assert.throws(() => composeSquare(picture, grey(8), 8), RangeError);
  assert.throws(() => composeSquare({ ...picture, width: 3, height: 3 }, grey(7), 8), RangeError);
});
