/** Our mAP and recall against those that pycocotools found on the data sets of tests/peers/coco.py. */

import assert from "node:assert/strict";
import { distance, judgeCase, readCases } from "./coco_cases.ts";

Deno.test("all twelve COCO figures and every class's agree with pycocotools to 1e-9 on 60 random data sets", async () => {
  const cases = await readCases();
  assert.equal(cases.length, 60);
  assert.ok(cases.some(({ refused }) => refused));
  for (const each of cases) {
    const difference = distance(judgeCase(each), each);
    assert.ok(difference < 1e-9, `seed ${each.seed}: ${difference}`);
  }
});

Deno.test("a difference in one figure is seen", async () => {
  const [each] = (await readCases()).filter(({ figures }) => (figures?.ap ?? 0) > 0.5);
  const ours = judgeCase(each!)!;
  assert.ok(distance({ ...ours, mAP75: ours.mAP75! - 2e-6 }, each!) > 1e-6);
  assert.equal(distance({ ...ours, ar1: undefined }, each!), Infinity);
  assert.equal(distance(undefined, each!), Infinity);
});
