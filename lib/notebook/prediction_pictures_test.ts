/** Tests of prediction_pictures.ts. */

import assert from "node:assert/strict";
import sharp from "sharp";
import { predictionPictures } from "./prediction_pictures.ts";

Deno.test("the surest box of the predicted class is drawn, green where it is right, red where it is wrong", async () => {
  const picture = { width: 20, height: 20, data: new Uint8Array(1600).fill(128).map((v, i) => i % 4 === 3 ? 255 : v) };
  const box = (classId: number, left: number, score: number) => ({
    classId,
    score,
    left,
    top: 0,
    right: 20,
    bottom: 20,
  });
  const detected = { detections: [box(0, 10, 0.9), box(1, 5, 0.8), box(1, 15, 0.2)] };
  const shown = await predictionPictures(
    [
      { picture, truth: 1, predicted: 1, confidence: 0.804, detected },
      { picture, truth: 0, predicted: 1, confidence: 0.5, detected },
      { picture, truth: 0, predicted: 2, confidence: 0.5, detected: undefined },
    ],
    (classId) => "abc"[classId]!,
    { side: 220 },
  );
  assert.deepEqual(shown.map(({ label }) => label), ["b 80 %", "a → b 50 %", "a → c 50 %"]);
  const edge = async (image: unknown) => {
    const { data } = await sharp(image as Uint8Array).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    return [...data.subarray(3 * (110 * 220 + 54), 3 * (110 * 220 + 54) + 3)];
  };
  assert.deepEqual(await Promise.all(shown.map(({ image }) => edge(image))), [
    [0x2a, 0x9d, 0x72],
    [0xd2, 0x4b, 0x5a],
    [128, 128, 128],
  ]);
});
