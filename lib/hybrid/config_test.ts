/** The settings that come with the project, under every profile, and what is refused. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { readTrainingConfig } from "../experiment/mod.ts";
import { readDistilledConfig } from "./distill/config.ts";
import { fusionConfigSchema, readFusionConfig, unfrozenConfig } from "./fusion/config.ts";
import { smallConfig } from "./fusion/fixture.ts";

const file = (name: string) => fileURLToPath(new URL(`../../configs/hybrid/${name}`, import.meta.url));

Deno.test("the settings of fusion and distillation are read with every profile's overlay", async () => {
  const widths: number[] = [], epochs: number[] = [], students: number[] = [];
  for (const profile of [undefined, "smoke", "quick", "national"]) {
    const config = await readFusionConfig(file("fusion.yaml"), { profile });
    widths.push(config.fusion.width);
    const parts = ["backbone", "tower", "fusion"] as const;
    const { optimizer, model: { size } } = unfrozenConfig(config, { size: 64, parts });
    assert.equal(size, 64);
    const expected = parts.filter((part) => config.unfrozen.rates[part] > 0);
    assert.deepEqual(optimizer.multipliers.map(({ pattern }) => pattern), expected.map((part) => `${part}/*`));
    const student = await readDistilledConfig(file("k210_student.yaml"), { profile });
    // The same network, augmentation and schedule as without a teacher, where the profile has no overlay of its own.
    const { model, data, optimizer: rates, schedule, training, prediction } = await readTrainingConfig(
      fileURLToPath(new URL("../../configs/classifier/k210.yaml", import.meta.url)),
      { profile },
    );
    const plain = { ...student, ...{ model, data, optimizer: rates, schedule, training, prediction } };
    if (profile !== "national") assert.deepEqual(plain, student, `${profile}`);
    assert.deepEqual(student.distillation.teachers, ["pokedex-1025"]);
    students.push(student.training.epochs);
    epochs.push((await readDistilledConfig(file("distilled.yaml"), { profile })).training.epochs);
  }
  assert.deepEqual(widths, [512, 32, 256, 512]);
  assert.deepEqual(epochs, [10, 3, 40, 10]);
  assert.deepEqual(students.slice(0, 3), [60, 3, 36]);
});

Deno.test("settings that contradict each other are refused, saying what was expected", () => {
  const base = smallConfig();
  const refused = (change: Record<string, unknown>, message: RegExp) =>
    assert.throws(() => fusionConfigSchema.parse({ ...base, ...change }), message);
  refused({ fusion: { ...base.fusion, kind: "attention", width: 10, heads: 4 } }, /a divisor of the width 10/);
  refused({ fusion: { ...base.fusion, kind: "sum" } }, /concatenation/);
  refused({ unfrozen: { ...base.unfrozen, rates: { backbone: 0, tower: 0, fusion: 0 } } }, /one rate above 0/);
  const frozen = { ...base.frozen, training: { ...base.frozen.training, monitor: "mAP50" } };
  refused({ frozen }, /top1 or top5 or nll/);
  refused({ depth: 3 }, /Unrecognized key/);
});
