/** Tests of settings.ts: what is read, and what is refused with its place. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { parseConfig } from "../../runtime/mod.ts";
import { projectFolder } from "../settings.ts";
import { readTrainingConfig } from "../config.ts";
import { readSweepConfig, sweepConfigSchema } from "./settings.ts";
import { baseSettings, planTrials, trialSettings } from "./trials.ts";

const good = `name: rates
base: configs/yolov3/baseline.yaml
method: random
trials: 4
parameters:
  schedule.learningRate: { low: 1e-5, high: 1e-2, scale: log }
  loss.box: [darknet, ciou]
`;

Deno.test("a wrong sweep is one line with file, line and column", () => {
  const cases: [from: string, to: string, message: RegExp][] = [
    [
      "method: random",
      "method: bayes",
      /^s\.yaml:3:1: method: expected grid, random, halving or ablation, found "bayes"$/,
    ],
    ["method: random", "method: grid", /^s\.yaml:6:3: .*expected array, found \{"low"/],
    ["trials: 4", "trial: 4", /^s\.yaml:\d:\d: trial/],
    ["high: 1e-2", "high: 1e-6", /^s\.yaml:6:39: .*high: expected more than the low end, 0\.00001, found 0\.000001$/],
    ["low: 1e-5", "low: 0", /low: expected more than 0 for a log scale, found 0$/],
    ["schedule.learningRate", "schedule.learningrate", /^s\.yaml:6:3: .*expected a setting of a training/],
    ["loss.box: [darknet, ciou]", "loss.box: 3", /^s\.yaml:7:3: .*expected a list of values, or a range/],
    ["trials: 4", "trials: 4\nseeds: [1, 1]", /seeds: expected different seeds/],
    [
      "trials: 4",
      "trials: 4\nsettings: { optimiser: { name: sgd } }",
      /^s\.yaml:5:13: settings\.optimiser: expected a setting/,
    ],
    [
      "schedule.learningRate: { low: 1e-5, high: 1e-2, scale: log }",
      "loss.neighbours: [true]",
      /trials: expected at most 2, /,
    ],
  ];
  assert.doesNotThrow(() => parseConfig(good, sweepConfigSchema, "s.yaml"));
  for (const [from, to, message] of cases) {
    assert.ok(good.includes(from));
    assert.throws(() => parseConfig(good.replace(from, to), sweepConfigSchema, "s.yaml"), (error: Error) => {
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("switches of an ablation are settings of a training, and none is called as the base is", () => {
  const ablation = (switches: string) => `name: a\nbase: b.yaml\nmethod: ablation\nswitches: ${switches}\n`;
  const check = (switches: string) => parseConfig(ablation(switches), sweepConfigSchema, "s.yaml");
  assert.doesNotThrow(() => check("{ without augmentation: { data: { augmentation: none } } }"));
  assert.throws(
    () => check("{ x: { data: { augment: none } } }"),
    /switches\.x\.data\.augment: expected a setting of a training/,
  );
  assert.throws(
    () => check("{ base: { data: { augmentation: none } } }"),
    /expected another name than that of the base/,
  );
  assert.throws(() => check("{}"), /switches: expected at least one/);
  assert.throws(() => check("{ x: {} }"), /switches\.x: expected at least one/);
  const two = "{ x: { data: { view: content } }, y: { data: { boxes: content } } }\nonly: ";
  const chosen = planTrials(check(`${two}[y]`), { seed: 1 });
  assert.deepEqual(chosen.map(({ label }) => label), ["base", "y"]);
  assert.deepEqual(chosen[1]!.overlay, { data: { boxes: "content" } });
  assert.throws(() => check(`${two}[z]`), /only\.0: expected the name of a switch, found "z"/);
  assert.throws(() => check(`${two}[y, y]`), /only: expected different switches/);
});

Deno.test("every shipped sweep can be read, and all its trials are possible with every profile", async () => {
  const folder = join(projectFolder, "configs", "sweeps");
  let files = 0;
  for await (const { name } of Deno.readDir(folder)) {
    for (const profile of ["smoke", "quick", "national", "blog"]) {
      const sweep = await readSweepConfig(join(folder, name), { profile });
      const config = await readTrainingConfig(join(projectFolder, sweep.base), { profile });
      const base = baseSettings(config, sweep);
      for (const trial of planTrials(sweep, { seed: 1 })) trialSettings(base, trial);
    }
    files++;
  }
  assert.ok(files >= 2);
});

Deno.test("the ablation's lists of transforms are the quick profile's without some of them, or with one more", async () => {
  const sweep = await readSweepConfig(join(projectFolder, "configs", "sweeps", "ablation.yaml"));
  assert.ok(sweep.method === "ablation");
  const { data } = await readTrainingConfig(join(projectFolder, sweep.base), { profile: "quick" });
  const texts = (list: unknown) => (list as unknown[]).map((each) => JSON.stringify(each));
  const whole = texts(data.augmentation), gone: string[] = [];
  for (const [name, part] of Object.entries(sweep.switches)) {
    const { augmentation } = (part["data"] ?? {}) as { augmentation?: unknown };
    if (!Array.isArray(augmentation)) continue;
    const own = texts(augmentation), kept = whole.filter((each) => own.includes(each));
    if (name.startsWith("without ")) {
      assert.deepEqual(own, kept, name);
      gone.push(...whole.filter((each) => !own.includes(each)));
    } else {
      assert.deepEqual([own.slice(0, -1), own.length], [whole, whole.length + 1], name);
    }
  }
  assert.deepEqual(gone.sort(), [...whole].sort(), "each is taken away once");
});
