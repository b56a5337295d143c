/** Tests of resume_run.ts: trainings that are stopped, lost or held by another process. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { lockFolder } from "../runtime/mod.ts";
import { lossesOf, readRun } from "../track/mod.ts";
import { openDataset } from "./dataset.ts";
import { inRuns, makeSmallData, smallConfig, trainedLosses } from "./fixture.ts";
import { chooseRun } from "./resume_run.ts";
import { trainExperiment, type TrainOptions } from "./train_experiment.ts";

const small = await makeSmallData();
Deno.test.afterAll(async () => await small[Symbol.asyncDispose]());
const data = await openDataset({ dataFolder: small.dataFolder, species: 3 });
const common = { data, profile: "test", seed: 7, threads: 1, workers: 0 } as const;

const losses = (runs: string, options: Partial<TrainOptions>) =>
  trainedLosses({ ...common, config: smallConfig(), runsFolder: runs, ...options });

Deno.test("an interrupted run has a checkpoint and no model; resume auto goes on with it, then a finished run is left alone", () =>
  inRuns(async (runs) => {
    const undisturbed = await losses(runs, {});
    await Deno.remove(runs, { recursive: true });
    const config = smallConfig();
    const controller = new AbortController();
    const options = { ...common, config, runsFolder: runs, resume: "auto" };
    const callbacks = [{
      onStep: ({ result }: { result: { step: number } }) => result.step === 4 && controller.abort(),
    }];
    const first = await trainExperiment({
      ...options,
      signal: controller.signal,
      callbacks: callbacks as unknown as NonNullable<TrainOptions["callbacks"]>,
    });
    assert.deepEqual([first.fit.reason, first.fit.step, first.model], ["interrupted", 5, undefined]);
    const second = await trainExperiment(options);
    assert.deepEqual([second.run, second.fit.reason], [first.run, "finished"]);
    assert.deepEqual(lossesOf(await readRun(second.folder)), undisturbed);
    const third = await trainExperiment({ ...options, config: smallConfig({ steps: 1 }) });
    assert.notEqual(third.run, first.run);
    assert.deepEqual([third.fit.reason, third.fit.step], ["step budget", 1]);
  }));

Deno.test("a run whose folder is lost goes on from its backup, copied back", () =>
  inRuns(async (runs) => {
    const to = join(runs, "backup"), own = join(runs, "runs");
    const config = smallConfig({ backup: { to }, checkpoint: { everySteps: 2 } });
    const controller = new AbortController();
    controller.abort();
    const first = await trainExperiment({ ...common, config, runsFolder: own, signal: controller.signal });
    assert.equal(first.fit.reason, "interrupted");
    await Deno.remove(own, { recursive: true });
    const warnings: string[] = [];
    const second = await trainExperiment({
      ...{ ...common, config, runsFolder: own, resume: "auto" },
      warn: (line) => void warnings.push(line),
    });
    assert.equal(second.run, first.run);
    assert.match(warnings.join("\n"), /expected the run there, found it in .*backup.* only; copied back/);
    assert.ok((await Deno.stat(join(to, second.run, "model.json"))).isFile);
    await assert.rejects(
      trainExperiment({ ...common, config: smallConfig(), runsFolder: own, resume: join(own, "nowhere") }),
      /nowhere: expected a checkpoint or the folder of a run, found nothing there/,
    );
    await assert.rejects(
      trainExperiment({
        ...{ ...common, runsFolder: own, resume: second.folder },
        config: smallConfig({}, { model: { family: "yolov3-tiny", width: 0.05, size: 32 } }),
      }),
      /expected a checkpoint .*architecture/,
    );
  }));

Deno.test("a second process on a run is refused in one line, and the run goes on as if nothing had been", () =>
  inRuns(async (runs) => {
    const controller = new AbortController();
    controller.abort();
    const options = { ...common, config: smallConfig(), runsFolder: runs };
    const { folder } = await trainExperiment({ ...options, signal: controller.signal });
    const lock = await lockFolder(folder);
    try {
      await assert.rejects(
        trainExperiment({ ...options, resume: "auto" }),
        /^WorkError: .*: expected no other writer, found process \d+ at work/,
      );
    } finally {
      lock.release();
    }
    assert.equal((await trainExperiment({ ...options, resume: "auto" })).fit.reason, "finished");
  }));

Deno.test("resume auto never begins anew in a run whose checkpoints are damaged or another model's, unless it is told to", () =>
  inRuns(async (runs) => {
    const controller = new AbortController();
    controller.abort();
    const options = { ...common, config: smallConfig(), runsFolder: runs };
    const { folder } = await trainExperiment({ ...options, signal: controller.signal });
    const tensors = [{ name: "w", dtype: "float32", shape: [1] }] as const;
    const asked = { runsFolder: runs, name: `${options.config.name}-test`, resume: "auto" };
    // Another model's checkpoint under the name of this run's folder, and an older run that was killed before its first.
    await assert.rejects(chooseRun({ ...asked, tensors }), /expected a checkpoint of this architecture and optimizer/);
    const checkpoints = join(folder, "checkpoints");
    for (const { name } of Deno.readDirSync(checkpoints)) {
      if (name.endsWith(".safetensors")) await Deno.truncate(join(checkpoints, name), 50);
    }
    await assert.rejects(
      trainExperiment({ ...options, resume: "auto" }),
      /expected a whole checkpoint of run .*force-new-run/,
    );
    const older = join(runs, "20000101-000000-older");
    await Deno.mkdir(older);
    const [start] = (await Deno.readTextFile(join(folder, "log.jsonl"))).split("\n");
    const line = { ...JSON.parse(start!), id: "20000101-000000-older", wall: { time: "2000-01-01T00:00:00.000Z" } };
    await Deno.writeTextFile(join(older, "log.jsonl"), `${JSON.stringify(line)}\n`);
    await assert.rejects(
      trainExperiment({ ...options, resume: "auto" }),
      /expected a whole checkpoint of run .*force-new-run/,
    );
    assert.equal(await chooseRun({ ...asked, tensors, forceNewRun: true }), undefined);
  }));
