/** Tests of box.ts. */

import assert from "node:assert/strict";
import { intersectionOverUnion } from "./box.ts";

const box = (left: number, top: number, right: number, bottom: number) => ({ left, top, right, bottom });

Deno.test("intersectionOverUnion() is the shared area over the covered area", () => {
  const a = box(0, 0, 2, 2);
  assert.equal(intersectionOverUnion(a, a), 1);
  assert.equal(intersectionOverUnion(a, box(1, 1, 3, 3)), 1 / 7);
  assert.equal(intersectionOverUnion(a, box(0, 0, 1, 2)), 1 / 2);
});

Deno.test("intersectionOverUnion() is 0 for boxes that only touch, are apart or have no area", () => {
  const a = box(0, 0, 2, 2);
  for (const other of [box(2, 0, 4, 2), box(5, 5, 6, 6), box(1, 1, 1, 2)]) {
    assert.equal(intersectionOverUnion(a, other), 0);
  }
  assert.equal(intersectionOverUnion(box(1, 1, 1, 1), box(1, 1, 1, 1)), 0);
});
