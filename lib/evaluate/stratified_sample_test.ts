/** Tests of stratified_sample.ts. */

import assert from "node:assert/strict";
import { Random } from "../runtime/mod.ts";
import { stratifiedSample } from "./stratified_sample.ts";

const labels = [40, 30, 20, 10].flatMap((n, label) => new Array<number>(n).fill(label));

Deno.test("each class has its share to a picture, rising indices, the same for a seed", () => {
  for (const limit of [10, 25, 50, 99]) {
    const chosen = stratifiedSample(labels, limit, Random.seeded(limit));
    assert.equal(new Set(chosen).size, limit);
    assert.deepEqual(chosen, chosen.toSorted((a, b) => a - b));
    for (const [label, n] of [40, 30, 20, 10].entries()) {
      const found = chosen.filter((i) => labels[i] === label).length;
      assert.ok(Math.abs(found - limit * n / 100) <= 1, `${found} of class ${label} among ${limit}`);
    }
    assert.deepEqual(stratifiedSample(labels, limit, Random.seeded(limit)), chosen);
    assert.notDeepEqual(stratifiedSample(labels, limit, Random.seeded("other")), chosen);
  }
});

Deno.test("every picture is as likely to be chosen, also where a class has less than one", () => {
  const times = new Array<number>(100).fill(0);
  for (let seed = 0; seed < 3000; seed++) {
    for (const i of stratifiedSample(labels, 2, Random.seeded(seed))) times[i]!++;
  }
  for (const [label, n] of [40, 30, 20, 10].entries()) {
    // Which of the starts come first depends on the sizes, not by more than a few in a hundred.
    const mean = times.filter((_, i) => labels[i] === label).reduce((a, b) => a + b, 0) / n / 3000;
    assert.ok(mean > 0.005 && mean < 0.04, `class ${label}: ${mean}`);
  }
});

Deno.test("all are taken where there are no more than the limit", () => {
  assert.deepEqual(stratifiedSample([5, 5, 6], 3, Random.seeded(1)), [0, 1, 2]);
  assert.deepEqual(stratifiedSample([], 3, Random.seeded(1)), []);
});
