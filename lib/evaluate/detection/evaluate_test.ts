/** Tests of evaluate.ts, worked by hand; tests/evaluate/pycocotools_test.ts compares with COCO's own program. */

import assert from "node:assert/strict";
import { EvaluateError } from "../errors.ts";
import type { ScoredBox } from "./box.ts";
import { type DetectedImage, evaluateDetections } from "./evaluate.ts";

/** A square of side 100 at `left`. */
const square = (left: number, classId = 0) => ({ classId, left, top: 0, right: left + 100, bottom: 100 });
const found = (left: number, score: number, classId = 0): ScoredBox => ({ ...square(left, classId), score });
const near = (a: number | undefined, b: number) => assert.ok(Math.abs(a! - b) < 1e-12, `${a} is not ${b}`);

Deno.test("average precision is the mean of the interpolated precision at 101 recalls", () => {
  const images = [{
    truth: [square(0), square(500)],
    detections: [found(0, 0.9), found(1000, 0.8), found(500, 0.7)],
  }];
  const report = evaluateDetections(images, { classes: 1 });
  // Precision is 1 up to recall 0.5 (51 points), then 2/3 (50 points).
  for (const figure of [report.mAP50, report.mAP50to95, report.mAPLarge]) near(figure, (51 + 50 * 2 / 3) / 101);
  assert.deepEqual([report.ar1, report.ar10, report.ar100], [0.5, 1, 1]);
  assert.deepEqual([report.mAPSmall, report.mAPMedium], [undefined, undefined]);
  near(report.precision50[50], 1);
  near(report.precision50[51], 2 / 3);
});

Deno.test("an IoU of 0.6 counts at the thresholds 0.50, 0.55 and 0.60 only", () => {
  // Shifted by 25 of 100: 75 shared of 125 covered.
  const report = evaluateDetections([{ truth: [square(0)], detections: [found(25, 1)] }], { classes: 1 });
  near(report.mAP50, 1);
  near(report.mAP75, 0);
  near(report.mAP50to95, 0.3);
  near(report.ar100, 0.3);
});

Deno.test("each class counts the same, and classes without true boxes do not count", () => {
  const images: DetectedImage[] = [
    { truth: [square(0)], detections: [found(0, 0.9), found(0, 0.9, 2)] },
    { truth: [square(0)], detections: [found(0, 0.8)] },
    { truth: [square(0, 1)], detections: [] },
  ];
  const report = evaluateDetections(images, { classes: 3 });
  near(report.mAP50, 0.5);
  assert.deepEqual(report.perClass.map(({ truths, ap50 }) => [truths, ap50 && Math.round(ap50)]), [[2, 1], [1, 0], [
    0,
    undefined,
  ]]);
  assert.deepEqual([report.images, report.truths, report.detections], [3, 3, 3]);
});

Deno.test("a second detection of a box is wrong, but a crowd takes in any number", () => {
  const twice = [found(0, 0.9), found(0, 0.8), found(300, 0.95), found(300, 0.94)];
  const crowd = { ...square(300), crowd: true };
  const report = evaluateDetections([{ truth: [square(0), crowd], detections: twice }], { classes: 1 });
  assert.deepEqual(report.best, { confidence: 0.9, precision: 1, recall: 1, f1: 1 });
  assert.equal(report.truths, 1);
  const plain = evaluateDetections([{ truth: [square(0), square(300)], detections: twice }], { classes: 1 });
  assert.deepEqual(plain.best, { confidence: 0.9, precision: 2 / 3, recall: 1, f1: 0.8 });
});

Deno.test("the best confidence balances precision and recall over all classes together", () => {
  const images: DetectedImage[] = [
    { truth: [square(0)], detections: [found(0, 0.9), found(700, 0.3)] },
    { truth: [square(0, 1)], detections: [found(0, 0.6, 1), found(700, 0.5, 2)] },
  ];
  const report = evaluateDetections(images, { classes: 3 });
  assert.deepEqual(report.best, { confidence: 0.6, precision: 1, recall: 1, f1: 1 });
  assert.deepEqual(report.perClass.map(({ precision, recall }) => [precision, recall]), [
    [1, 1],
    [1, 1],
    [undefined, undefined],
  ]);
});

Deno.test("figures without anything to be found are undefined, not 0", () => {
  const report = evaluateDetections([{ truth: [], detections: [found(0, 0.5)] }], { classes: 1 });
  assert.deepEqual([report.mAP50, report.mAP50to95, report.ar100, report.best], new Array(4).fill(undefined));
  const none = evaluateDetections([{ truth: [square(0)], detections: [] }], { classes: 1 });
  assert.deepEqual([none.mAP50, none.ar100, none.best], [0, 0, undefined]);
});

Deno.test("evaluateDetections() names the box that cannot be judged", () => {
  const refused: [DetectedImage, RegExp][] = [
    [{ truth: [square(0, 1)], detections: [] }, /^image 1, true box 0: expected a class in 0 … 0, found 1$/],
    [{ truth: [], detections: [found(0, NaN)] }, /^image 1, detection 0: expected a finite score, found NaN$/],
    [{ truth: [{ ...square(0), right: -1 }], detections: [] }, /expected a size from 0, found -1 x 100$/],
    [{ truth: [{ ...square(0), left: NaN }], detections: [] }, /expected finite edges, found NaN, 0, 100, 100$/],
    [{ truth: [{ ...square(0), area: -1 }], detections: [] }, /expected an area from 0, found -1$/],
  ];
  for (const [image, message] of refused) {
    assert.throws(
      () => evaluateDetections([{ truth: [], detections: [] }, image], { classes: 1 }),
      (error: Error) => error instanceof EvaluateError && message.test(error.message),
    );
  }
});
