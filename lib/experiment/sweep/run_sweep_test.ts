/** Tests of run_sweep.ts, on made-up objectives in place of trainings. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { wilsonInterval } from "../../evaluate/mod.ts";
import { readJson, WorkError } from "../../runtime/mod.ts";
import { TrainError } from "../../train/mod.ts";
import type { CardFigures } from "../card.ts";
import { inRuns, smallConfig } from "../fixture.ts";
import { runSweep, type RunTrial, type SweepOptions, type TrialTask } from "./run_sweep.ts";
import { type SweepConfig, sweepConfigSchema } from "./settings.ts";

function sweep(more: Record<string, unknown>): SweepConfig {
  return sweepConfigSchema.parse({ name: "s", base: "b.yaml", ...more });
}

/** Figures of so many right ones in 1,000 pictures. */
function figures(correct: number): CardFigures {
  const top1 = correct / 1000, interval = wilsonInterval(correct, 1000);
  return { n: 1000, top1, top1_ci95: interval, top5: top1, top5_ci95: interval, ece: 0.1, nll: 2 - top1 };
}

/** Best at a rate of 1e-3; more epochs help everyone. */
const objective: RunTrial = ({ config }) => {
  const distance = Math.abs(Math.log10(config.schedule.learningRate) + 3);
  const validation = figures(Math.round(900 - 150 * distance - 200 / config.training.epochs));
  return Promise.resolve({ run: `run-${config.name}`, validation });
};

/** Counts what is trained. */
function recorded(run: RunTrial): { run: RunTrial; tasks: TrialTask[] } {
  const tasks: TrialTask[] = [];
  return { tasks, run: (task) => (tasks.push(task), run(task)) };
}

function options(folder: string, settings: SweepConfig, runTrial: RunTrial): SweepOptions {
  const base = smallConfig({ epochs: 20 }, { schedule: { kind: "cosine", learningRate: 1e-3, warmUpEpochs: 2 } });
  return { folder, settings, runTrial, base, profile: "test", seed: 7, dataset: { manifest: "abc" } };
}

const rates = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1];
const grid = sweep({ method: "grid", parameters: { "schedule.learningRate": rates } });

Deno.test("a grid finds the best rate, in order of the monitored figure, with the intervals of the figures", async () => {
  await inRuns(async (folder) => {
    const found = await runSweep(options(folder, grid, objective));
    assert.equal(found.state, "finished");
    const order = found.variants.map(({ parameters }) => parameters["schedule.learningRate"]);
    // 1e-4 and 1e-2, and 1e-5 and 1e-1, are as far from the best as each other: then the plan's order
    assert.deepEqual(order, [1e-3, 1e-4, 1e-2, 1e-5, 1e-1]);
    const [best] = found.variants;
    assert.deepEqual([best!.value, best!.n, best!.top1_ci95], [0.89, 1000, wilsonInterval(890, 1000)]);
    assert.deepEqual(await readJson(join(found.folder, "results.json")), JSON.parse(JSON.stringify(found)));
    const lines = (await Deno.readTextFile(join(found.folder, "sweep.jsonl"))).trimEnd().split("\n");
    assert.deepEqual(lines.map((line) => JSON.parse(line).trial), [1, 2, 3, 4, 5]);
  });
});

Deno.test("random search comes close to the best rate; a likelihood counts downwards", async () => {
  await inRuns(async (folder) => {
    const parameters = { "schedule.learningRate": { low: 1e-6, high: 1, scale: "log" } };
    const random = sweep({ method: "random", trials: 60, monitor: "nll", parameters });
    const { run, tasks } = recorded(objective);
    const found = await runSweep(options(folder, random, run));
    const distance = (rate: unknown) => Math.abs(Math.log10(Number(rate)) + 3);
    const nearest = Math.min(...tasks.map(({ config }) => distance(config.schedule.learningRate)));
    assert.equal(distance(found.variants[0]!.parameters["schedule.learningRate"]), nearest);
    assert.ok(nearest < 0.5, String(nearest));
  });
});

Deno.test("halving gives each round its budget, promotes the best of it, and ends with the best of all", async () => {
  await inRuns(async (folder) => {
    const halving = sweep({
      ...{ method: "halving", trials: 9, eta: 3, smallestEpochs: 2, largestEpochs: 18 },
      parameters: { "schedule.learningRate": { low: 1e-6, high: 1, scale: "log" } },
    });
    const { run, tasks } = recorded(objective);
    const found = await runSweep(options(folder, halving, run));
    assert.deepEqual(tasks.map(({ config }) => config.training.epochs), [...Array(9).fill(2), 6, 6, 6, 18]);
    const distance = ({ config }: TrialTask) => Math.abs(Math.log10(config.schedule.learningRate) + 3);
    const byDistance = tasks.slice(0, 9).toSorted((a, b) => distance(a) - distance(b));
    const number = ({ trial }: TrialTask) => trial.number;
    assert.deepEqual(tasks.slice(9, 12).map(number), byDistance.slice(0, 3).map(number));
    assert.equal(number(tasks[12]!), number(byDistance[0]!));
    assert.deepEqual(found.variants.map(({ epochs }) => epochs), [18, 6, 6, 2, 2, 2, 2, 2, 2]);
    assert.equal(found.variants[0]!.variant, number(byDistance[0]!));
    // a cosine is as long as its training: each budget is a training, and a run, of its own
    assert.equal(new Set(tasks.map(({ config }) => config.name)).size, 13);
    assert.deepEqual(tasks[12]!.config.schedule.warmUpEpochs, 2 / 20 * 18);
  });
});

Deno.test("a trial that halving promotes goes on in its own run where the rate does not know the end", async () => {
  await inRuns(async (folder) => {
    const halving = sweep({
      ...{ method: "halving", trials: 4, eta: 2, smallestEpochs: 1, largestEpochs: 4 },
      settings: { schedule: { kind: "constant", warmUpEpochs: 0 } },
      parameters: { "schedule.learningRate": rates },
    });
    const { run, tasks } = recorded(objective);
    await runSweep(options(folder, halving, run));
    assert.deepEqual(tasks.map(({ config }) => config.training.epochs), [1, 1, 1, 1, 2, 2, 4]);
    assert.equal(new Set(tasks.map(({ config }) => config.name)).size, 4);
  });
});

/** What a kill leaves for the next call: nothing of the trial that was in progress. */
const full = () =>
  Promise.reject(new WorkError("x: no space left on the disk; free some and run the same command again"));

Deno.test("a sweep that ends in any of its trials goes on with that one, and finds what an undisturbed one finds", async () => {
  const halving = sweep({
    ...{ method: "halving", trials: 4, eta: 2, smallestEpochs: 1, largestEpochs: 4 },
    parameters: { "schedule.learningRate": { low: 1e-6, high: 1, scale: "log" } },
  });
  for (const settings of [grid, halving]) {
    await inRuns(async (whole) => {
      const undisturbed = recorded(objective);
      const { folder: _, ...expected } = await runSweep(options(whole, settings, undisturbed.run));
      const names = undisturbed.tasks.map(({ config }) => config.name);
      for (let kill = 0; kill < names.length; kill++) {
        await inRuns(async (folder) => {
          let count = 0;
          const first = recorded((task) => count++ === kill ? full() : objective(task));
          await assert.rejects(runSweep(options(folder, settings, first.run)), /no space left/);
          const [{ name }] = await Array.fromAsync(Deno.readDir(folder)) as [Deno.DirEntry];
          await Deno.writeTextFile(join(folder, name, "sweep.jsonl"), '{"trial":', { append: true });
          const second = recorded(objective);
          const { folder: __, ...found } = await runSweep(options(folder, settings, second.run));
          assert.deepEqual(found, expected);
          assert.deepEqual(second.tasks.map(({ config }) => config.name), names.slice(kill));
          const third = recorded(objective);
          await runSweep(options(folder, settings, third.run));
          assert.equal(third.tasks.length, 0, "nothing is trained twice");
        });
      }
    });
  }
});

Deno.test("an aborted sweep ends after the trial in progress says so, and the same call goes on", async () => {
  await inRuns(async (folder) => {
    const interrupt = new AbortController();
    const stopping: RunTrial = (task) => {
      if (task.trial.number < 3) return objective(task);
      interrupt.abort();
      return Promise.resolve(undefined);
    };
    const first = await runSweep({ ...options(folder, grid, stopping), signal: interrupt.signal });
    assert.deepEqual([first.state, first.variants.length], ["interrupted", 2]);
    const { run, tasks } = recorded(objective);
    const second = await runSweep(options(folder, grid, run));
    assert.deepEqual([second.state, tasks.length, second.folder], ["finished", 3, first.folder]);
  });
});

Deno.test("a trial that fails is noted with its cause in one line, the rest goes on, and is tried again on request only", async () => {
  await inRuns(async (folder) => {
    const settings = sweep({
      method: "grid",
      parameters: { "schedule.learningRate": [1e-3, -1, 1e-2], "model.size": [32, 33] },
    });
    const broken: RunTrial = (task) =>
      task.config.schedule.learningRate === 1e-2
        ? Promise.reject(new TrainError("fit: expected finite losses\nfound NaN"))
        : objective(task);
    const found = await runSweep(options(folder, settings, broken));
    assert.deepEqual(found.variants.map(({ status }) => status), ["done", ...Array(5).fill("failed")]);
    const cause = (rate: number, size: number) =>
      found.variants.find(({ parameters }) =>
        parameters["schedule.learningRate"] === rate && parameters["model.size"] === size
      )!.causes[0];
    assert.equal(cause(1e-2, 32), "fit: expected finite losses; found NaN");
    assert.match(cause(-1, 32)!, /^trial 3: schedule\.learningRate: expected .*0, found -1$/);
    assert.match(cause(1e-3, 33)!, /^trial 2: model\.size: expected a multiple of \d+ pixels, found 33$/);
    const again = recorded(objective);
    await runSweep(options(folder, settings, again.run));
    assert.equal(again.tasks.length, 0);
    const retried = await runSweep({ ...options(folder, settings, again.run), retryFailed: true });
    assert.deepEqual(again.tasks.map(({ trial }) => trial.number), [5]);
    assert.equal(retried.variants.filter(({ status }) => status === "done").length, 2);
  });
});

Deno.test("figures that are no numbers are a failure, and halving promotes none of those", async () => {
  await inRuns(async (folder) => {
    const halving = sweep({
      ...{ method: "halving", trials: 4, eta: 2, smallestEpochs: 1, largestEpochs: 2, name: "n" },
      parameters: { "schedule.learningRate": rates },
    });
    const { run, tasks } = recorded(async (task) => {
      const outcome = (await objective(task))!;
      return task.trial.number === 1 ? outcome : { ...outcome, validation: { ...outcome.validation, nll: NaN } };
    });
    const found = await runSweep(options(folder, halving, run));
    assert.deepEqual(tasks.slice(4).map(({ trial }) => trial.number), [1]);
    assert.match(found.variants.at(-1)!.causes[0]!, /^validation: nll: expected number, found/);
    const boxes = await runSweep(options(folder, { ...grid, monitor: "mAP50" } as SweepConfig, objective));
    assert.equal(boxes.variants[0]!.causes[0], "validation: expected the monitored figure mAP50, found none");
  });
});

Deno.test("other settings, other data and another base are another sweep; two at a time are refused", async () => {
  await inRuns(async (folder) => {
    const common = options(folder, grid, objective);
    const folders = new Set<string>();
    for (
      const other of [
        common,
        { ...common, dataset: { manifest: "abd" } },
        { ...common, seed: 8 },
        { ...common, base: smallConfig({ epochs: 21 }) },
        { ...common, settings: { ...grid, epochs: 3 } as SweepConfig },
      ]
    ) folders.add((await runSweep(other)).folder);
    assert.equal(folders.size, 5);
    let second: Promise<unknown> = Promise.resolve();
    const meanwhile: RunTrial = async (task) => {
      second = assert.rejects(runSweep({ ...common, dataset: 1, runTrial: objective }), /expected no other writer/);
      await second;
      return await objective(task);
    };
    await runSweep({ ...common, dataset: 1, runTrial: meanwhile });
  });
});
