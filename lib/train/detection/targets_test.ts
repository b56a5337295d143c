/** Positives and tensors by hand: YOLOv3's own anchors, collisions, wrong boxes. */

import assert from "node:assert/strict";
import type { YoloSpec } from "../../models/mod.ts";
import { type Tensor, toNumbers } from "../../onnx/mod.ts";
import { TrainError } from "../errors.ts";
import {
  type AssignmentOptions,
  assignPositives,
  positiveCapacity,
  shapeIou,
  type TruthBox,
  yoloTargets,
} from "./mod.ts";

/** YOLOv3 at 416 px with its nine anchors for COCO (Redmon and Farhadi 2018, section 2.3). */
const yolo: YoloSpec = {
  classes: 1025,
  size: 416,
  heads: [
    { output: "coarse", stride: 32, anchors: [[116, 90], [156, 198], [373, 326]] },
    { output: "middle", stride: 16, anchors: [[30, 61], [62, 45], [59, 119]] },
    { output: "fine", stride: 8, anchors: [[10, 13], [16, 30], [33, 23]] },
  ],
};
/** One head of 2 x 2 cells with one anchor. */
const tiny: YoloSpec = { classes: 4, size: 64, heads: [{ output: "only", stride: 32, anchors: [[20, 20]] }] };

function box(classId: number, left: number, top: number, right: number, bottom: number, weight = 1) {
  return { classId, left, top, right, bottom, weight };
}

const places = (boxes: Required<TruthBox>[], spec: YoloSpec, options: AssignmentOptions = {}) =>
  assignPositives(boxes, spec, options).map(({ head, anchor, row, column }) => [head, anchor, row, column]);

Deno.test("shape IoU of 10 x 20 and 20 x 10 is a third", () => {
  assert.ok(Math.abs(shapeIou(10, 20, 20, 10) - 1 / 3) < 1e-12);
});

Deno.test("the anchor of the best shape over all heads answers, in the cell of the centre", () => {
  // Whole picture: 373 x 326 of 416 x 416; centre 208 lies in cell 6 of 13.
  assert.deepEqual(places([box(0, 0, 0, 416, 416)], yolo), [[0, 2, 6, 6]]);
  // 60 x 44 is 62 x 45 nearly; centre (100, 50) in cells of 16 px: column 6, row 3.
  assert.deepEqual(places([box(0, 70, 28, 130, 72)], yolo), [[1, 1, 3, 6]]);
  // 12 x 12: 10 x 13 has 120 / 154, the next is far; centre (410, 6) in cells of 8 px: column 51, row 0.
  assert.deepEqual(places([box(0, 404, 0, 416, 12)], yolo), [[2, 0, 0, 51]]);
});

Deno.test("a box at the very edge stays in the last cell", () => {
  assert.deepEqual(places([box(0, 63.999999, 63.999999, 64, 64)], tiny), [[0, 0, 1, 1]]);
});

Deno.test("anchorThreshold adds the anchors of all heads above it", () => {
  // 61 x 60: with 62 x 45 an IoU of 2745 / 3705 = 0.74, 59 x 119 3540 / 7141 = 0.496, 30 x 61 1800 / 3690 = 0.488, others less.
  const truth = [box(0, 100, 100, 161, 160)];
  assert.deepEqual(places(truth, yolo, { anchorThreshold: 0.49 }), [[1, 1, 8, 8], [1, 2, 8, 8]]);
  assert.deepEqual(places(truth, yolo, { anchorThreshold: 0.75 }), [[1, 1, 8, 8]], "the best one in any case");
});

Deno.test("neighbours adds the cells that the centre is nearest to, and none outside the picture", () => {
  // The centre (40, 20) lies in column 1, row 0 of cells of 32 px, nearer to the left and to the lower edge.
  assert.deepEqual(places([box(0, 30, 10, 50, 30)], tiny, { neighbours: true }), [[0, 0, 0, 1], [0, 0, 0, 0], [
    0,
    0,
    1,
    1,
  ]]);
  // (4, 4) is nearest to the picture's own edges.
  assert.deepEqual(places([box(0, 0, 0, 8, 8)], tiny, { neighbours: true }), [[0, 0, 0, 0]]);
});

Deno.test("of two boxes on one cell and anchor the larger stays, of equally large ones the later", () => {
  const large = box(1, 0, 0, 30, 30), small = box(2, 5, 5, 25, 25), equal = box(3, 1, 1, 31, 31);
  for (const order of [[large, small], [small, large]]) {
    const found = assignPositives(order, tiny, {});
    assert.equal(found.length, 1);
    assert.deepEqual([found[0]!.box, found[0]!.classes], [large, [[1, 1]]]);
  }
  assert.equal(assignPositives([large, equal], tiny, {})[0]!.box, equal);
});

Deno.test("a box's own cell stays before a neighbour of a larger box", () => {
  const large = box(1, 20, 0, 60, 30), small = box(2, 5, 5, 15, 15); // centres in columns 1 and 0, row 0
  for (const order of [[large, small], [small, large]]) {
    const found = assignPositives(order, tiny, { neighbours: true });
    assert.equal(found.find(({ row, column }) => row === 0 && column === 0)?.box, small);
  }
});

Deno.test("boxes of mixed pictures on one cell and anchor share the class target by their weights", () => {
  const main = box(1, 0, 0, 30, 30, 0.7), other = box(2, 2, 2, 32, 32, 0.3);
  for (const order of [[main, other], [other, main]]) {
    const [positive, ...rest] = assignPositives(order, tiny, {});
    assert.equal(rest.length, 0);
    assert.equal(positive!.box, main);
    assert.ok(Math.abs(positive!.weight - 1) < 1e-12);
    assert.deepEqual(positive!.classes.map(([classId, share]) => [classId, Number(share.toFixed(9))]), [[1, 0.7], [
      2,
      0.3,
    ]]);
  }
  const [same] = assignPositives([main, { ...other, classId: 1 }], tiny, {});
  assert.deepEqual(same!.classes, [[1, 1]], "one class twice is that class");
});

Deno.test("a third class of one positive goes, and the shares of the two heaviest sum to 1", () => {
  const mixed = [box(1, 0, 0, 30, 30, 0.5), box(3, 0, 0, 30, 30, 0.2), box(2, 0, 0, 30, 30, 0.3)];
  const [{ classes, weight } = { classes: [], weight: 0 }] = assignPositives(mixed, tiny, {});
  assert.deepEqual(classes.map(([classId]) => classId), [1, 2]);
  assert.ok(Math.abs(classes.reduce((sum, [, share]) => sum + share, 0) - 1) < 1e-12);
  assert.ok(Math.abs(weight - 1) < 1e-12);
});

Deno.test("tensors of two pictures, one of them without objects, by hand", () => {
  const numbers = Object.fromEntries(
    Object.entries(yoloTargets([[], [box(3, 32, 8, 64, 24, 0.5)]], tiny, { maxBoxes: 2 })).map(([name, each]) => [
      name,
      { shape: (each as Tensor).shape, data: toNumbers(each) },
    ]),
  );
  // The centre (48, 16) lies in column 1, row 0; (5 + 4) channels of 2 x 2 cells.
  const none = [0, 0, 1, 1];
  assert.deepEqual(numbers, {
    "yolo/truth": { shape: [2, 2, 4], data: [...new Array(8).fill(0), 0.5, 0.125, 1, 0.375, 0, 0, 0, 0] },
    "yolo/only/objectness": { shape: [2, 1, 2, 2], data: [0, 0, 0, 0, 0, 0.5, 0, 0] },
    "yolo/only/places": { shape: [2, 2], data: [0, 0, 1, 0] },
    "yolo/only/cells": { shape: [2, 2, 4], data: [...none, ...none, 1, 0, 0.3125, 0.3125, ...none] },
    "yolo/only/boxes": { shape: [2, 2, 4], data: [...none, ...none, 0.75, 0.25, 0.5, 0.25, ...none] },
    "yolo/only/weights": { shape: [2, 2], data: [0, 0, 0.5, 0] },
    "yolo/only/classes": { shape: [2, 2, 2], data: [0, 0, 0, 0, 3, 0, 0, 0] },
    "yolo/only/shares": { shape: [2, 2, 2], data: [0, 0, 0, 0, 1, 0, 0, 0] },
  });
});

Deno.test("a place counts the anchors before it with all their channels", () => {
  const batch = yoloTargets([[box(7, 0, 0, 416, 416)]], yolo, { maxBoxes: 1 });
  // Third anchor, row 6, column 6 of 13 x 13.
  assert.deepEqual(toNumbers(batch["yolo/coarse/places"]!), [2 * 1030 * 169 + 6 * 13 + 6]);
});

Deno.test("targets of 1,025 classes at 416 px stay below a hundredth of dense ones", () => {
  const batch = yoloTargets([[box(7, 0, 0, 416, 416)]], yolo);
  const bytes = Object.values(batch).reduce((sum, { data }) => sum + (data as Float32Array).byteLength, 0);
  assert.ok(bytes < 4 * 10647 * 1030 / 100, `${bytes} bytes`);
});

Deno.test("a list of positives is as long as boxes, anchors and neighbours can make it, and no longer than there are places", () => {
  assert.equal(positiveCapacity(yolo, 0, { maxBoxes: 8 }), 8);
  assert.equal(positiveCapacity(yolo, 0, { maxBoxes: 8, anchorThreshold: 0.3 }), 24);
  assert.equal(positiveCapacity(yolo, 0, { maxBoxes: 8, anchorThreshold: 0.3, neighbours: true }), 72);
  assert.equal(positiveCapacity(tiny, 0, { maxBoxes: 100 }), 4);
  const crowd = Array.from(
    { length: 100 },
    (_, i) => box(0, (i % 10) * 6, Math.floor(i / 10) * 6, (i % 10) * 6 + 8, 60),
  );
  const batch = yoloTargets([crowd], tiny, { maxBoxes: 100, neighbours: true, anchorThreshold: 0.01 });
  assert.deepEqual(batch["yolo/only/weights"]!.shape, [1, 4]);
});

Deno.test("wrong boxes are one line that names the picture, the box, the expectation and the finding", () => {
  const good = box(0, 1, 1, 20, 20);
  const wrong: [TruthBox, RegExp][] = [
    [box(4, 1, 1, 20, 20), /picture 1, box 1: expected a class id in 0 … 3, found 4$/],
    [box(-1, 1, 1, 20, 20), /class id in 0 … 3, found -1$/],
    [box(0.5, 1, 1, 20, 20), /class id in 0 … 3, found 0.5$/],
    [box(NaN, 1, 1, 20, 20), /class id in 0 … 3, found NaN$/],
    [box(0, 1, NaN, 20, 20), /four finite numbers, found 1, NaN, 20, 20$/],
    [box(0, 1, 1, Infinity, 20), /four finite numbers, found 1, 1, Infinity, 20$/],
    [box(0, 5, 1, 5, 20), /left < right and top < bottom, found 5, 1, 5, 20$/],
    [box(0, 5, 20, 9, 1), /left < right and top < bottom, found 5, 20, 9, 1$/],
    [box(0, -2, 1, 20, 20), /within the picture of 64 x 64 pixels, found -2, 1, 20, 20$/],
    [box(0, 1, 1, 20, 65), /within the picture of 64 x 64 pixels, found 1, 1, 20, 65$/],
    [box(0, 64.001, 1, 64.002, 20), /within the picture, found 64.001, 1, 64.002, 20$/],
    [box(0, 1, 1, 20, 20, 0), /a weight above 0 to 1, found 0$/],
    [box(0, 1, 1, 20, 20, 1.5), /a weight above 0 to 1, found 1.5$/],
  ];
  const refused = (work: () => unknown, message: RegExp) =>
    assert.throws(work, (error) => error instanceof TrainError && message.test(error.message), String(message));
  for (const [bad, message] of wrong) refused(() => yoloTargets([[], [good, bad]], tiny), message);
  refused(
    () => yoloTargets([[good, good]], tiny, { maxBoxes: 1 }),
    /picture 0: expected at most maxBoxes = 1 boxes, found 2/,
  );
  refused(() => yoloTargets([], tiny), /expected boxes of at least one picture, found none/);
  refused(() => yoloTargets([[]], tiny, { anchorThreshold: 0 }), /anchorThreshold above 0 to 1, found 0/);
});

Deno.test("a box that rounding put a hair outside the picture is cut to it", () => {
  const batch = yoloTargets([[{ classId: 0, left: -0.001, top: 0, right: 64.001, bottom: 64 }]], tiny, { maxBoxes: 1 });
  assert.deepEqual(toNumbers(batch["yolo/truth"]!), [0, 0, 1, 1]);
});
