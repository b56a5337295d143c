/** Tests of train_trial.ts: real trainings of drawn pictures. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { listRuns, lossesOf, readRun } from "../../track/mod.ts";
import { openDataset } from "../dataset.ts";
import { inRuns, makeSmallData, smallConfig } from "../fixture.ts";
import { readPackage } from "../card.ts";
import { trainExperiment } from "../train_experiment.ts";
import { runSweep } from "./run_sweep.ts";
import { sweepConfigSchema } from "./settings.ts";
import { datasetIdentity, trainTrials } from "./train_trial.ts";

const small = await makeSmallData();
Deno.test.afterAll(async () => await small[Symbol.asyncDispose]());
const data = await openDataset({ dataFolder: small.dataFolder, species: 3 });
const trained = { data, profile: "test", threads: 1, workers: 0 } as const;
const constant = { kind: "constant", learningRate: 5e-3, warmUpEpochs: 0 };

Deno.test("a trial that is stopped in its middle goes on from its checkpoint, and no trial has seen the test split", async () => {
  await inRuns(async (folder) => {
    const settings = sweepConfigSchema.parse({
      ...{ name: "s", base: "b.yaml", method: "ablation" },
      switches: { "without average": { training: { averageDecay: null } } },
    });
    const common = { settings, base: smallConfig({ epochs: 2 }), profile: "test", seed: 3, folder };
    const dataset = await datasetIdentity(data);
    const interrupt = new AbortController();
    let steps = 0;
    const callbacks = [{ onStep: () => ++steps === 4 ? interrupt.abort() : undefined }];
    const first = await runSweep({
      ...{ ...common, dataset, signal: interrupt.signal, runTrial: trainTrials({ ...trained, callbacks }) },
    });
    assert.equal(first.state, "interrupted");
    const found = await runSweep({ ...common, dataset, runTrial: trainTrials(trained) });
    assert.deepEqual([found.state, found.folder, found.variants.length], ["finished", first.folder, 2]);
    const runs = await listRuns(join(found.folder, "runs"));
    assert.deepEqual(runs.map(({ resumes }) => resumes).sort(), [0, 1], "one run a trial, one of them resumed");
    for (const run of runs) assert.equal((await readPackage(run.folder)).card.metrics.test, undefined);
    const { n, top1 } = found.variants.find(({ label }) => label === "base")!;
    assert.equal(n, data.rows.validation.length);
    const [difference] = found.differences!;
    assert.deepEqual([difference!.paired, difference!.label], [true, "without average"]);
    const other = found.variants.find(({ label }) => label === "without average")!;
    assert.ok(Math.abs(difference!.difference - (other.top1! - top1!)) < 1e-9);
  });
});

Deno.test("a promoted trial of a constant rate has the losses of one training of the largest budget", async () => {
  await inRuns(async (folder) => {
    const settings = sweepConfigSchema.parse({
      ...{ name: "h", base: "b.yaml", method: "halving", trials: 2, eta: 2, smallestEpochs: 1, largestEpochs: 2 },
      parameters: { "schedule.learningRate": [5e-3, 1e-9] },
    });
    const base = smallConfig({}, { schedule: constant });
    const common = { settings, base, profile: "test", seed: 3, folder, dataset: await datasetIdentity(data) };
    const found = await runSweep({ ...common, runTrial: trainTrials(trained) });
    const [best] = found.variants;
    assert.equal(best!.epochs, 2);
    const run = await readRun(join(found.folder, "runs", best!.runs[0]!));
    assert.equal(run.resumes.length, 1);
    const rate = Number(best!.parameters["schedule.learningRate"]);
    const once = await trainExperiment({
      ...{ ...trained, seed: 3, runsFolder: join(folder, "once") },
      config: smallConfig({ epochs: 2 }, { schedule: { ...constant, learningRate: rate } }),
    });
    assert.deepEqual(lossesOf(run), lossesOf(await readRun(once.folder)));

    // killed after the training, before the sweep's line: the run is found, and not trained again
    const log = join(found.folder, "sweep.jsonl");
    const lines = (await Deno.readTextFile(log)).trimEnd().split("\n");
    await Deno.writeTextFile(log, lines.slice(0, -1).map((line) => line + "\n").join(""));
    let steps = 0;
    const callbacks = [{ onStep: () => void steps++ }];
    const again = await runSweep({ ...common, runTrial: trainTrials({ ...trained, callbacks }) });
    assert.deepEqual([steps, again], [0, found]);
  });
});
