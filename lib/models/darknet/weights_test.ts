/** `.weights` files: the header's rule, the order of numbers, and one line for what is no such file. */

import assert from "node:assert/strict";
import { type BlockShape, ModelError, readWeights, writeWeights } from "../mod.ts";

const shapes: readonly BlockShape[] = [
  { place: "first", outputs: 2, inputs: 3, batchNormalize: true },
  { place: "second", outputs: 1, inputs: 2, batchNormalize: false },
];

/** A file made here, by FACTS: int32 major, minor, revision, `seen`, then float32 numbers 1, 2, 3, … */
function file(minor: number, numbers: number, seen = 777): Uint8Array<ArrayBuffer> {
  const header = minor >= 2 ? 20 : 16;
  const bytes = new Uint8Array(header + 4 * numbers), view = new DataView(bytes.buffer);
  view.setInt32(4, minor, true);
  if (minor >= 2) view.setBigUint64(12, BigInt(seen), true);
  else view.setInt32(12, seen, true);
  for (let i = 0; i < numbers; i++) view.setFloat32(header + 4 * i, i + 1, true);
  return bytes;
}

for (const minor of [1, 2]) {
  Deno.test(`version 0.${minor}: seen takes ${minor >= 2 ? 8 : 4} bytes; the file written again has the same bytes`, () => {
    const bytes = file(minor, 17);
    const read = readWeights(bytes, shapes);
    assert.deepEqual(read.header, { major: 0, minor, revision: 0, seen: 777n });
    // bias, scale, mean, variance, weight; then bias, weight
    const [first, second] = read.blocks;
    assert.deepEqual([...first!.bias, ...first!.scale!, ...first!.mean!, ...first!.variance!], [
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
    ]);
    assert.deepEqual([...first!.weight], [9, 10, 11, 12, 13, 14]);
    assert.deepEqual([[...second!.bias], [...second!.weight]], [[15], [16, 17]]);
    assert.deepEqual(writeWeights(read, shapes), bytes);
  });
}

Deno.test("pictures seen beyond 2^32 keep their number", () => {
  const bytes = file(2, 17);
  new DataView(bytes.buffer).setBigUint64(12, 2n ** 40n + 5n, true);
  const read = readWeights(bytes, shapes);
  assert.equal(read.header.seen, 2n ** 40n + 5n);
  assert.deepEqual(writeWeights(read, shapes), bytes);
});

Deno.test("the numbers may stand at any address", () => {
  const shifted = new Uint8Array(1 + 20 + 4 * 17);
  shifted.set(file(2, 17), 1);
  assert.deepEqual([...readWeights(shifted.subarray(1), shapes).blocks[1]!.weight], [16, 17]);
});

Deno.test("a partial file gives the layers that it holds, and must end after one", () => {
  assert.equal(readWeights(file(2, 14), shapes, { partial: true }).blocks.length, 1);
  assert.throws(() => readWeights(file(2, 13), shapes, { partial: true }), /it ends within the weights of first$/);
  assert.throws(() => readWeights(file(2, 0), shapes, { partial: true }), /it ends before the weights of first$/);
});

const nan = file(2, 17), negative = file(2, 17);
new DataView(nan.buffer).setFloat32(20 + 4 * 8, NaN, true);
new DataView(negative.buffer).setFloat32(20 + 4 * 7, -1, true);
const page = new TextEncoder().encode("<!DOCTYPE html><html><body>Not Found</body></html>");
const REFUSED: readonly [string, Uint8Array, RegExp][] = [
  ["an empty file", new Uint8Array(), /^w: expected the header of a \.weights file, found 0 bytes$/],
  ["a header cut off", file(2, 17).subarray(0, 18), /^w: expected the header of a \.weights file, found 18 bytes$/],
  ["a page", page, /^w: expected the header of a \.weights file, found the version \d+/],
  [
    "a truncated file",
    file(2, 16),
    /^w: expected 88 bytes for 2 layers with weights, found 84: it ends within the weights of second$/,
  ],
  ["one that ends early", file(2, 14), /^w: expected 88 bytes .* found 76: it ends before the weights of second$/],
  [
    "half a number",
    file(2, 17).subarray(0, 86),
    /^w: expected 88 bytes .* found 86: it ends within the weights of second$/,
  ],
  ["one too long", file(2, 18), /^w: expected 88 bytes .* found 92: it is too long, or of another network$/],
  ["a NaN", nan, /^w: first: expected finite numbers, found NaN at weight 0$/],
  ["a negative variance", negative, /^w: first: expected variances from 0, found -1 at variance 1$/],
];
for (const [name, bytes, message] of REFUSED) {
  Deno.test(`${name} is refused in one line`, () => {
    assert.throws(() => readWeights(bytes, shapes, { name: "w" }), (error) => {
      assert.ok(error instanceof ModelError);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("layers that claim more numbers than can be are refused by the file's size, before anything is allocated", () => {
  const huge: BlockShape = { place: "huge", outputs: 1 << 20, inputs: 1 << 30, batchNormalize: false };
  assert.throws(() => readWeights(file(2, 17), [huge]), /expected 4503599631564820 bytes/);
});
