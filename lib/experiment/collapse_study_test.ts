/** The collapse study on drawn pictures: each case leaves its trace, and the guard saves what can be saved. */

import assert from "node:assert/strict";
import { weighReadings } from "./collapse_readings.ts";
import { studyCollapse } from "./collapse_study.ts";
import { openDataset } from "./dataset.ts";
import { makeSmallData, smallConfig } from "./fixture.ts";
import { ORIGINAL_RUN } from "./original.ts";

Deno.test("an overridden rate, lost weights and the guard each leave their trace", async () => {
  await using small = await makeSmallData({ species: 3, drawings: 10 });
  const data = await openDataset({ dataFolder: small.dataFolder, species: 3 });
  const config = smallConfig({ epochs: 10, monitor: "mAP50" }, {
    optimizer: { name: "sgd" },
    schedule: { kind: "cosine", learningRate: 0.02, warmUpEpochs: 2 },
  });
  const study = await studyCollapse({ config, data, seed: 3, healthyEpochs: 6, threads: 1, workers: 0 });
  const { healthy, cases: [undisturbed, overridden, lost, guarded] } = study;
  assert.deepEqual(study.cases.map(({ name }) => name), [
    "undisturbed",
    "overridden rate",
    "lost weights",
    "overridden rate, guarded",
  ]);
  assert.deepEqual([healthy, undisturbed, lost].map((trace) => trace!.epochs.map(({ epoch }) => epoch)), [
    [1, 2, 3, 4, 5, 6],
    [7, 8, 9, 10],
    [7, 8, 9, 10],
  ]);
  // The healthy training goes on as if nothing had stopped it; the restart repeats its first steps' rates and losses.
  const first = healthy.epochs[0]!, last = healthy.epochs.at(-1)!;
  assert.ok(undisturbed!.epochs[0]!.loss < last.loss * 1.2, `${undisturbed!.epochs[0]!.loss}`);
  assert.ok(Math.abs(lost!.epochs[0]!.loss / first.loss - 1) < 0.2, `${lost!.epochs[0]!.loss} beside ${first.loss}`);
  assert.deepEqual(
    lost!.steps.slice(0, 5).map(({ learningRate }) => learningRate),
    healthy.steps.slice(0, 5).map(({ learningRate }) => learningRate),
  );
  // A hundred times the rate leaves no training: the loss is far beyond the undisturbed one's, or no number at all.
  const [lossOfOverridden, lossOfUndisturbed] = [overridden!, undisturbed!].map(({ epochs }) => epochs[0]!.loss) as [
    number,
    number,
  ];
  assert.ok(!(lossOfOverridden < 1.5 * lossOfUndisturbed), `${lossOfOverridden} beside ${lossOfUndisturbed}`);
  assert.equal(
    Math.round(overridden!.steps[0]!.learningRate / undisturbed!.steps[0]!.learningRate),
    100,
  );
  assert.ok(guarded!.incidents.length > 0 && overridden!.incidents.length === 0);
  const best = Math.max(...guarded!.epochs.map(({ top1 }) => top1));
  assert.ok(guarded!.epochs.at(-1)!.learningRate < overridden!.epochs.at(-1)!.learningRate);
  assert.ok(best >= Math.max(...overridden!.epochs.map(({ top1 }) => top1)));
  const { readings, ratio } = weighReadings(study, ORIGINAL_RUN);
  assert.equal(readings.length, 2);
  assert.ok(Math.abs(ratio - 0.33 / 0.41) < 1e-12);
  assert.ok(readings[0]!.distance <= readings[1]!.distance);
  assert.deepEqual(readings.map(({ name, warmsUp }) => [name, warmsUp]).sort(), [
    ["lost weights", true],
    ["overridden rate", false],
  ]);
});

Deno.test("healthy epochs must leave some for the fall", async () => {
  await using small = await makeSmallData({ species: 2, drawings: 8 });
  const data = await openDataset({ dataFolder: small.dataFolder, species: 2 });
  await assert.rejects(
    studyCollapse({ config: smallConfig({ epochs: 2 }), data, seed: 3, healthyEpochs: 2 }),
    /collapse: expected 1 … 1 healthy epochs, found 2/,
  );
});
