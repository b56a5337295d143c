import assert from "node:assert/strict";
import { tensor } from "../../runtime/mod.ts";
import { cosines, normalizeRows } from "../cosines.ts";
import { zeroShotProbabilities } from "./classify.ts";
import { textPrototypes } from "./prototypes.ts";

const rows = (...values: number[][]) =>
  tensor("float32", [values.length, values[0]!.length], Float32Array.from(values.flat()));
const near = (found: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6) => {
  assert.equal(found.length, expected.length);
  expected.forEach((value, i) => assert.ok(Math.abs(found[i]! - value) <= tolerance, `${i}: ${found[i]}, ${value}`));
};

Deno.test("a prototype is the mean of its texts' embeddings, at length 1; every text is asked for once", async () => {
  const known: Record<string, number[]> = { "a red one": [1, 0], "a round one": [0, 1], "a blue one": [0.6, -0.8] };
  const asked: string[] = [];
  const encoder = {
    dimension: 2,
    embedTexts: (texts: readonly string[]) => {
      asked.push(...texts);
      return Promise.resolve(rows(...texts.map((text) => known[text]!)));
    },
  };
  const prototypes = await textPrototypes(encoder, [["a red one", "a round one"], ["a blue one"]]);
  near(prototypes.data, [Math.SQRT1_2, Math.SQRT1_2, 0.6, -0.8]);
  assert.deepEqual(asked, ["a red one", "a round one", "a blue one"]);
  await assert.rejects(textPrototypes(encoder, [["a red one"], []]), /expected a text for class 1, found none/);
});

Deno.test("zero-shot is the softmax of scaled cosines", async () => {
  const prototypes = rows([1, 0], [0, 1], [-1, 0]);
  const { values, classes } = await zeroShotProbabilities(rows([1, 0], [0.6, 0.8]), prototypes, Math.log(2) / 0.5);
  assert.equal(classes, 3);
  // exp(scale · cos) = 4 ** cos: 4, 1, 1/4 and 4 ** 0.6, 4 ** 0.8, 4 ** -0.6
  const second = [4 ** 0.6, 4 ** 0.8, 4 ** -0.6], sum = second.reduce((a, b) => a + b);
  near(values, [4 / 5.25, 1 / 5.25, 0.25 / 5.25, ...second.map((value) => value / sum)]);
  const sharp = await zeroShotProbabilities(rows([1, 0]), prototypes, 1e4); // overflows unless the largest is taken off
  near(sharp.values, [1, 0, 0]);
});

Deno.test("cosines refuse other widths; rows come to length 1, and zeros stay", async () => {
  await assert.rejects(cosines(rows([1, 0]), rows([1, 0, 0])), /expected embeddings of one width, found \[1,2\] and/);
  assert.deepEqual((await cosines(tensor("float32", [0, 2], new Float32Array(0)), rows([1, 0]))).shape, [0, 1]);
  near(normalizeRows(rows([3, 4], [0, 0])).data, [0.6, 0.8, 0, 0]);
});
