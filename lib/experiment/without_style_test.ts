/** A training without a style, from the setting to the figures of the style. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { readRun } from "../track/mod.ts";
import { inRuns, makeTwoStyles, smallConfig } from "./fixture.ts";
import { trainTrials } from "./sweep/train_trial.ts";
import { trainAndJudge } from "./train_and_judge.ts";
import { trainExperiment } from "./train_experiment.ts";

const small = await makeTwoStyles();
Deno.test.afterAll(async () => await small[Symbol.asyncDispose]());
const { data } = small;
const common = { data, profile: "test", seed: 7, threads: 1, workers: 0 } as const;
const model = { family: "residual", width: 0.1, size: 32 } as const;
const background = [124, 124, 124];

Deno.test("without a style a training sees no picture of it and is tested on it alone, in a sweep on those of training", () =>
  inRuns(async (runs) => {
    const config = smallConfig({ epochs: 1 }, { model, data: { background, without: "back" } });
    const { folder, model: made } = await trainExperiment({ ...common, config, runsFolder: runs });
    const { train: kept, validation, test } = holdOutRows("back");
    assert.ok(test > 0 && kept < data.rows.train.length);
    assert.deepEqual(made!.card.trainedOn.pictures, { train: kept, validation, test });
    assert.equal(made!.card.trainedOn.split, "as built, without the style back");
    assert.equal(made!.card.metrics.test!.n, test);
    assert.equal((await readRun(folder)).steps.length, Math.floor(kept / 4));
    const again = await trainAndJudge({ ...common, config, runsFolder: join(runs, "judged") });
    await using _ = again.model;
    assert.deepEqual([again.validation.report.n, again.test.report.n], [validation, test]);
    const tried = await trainTrials(common)({
      trial: { number: 1, variant: 1, label: "a", parameters: {}, overlay: {}, seed: 7 },
      ...{ config, seed: 7, runsFolder: join(runs, "trials") },
    });
    assert.equal(tried!.answers!.length, tried!.validation.n);
    await assert.rejects(
      trainExperiment({ ...common, runsFolder: runs, config: smallConfig({}, { model, data: { without: "beck" } }) }),
      /^InputError: style: expected .*back.*, found "beck"$/,
    );
  }));

/** How many pictures of each split there are without a style, by the rule: its groups leave train and validation, it alone is tested. */
function holdOutRows(style: string) {
  const all = [...data.rows.train, ...data.rows.validation, ...data.rows.test];
  const isOf = ({ path }: { path: string }) => path.startsWith(`${style}/`);
  const groups = new Set(all.filter(isOf).map(({ group }) => group));
  const left = (rows: typeof all) => rows.filter(({ group }) => !groups.has(group)).length;
  return {
    train: left([...data.rows.train]),
    validation: left([...data.rows.validation]),
    test: all.filter(isOf).length,
  };
}
