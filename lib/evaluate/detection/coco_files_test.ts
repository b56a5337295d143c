/** Tests of coco_files.ts and json_scanner.ts. */

import assert from "node:assert/strict";
import { cocoTable, parseCocoResults, parseCocoTruth, readCocoTruth } from "./coco_files.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const truthOf = (annotations: string, images = `[{"id": 7}, {"id": 3}]`) =>
  parseCocoTruth(
    bytes(`{"info": {"x": [1, {"y": "]"}]}, "images": ${images}, "categories": [{"id": 2, "name": "b\\"{"},
      {"id": 1, "name": "a"}], "annotations": ${annotations}, "licenses": []}`),
    "gt.json",
  );
const annotation = `{"id": 1, "image_id": 3, "category_id": 2, "bbox": [1, 2, 3, 4.5]}`;
const result = (fields: Record<string, unknown>) =>
  JSON.stringify([{ "image_id": 3, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5, ...fields }]);
const resultsOf = (text: string) => parseCocoResults(bytes(text), "dets.json");

Deno.test("a COCO file gives images and classes by rising id, the box's own area and no crowd where they are not said", () => {
  const truth = truthOf(`[${annotation}]`);
  assert.deepEqual(truth.classes, [{ id: 1, name: "a" }, { id: 2, name: 'b"{' }]);
  assert.deepEqual(truth.imageIds, [3, 7]);
  assert.deepEqual([truth.areas, truth.crowds, truth.places], [[13.5], [false], [1, 2, 3, 4.5]]);
});

Deno.test("unknown categories and images of true boxes are left out and counted, as pycocotools leaves them out", () => {
  const truth = truthOf(
    `[${annotation}, {"id": 0, "image_id": 3, "category_id": 1, "bbox": [0, 0, 1, 1]},
      {"id": 5, "image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]}, {"id": 6, "image_id": 3, "category_id": 9, "bbox": [0, 0, 1, 1]}]`,
  );
  const { table, leftOut } = cocoTable(truth, resultsOf(result({ category_id: 77 })));
  assert.deepEqual(leftOut, {
    detectionsOfUnknownCategories: 1,
    truthsOfUnknownCategories: 1,
    truthsOfUnknownImages: 1,
    truthsWithIdZero: 1,
  });
  assert.deepEqual([table.truth.area.length, table.detections.score.length], [2, 0]);
});

Deno.test("a detection in an unknown image is refused, as pycocotools refuses it", () => {
  assert.throws(() => cocoTable(truthOf("[]"), resultsOf(result({ image_id: 8 }))), {
    message: "dets.json: [0].image_id: expected an image of gt.json, found 8",
  });
});

Deno.test("what is wrong in a results file is one line that names the file, the place and the finding", () => {
  const cases: [text: string, message: string][] = [
    ["", "expected JSON, found the end of the file"],
    ["hello", `expected an array, found "hello"`],
    ["{}", `expected an array, found "{}"`],
    ["[1]", "[0]: expected an object, found 1"],
    ["[{}]", "[0].image_id: expected a whole number or a text, found none"],
    ["[{},", "[0].image_id: expected a whole number or a text, found none"],
    ["[", "expected JSON, found the end of the file"],
    ["[] []", `expected the end of the file, found "[]"`],

    [result({ score: null }), "[0].score: expected a finite number, found null"],
    [result({ score: "0.5" }), `[0].score: expected a finite number, found "0.5"`],
    [result({}).replace("0.5", "NaN"), "[0]: expected JSON, found NaN"],
    [result({}).replace("0.5", "-Infinity"), "[0]: expected JSON, found -Infinity"],
    [result({}).replace("0.5", "1e999"), "[0].score: expected a finite number, found Infinity"],
    [result({ bbox: [0, 0, -2, 1] }), "[0].bbox: expected a width and height from 0, found -2 x 1"],
    [
      result({ bbox: [0, 0, 1] }),
      "[0].bbox: expected [left, top, width, height] in finite numbers, found [0,0,1]",
    ],
    [result({ category_id: 1.5 }), "[0].category_id: expected a whole number, found 1.5"],
    [`[{"a": "${"x".repeat(9)}`, "[0]: expected JSON, found the end of the file"],
    ["[" + "[".repeat(100), "[0]: expected nesting of at most 64, found more"],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => resultsOf(text), (error: Error) => {
      assert.ok(error.message.startsWith(`dets.json: ${message}`), `${text}: ${error.message}`);
      return !error.message.includes("\n");
    });
  }
});

Deno.test("what is wrong in an annotations file is one line too", () => {
  const cases: [() => unknown, string][] = [
    [() => parseCocoTruth(bytes("[]"), "gt.json"), `expected an object, found "[]"`],
    [() => parseCocoTruth(bytes(`{"images": []}`), "gt.json"), `expected the field "categories", found "images"`],
    [
      () => parseCocoTruth(bytes(`{"images": [], "images": []}`), "gt.json"),
      `expected each field once, found "images"`,
    ],
    [() => parseCocoTruth(bytes(`{"images": 5}`), "gt.json"), `images: expected an array, found "5}"`],
    [() => parseCocoTruth(bytes(`{5: 5}`), "gt.json"), `expected a field's name, found "5: 5}"`],
    [() => truthOf(`[${annotation}, ${annotation}]`), "annotations[1].id: expected each id once, found 1 again"],
    [() => truthOf(`[{"id": 1}]`), "annotations[0].image_id: expected a whole number or a text, found none"],
    [
      () => truthOf(`[${annotation.replace("}", `, "iscrowd": 2}`)}]`),
      "annotations[0].iscrowd: expected 0 or 1, found 2",
    ],
    [
      () => truthOf(`[${annotation.replace("}", `, "area": -1}`)}]`),
      "annotations[0].area: expected a finite number from 0, found -1",
    ],
    [() => truthOf("[]", `[{"id": 1}, {"id": "x"}]`), "images[1].id: expected a number like those before, found x"],
  ];
  for (const [read, message] of cases) {
    assert.throws(read, (error: Error) => {
      assert.ok(error.message.startsWith(`gt.json: ${message}`), error.message);
      return true;
    });
  }
});

Deno.test("a file that is not there, or a folder, is one line", async () => {
  await assert.rejects(readCocoTruth("/nowhere/gt.json"), {
    message: "/nowhere/gt.json: expected a JSON file, found nothing there",
  });
  await assert.rejects(readCocoTruth("/"), { message: "/: expected a JSON file, found something else" });
});

Deno.test("a hostile file of 64 MB is refused in seconds, without being read as a whole", () => {
  const size = 64 * 2 ** 20;
  const filled = (begin: string, byte: string) => {
    const content = new Uint8Array(size).fill(byte.charCodeAt(0));
    content.set(bytes(begin));
    return content;
  };
  const cases: [Uint8Array, RegExp][] = [
    [filled("", "["), /nesting of at most 64/],
    [filled("[", " "), /found the end of the file/],
    [filled('["', "x"), /at most 16777216 bytes/],
    [filled("[", "7"), /at most 16777216 bytes/],
    [filled("", "\0"), /expected an array/],
    [filled('[{"a": [', "1"), /at most 16777216 bytes/],
  ];
  for (const [content, message] of cases) {
    const begin = performance.now();
    assert.throws(() => parseCocoResults(content, "dets.json"), message);
    assert.ok(performance.now() - begin < 5000);
  }
});
