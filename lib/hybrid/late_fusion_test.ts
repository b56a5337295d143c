import assert from "node:assert/strict";
import { judgeClassification, type Scores } from "../evaluate/mod.ts";
import { Random } from "../runtime/mod.ts";
import { aligned, type Answers } from "./answers.ts";
import { fitLateFusion, fuseLate } from "./late_fusion.ts";

const scores = (rows: number[][]): Scores => ({ values: Float32Array.from(rows.flat()), classes: rows[0]!.length });

/** A model that knows one half of the classes well and guesses in the other. */
function specialist(
  labels: readonly number[],
  classes: number,
  knows: (label: number) => boolean,
  seed: number,
): Scores {
  const random = Random.seeded("specialist", seed);
  return scores(labels.map((label) => {
    const row = Array.from({ length: classes }, () => Math.exp(random.normal()));
    if (knows(label)) row[label]! *= 20;
    const sum = row.reduce((a, b) => a + b);
    return row.map((value) => value / sum);
  }));
}

Deno.test("late fusion is on its pictures never worse than the best model, and joins what each knows", () => {
  const classes = 6, labels = Array.from({ length: 600 }, (_, i) => i % classes);
  const models = [
    specialist(labels, classes, (label) => label < 3, 1),
    specialist(labels, classes, (label) => label >= 3, 2),
    specialist(labels, classes, () => false, 3),
  ];
  const fusion = fitLateFusion(models, labels);
  const best = Math.max(...fusion.alone);
  assert.ok(fusion.top1 >= best + 0.1, `${fusion.top1} against ${best}`);
  assert.ok(Math.abs(fusion.weights.reduce((a, b) => a + b) - 1) < 1e-9);
  assert.ok(fusion.weights[2]! < 0.2, `${fusion.weights}`);
  assert.equal(judgeClassification(fuseLate(fusion, models), labels).top1.share, fusion.top1);
  // Whatever the models are: many small sets of noise, in which the best weight is luck.
  for (let seed = 0; seed < 20; seed++) {
    const few = labels.slice(0, 30),
      noise = [10, 11, 12].map((k) => specialist(few, classes, () => false, 100 * seed + k));
    const { top1, alone } = fitLateFusion(noise, few);
    assert.ok(top1 >= Math.max(...alone));
  }
});

Deno.test("the fusion of two answers by hand: p ∝ p₁^w · p₂^(1 − w)", () => {
  const fusion = { weights: [0.25, 0.75], temperatures: [1, 1], temperature: 1, top1: 0, alone: [] };
  const { values } = fuseLate(fusion, [scores([[0.5, 0.25, 0.25]]), scores([[0.2, 0.2, 0.6]])]);
  const raw = [0.5 ** 0.25 * 0.2 ** 0.75, 0.25 ** 0.25 * 0.2 ** 0.75, 0.25 ** 0.25 * 0.6 ** 0.75];
  const sum = raw.reduce((a, b) => a + b);
  raw.forEach((value, i) => assert.ok(Math.abs(values[i]! - value / sum) < 1e-6));
  assert.throws(() => fuseLate(fusion, [scores([[1, 0]])]), /expected the answers of 2 models, found 1/);
  assert.throws(() => fitLateFusion([], []), /expected at least one model/);
  assert.throws(
    () => fitLateFusion([scores([[1, 0]]), scores([[1, 0, 0]])], [0]),
    /expected 1 pictures x 2 classes of every model, found 1 x 3/,
  );
});

Deno.test("answers are joined by picture and species, and those about others are refused", () => {
  const answers: Answers = {
    ...{ model: "net", probabilities: scores([[0.9, 0.1], [0.3, 0.7]]), labels: [0, 1] },
    ...{ pictures: ["a", "b"], dex: [25, 4] },
  };
  const wanted = { pictures: ["b", "a"], dex: [4, 7, 25], labels: [0, 2] };
  const found = aligned(answers, wanted);
  assert.deepEqual(Array.from(found.probabilities.values, (p) => Number(p.toFixed(6))), [0.7, 0, 0.3, 0.1, 0, 0.9]);
  assert.throws(
    () => aligned(answers, { ...wanted, pictures: ["b", "c"] }),
    /net: .* picture c, found none; it was asked/,
  );
  assert.throws(() => aligned(answers, { ...wanted, labels: [1, 2] }), /picture b to show species 7, found 4/);
  assert.throws(() => aligned({ ...answers, pictures: ["a", "a"] }, wanted), /found a picture with several/);
  assert.throws(
    () => aligned({ ...answers, labels: [0] }, wanted),
    /expected probabilities \[2, 2\] and 2 labels, found/,
  );
});
