/** Tests of products.ts. */

import assert from "node:assert/strict";
import { WorkError } from "../../runtime/mod.ts";
import { classMeans, largestEigenvalue, Products, singles, solvePositive } from "./products.ts";
import { labelled } from "./small_features.ts";

Deno.test("solvePositive solves a system that was solved by hand", () => {
  // [[4, 2], [2, 3]] · (1, 2) = (8, 8) and · (−1, 1) = (−2, 1)
  const solved = solvePositive(Float64Array.of(4, 2, 2, 3), 2, Float64Array.of(8, 8, -2, 1));
  [1, 2, -1, 1].forEach((value, i) => assert.ok(Math.abs(solved[i]! - value) < 1e-12, String(solved)));
  assert.throws(() => solvePositive(Float64Array.of(1, 2, 2, 1), 2, Float64Array.of(1, 1)), WorkError);
});

Deno.test("the largest eigenvalue is found where the vector of ones is at a right angle to its eigenvector", () => {
  assert.ok(Math.abs(largestEigenvalue(Float64Array.of(2, 1, 1, 2), 2) - 3) < 1e-9);
  // eigenvalues 1 of (1, 1) and 3 of (1, −1)
  assert.ok(Math.abs(largestEigenvalue(Float64Array.of(2, -1, -1, 2), 2) - 3) < 1e-9);
});

Deno.test("scores and gram are the products of the matrices", async () => {
  await using products = await Products.open(1);
  const x = singles([3, 2], [1, 2, 3, 4, 5, 6]);
  const scores = await products.scores(x, singles([2, 2], [1, 0, 1, 1]), singles([2], [0.5, 0]));
  assert.deepEqual([...scores.data], [1.5, 3, 3.5, 7, 5.5, 11]);
  assert.deepEqual([...await products.gram(x)], [35, 44, 44, 56]);
});

Deno.test("class means are those of each class", () => {
  assert.deepEqual([...classMeans(labelled([[1, 0], [0, 1], [3, 2]], [1, 0, 1]), 2)], [0, 1, 2, 1]);
});
