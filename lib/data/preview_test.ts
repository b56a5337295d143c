import assert from "node:assert/strict";
import type { Batch } from "./loader/mod.ts";
import { batchPictures } from "./preview.ts";

const batch: Batch = {
  epoch: 0,
  step: 0,
  ids: ["0001_001"],
  // 4 x 3 pixels: red rises by column, green by row, blue is full.
  images: Float32Array.from({ length: 36 }, (_, at) => {
    const channel = Math.floor(at / 12), y = Math.floor((at % 12) / 4), x = at % 4;
    return channel === 0 ? x / 3 : channel === 1 ? y / 2 : 1;
  }),
  shape: [1, 3, 3, 4],
  labels: Int32Array.of(0),
  targets: [[{ classId: 0, weight: 1 }]],
  boxes: [[{ left: 1, top: 0, right: 4, bottom: 3, classId: 0, weight: 1 }]],
};

Deno.test("batchPictures() turns planes into pixels", () => {
  const [picture] = batchPictures(batch);
  assert.deepEqual([picture!.width, picture!.height, picture!.opaque], [4, 3, true]);
  assert.deepEqual([...picture!.data.subarray(4 * (1 * 4 + 3), 4 * (1 * 4 + 3) + 4)], [255, 128, 255, 255]);
  assert.deepEqual([...picture!.data.subarray(0, 4)], [0, 0, 255, 255]);
});

Deno.test("batchPictures() draws boxes on their outermost pixels and nowhere else", () => {
  const [plain] = batchPictures(batch);
  const [boxed] = batchPictures(batch, { boxes: true });
  const changed: string[] = [];
  for (let at = 0; at < 12; at++) {
    if (String(plain!.data.subarray(4 * at, 4 * at + 4)) !== String(boxed!.data.subarray(4 * at, 4 * at + 4))) {
      changed.push(`${at % 4},${Math.floor(at / 4)}`);
    }
  }
  assert.deepEqual(changed, ["1,0", "2,0", "3,0", "1,1", "3,1", "1,2", "2,2", "3,2"]);
});
