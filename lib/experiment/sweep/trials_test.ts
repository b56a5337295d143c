/** Tests of trials.ts and halving.ts: plans, draws and budgets. */

import assert from "node:assert/strict";
import { smallConfig } from "../fixture.ts";
import { halvingRungs } from "./halving.ts";
import { type SweepConfig, sweepConfigSchema } from "./settings.ts";
import { baseSettings, canGoOn, overlaid, planTrials, trialSettings } from "./trials.ts";

function sweep(more: Record<string, unknown>): SweepConfig {
  return sweepConfigSchema.parse({ name: "s", base: "b.yaml", ...more });
}

Deno.test("a grid is every combination, the last parameter fastest, each with every seed", () => {
  const grid = sweep({
    method: "grid",
    seeds: [1, 2],
    parameters: { "optimizer.name": ["sgd", "adam"], "schedule.learningRate": [0.1, 0.2, 0.3] },
  });
  const trials = planTrials(grid, { seed: 9 });
  assert.equal(trials.length, 12);
  assert.deepEqual(trials.map(({ number }) => number), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  assert.deepEqual(
    trials.filter(({ seed }) => seed === 1).map(({ parameters }) => Object.values(parameters)),
    ["sgd", "adam"].flatMap((name) => [0.1, 0.2, 0.3].map((rate) => [name, rate])),
  );
  assert.deepEqual(trials[1]!.overlay, { optimizer: { name: "sgd" }, schedule: { learningRate: 0.1 } });
  assert.deepEqual([trials[0]!.variant, trials[1]!.variant, trials[2]!.variant], [1, 1, 2]);
  assert.equal(trials[0]!.label, "optimizer.name sgd, schedule.learningRate 0.1");
});

Deno.test("the same seed draws the same trials, more trials begin with the same ones, another seed draws others", () => {
  const drawn = (trials: number, seed: number) =>
    planTrials(
      sweep({
        method: "random",
        trials,
        parameters: { "schedule.learningRate": { low: 1e-5, high: 1e-1, scale: "log" }, "training.batch": [8, 16] },
      }),
      { seed },
    );
  assert.deepEqual(drawn(20, 3), drawn(20, 3));
  assert.deepEqual(drawn(40, 3).slice(0, 20), drawn(20, 3));
  assert.notDeepEqual(drawn(20, 4).map(({ overlay }) => overlay), drawn(20, 3).map(({ overlay }) => overlay));
});

Deno.test("a log range gives every decade as much, whole numbers as often as any other, a list each value once at most", () => {
  const draws = planTrials(
    sweep({
      method: "random",
      trials: 2000,
      parameters: {
        "schedule.learningRate": { low: 1e-4, high: 1, scale: "log" },
        "training.nominalBatch": { low: 1, high: 4, integer: true },
      },
    }),
    { seed: 5 },
  );
  const decades = new Map<number, number>(), whole = new Map<number, number>();
  for (const { parameters } of draws) {
    const [rate, batch] = Object.values(parameters) as [number, number];
    assert.ok(rate >= 1e-4 && rate <= 1);
    const decade = Math.min(-1, Math.floor(Math.log10(rate)));
    decades.set(decade, (decades.get(decade) ?? 0) + 1);
    whole.set(batch, (whole.get(batch) ?? 0) + 1);
  }
  assert.deepEqual([...decades.keys()].sort(), [-1, -2, -3, -4]);
  assert.deepEqual([...whole.keys()].sort(), [1, 2, 3, 4]);
  // 500 expected; the standard deviation of such a count is √(2000 · ¼ · ¾) = 19.4
  for (const count of [...decades.values(), ...whole.values()]) {
    assert.ok(Math.abs(count - 500) < 4 * 19.4, String(count));
  }
  const all = planTrials(sweep({ method: "random", trials: 4, parameters: { "training.batch": [1, 2, 4, 8] } }), {
    seed: 1,
  });
  assert.deepEqual(all.map(({ parameters }) => parameters["training.batch"]).sort(), [1, 2, 4, 8]);
});

Deno.test("the rounds of halving are those of Hyperband's published table", () => {
  // Li et al. 2018 (JMLR 18), table 1: R = 81, eta = 3; by bracket s the pairs n_i, r_i.
  const published = [
    [[81, 1], [27, 3], [9, 9], [3, 27], [1, 81]],
    [[34, 3], [11, 9], [3, 27], [1, 81]],
    [[15, 9], [5, 27], [1, 81]],
    [[8, 27], [2, 81]],
    [[5, 81]],
  ];
  for (const bracket of published) {
    const [[trials, smallestEpochs]] = bracket as [[number, number]];
    const rungs = halvingRungs({ trials, smallestEpochs, eta: 3, largestEpochs: 81 });
    assert.deepEqual(rungs.map(({ trials, epochs }) => [trials, epochs]), bracket);
  }
});

Deno.test("every round of halving has a trial, and no budget lies outside its ends", () => {
  for (const [trials, eta, smallestEpochs, largestEpochs] of [[5, 3, 1, 81], [100, 2, 3, 30], [2, 4, 1, 2]] as const) {
    const rungs = halvingRungs({ trials, eta, smallestEpochs, largestEpochs });
    assert.equal(rungs[0]!.trials, trials);
    assert.equal(rungs.at(-1)!.epochs, largestEpochs);
    assert.ok(rungs.every((rung) => rung.trials >= 1 && rung.epochs >= smallestEpochs));
  }
});

Deno.test("a warm-up keeps its share of a schedule as long as the training, and its epochs where the rate does not know the end", () => {
  const schedule = (kind: string) => ({ schedule: { kind, learningRate: 0.1, warmUpEpochs: 6 } });
  const halving = sweep({
    method: "halving",
    trials: 4,
    smallestEpochs: 3,
    largestEpochs: 12,
    parameters: { "training.batch": [1, 2, 3, 4] },
  });
  const [trial] = planTrials(halving, { seed: 1 });
  const base = baseSettings(smallConfig({ epochs: 24 }, schedule("oneCycle")), halving);
  assert.deepEqual([base.training.epochs, base.schedule.warmUpEpochs], [12, 3]);
  const short = trialSettings(base, trial!, { epochs: 4 });
  assert.deepEqual([short.training.epochs, short.schedule.warmUpEpochs, short.training.batch], [
    4,
    1,
    trial!.parameters["training.batch"],
  ]);
  assert.equal(canGoOn(short), false);
  const constant = baseSettings(smallConfig({ epochs: 24 }, schedule("constant")), halving);
  assert.equal(canGoOn(constant), true);
  assert.equal(trialSettings(constant, trial!, { epochs: 7 }).schedule.warmUpEpochs, 6);
  assert.throws(
    () => trialSettings(constant, trial!, { epochs: 4 }),
    /^InputError: trial 1: schedule\.warmUpEpochs: expected fewer than the 4 epochs of training, found 6$/,
  );
});

Deno.test("null in an overlay takes a setting away, anything else replaces it", () => {
  assert.deepEqual(overlaid({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: null }, d: "none" }), { a: { c: 2 }, d: "none" });
  const ablation = sweep({ method: "ablation", switches: { "without average": { training: { averageDecay: null } } } });
  const config = smallConfig();
  assert.notEqual(config.training.averageDecay, undefined);
  const [base, without] = planTrials(ablation, { seed: 1 });
  assert.equal(trialSettings(config, without!).training.averageDecay, undefined);
  assert.deepEqual(trialSettings(config, base!), config);
});
