/** Tests of resume.ts: which checkpoint training goes on from, and what is said about the others. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "../../onnx/mod.ts";
import type { TensorSpec } from "../checkpoint.ts";
import { adamW } from "../optimizers.ts";
import { openSmallStep } from "../small_network.ts";
import { inFolder, smallFit } from "./fixture.ts";
import { chooseResume, findResume, readResume } from "./resume.ts";

/** A run with checkpoints after steps 4, 8 and 12, the first at the minute. */
async function makeRun(runs: string, runId: string, minute: number, options: Parameters<typeof smallFit>[1] = {}) {
  let time = Date.parse("2026-11-24T10:00:00Z") + 60_000 * minute;
  const folder = join(runs, runId);
  await smallFit({ runId, checkpoints: { folder, everyEpochs: 1 }, now: () => time += 100 }, options);
}

async function tensorsOf(options: Parameters<typeof openSmallStep>[0] = {}): Promise<readonly TensorSpec[]> {
  await using step = await openSmallStep(options);
  return step.tensors;
}

const file = (step: number) => join("checkpoints", `step-${String(step).padStart(9, "0")}.safetensors`);

Deno.test("the run asked for goes before a newer one; without it the newest is taken, with a warning that names both", () =>
  inFolder(async (runs) => {
    const tensors = await tensorsOf();
    assert.equal(await findResume({ folder: runs, runId: "a", tensors }), undefined);
    assert.equal(await findResume({ folder: join(runs, "none"), tensors }), undefined);
    await makeRun(runs, "a", 0);
    await makeRun(runs, "b", 5);
    const warnings: string[] = [];
    const options = { folder: runs, tensors, warn: (message: string) => void warnings.push(message) };
    const own = await findResume({ ...options, runId: "a" });
    assert.deepEqual([own?.path, own?.state.step, own?.progress.runId], [join(runs, "a", file(12)), 12, "a"]);
    assert.equal((await findResume(options))?.progress.runId, "b");
    assert.deepEqual(warnings, []);
    assert.equal((await findResume({ ...options, runId: "c" }))?.progress.runId, "b");
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0]!,
      /expected a checkpoint of run c, found none .*; going on with .*step-000000012.* of run b$/,
    );
    assert.equal(await chooseResume({ ...options, runId: "a", resume: "auto", forceNewRun: true }), undefined);
    assert.equal(await chooseResume({ ...options, runId: "a" }), undefined);
    assert.equal((await chooseResume({ ...options, runId: "a", resume: "auto" }))?.state.step, 12);
    await assert.rejects(
      chooseResume({ ...options, resume: "x.safetensors", forceNewRun: true }),
      /resume: expected either a checkpoint or force-new-run, found both \("x.safetensors"\)/,
    );
  }));

Deno.test("cut and damaged checkpoints are passed over with one line each, down to the newest whole one", () =>
  inFolder(async (runs) => {
    const tensors = await tensorsOf();
    await makeRun(runs, "a", 0);
    await Deno.truncate(join(runs, "a", file(12)), 1000);
    const bytes = await Deno.readFile(join(runs, "a", file(8)));
    bytes[bytes.length - 5]! ^= 1;
    await Deno.writeFile(join(runs, "a", file(8)), bytes);
    const warnings: string[] = [];
    const options = { folder: runs, runId: "a", tensors, warn: (message: string) => void warnings.push(message) };
    assert.equal((await findResume(options))?.state.step, 4);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0]!, /step-000000012.safetensors: expected /);
    assert.match(warnings[1]!, /step-000000008.safetensors: expected contents with sha256 .* the file is damaged/);
    await Deno.truncate(join(runs, "a", file(4)), 3);
    await assert.rejects(
      findResume(options),
      /^TrainError: resume: expected a whole checkpoint of run a, found 3 damaged and no other; force-new-run begins anew/,
    );
    await assert.rejects(readResume(join(runs, "a", file(8)), { tensors }), /the file is damaged/);
  }));

Deno.test("another architecture or optimizer is one line for the run asked for, and passed over in other runs", () =>
  inFolder(async (runs) => {
    await makeRun(runs, "a", 0);
    const other = await tensorsOf({ optimizer: adamW() });
    const warnings: string[] = [];
    const options = { folder: runs, tensors: other, warn: (message: string) => void warnings.push(message) };
    const message =
      /step-000000012.safetensors: expected a checkpoint of this architecture and optimizer, with "optimizer\/adam\/.+" float\d\d \[.*\], found another's with no such tensor$/;
    await assert.rejects(findResume({ ...options, runId: "a" }), message);
    await assert.rejects(readResume(join(runs, "a", file(12)), { tensors: other }), message);
    assert.equal(await findResume({ ...options, runId: "b" }), undefined);
    assert.equal(warnings.length, 1); // one for all three of the run
  }));

Deno.test("a checkpoint of a newer version is one line that says so", () =>
  inFolder(async (runs) => {
    const tensors = await tensorsOf();
    await makeRun(runs, "a", 0);
    const path = join(runs, "a", file(12));
    const { tensors: held, metadata } = await readSafetensors(path);
    await writeSafetensors(path, held, { ...metadata, format: "pokedex-checkpoint-2" });
    const message =
      /^NewerVersionError: .*step-000000012.*: expected a checkpoint of version 1 or older, found version 2: a newer Pokédex wrote it$/;
    await assert.rejects(findResume({ folder: runs, runId: "a", tensors }), message);
    await assert.rejects(readResume(path, { tensors }), message);
  }));

Deno.test("extra folders are scanned too, as folders of runs and as a run's own copy", () =>
  inFolder(async (folder) => {
    const tensors = await tensorsOf();
    await makeRun(join(folder, "elsewhere"), "a", 0);
    const options = { folder: join(folder, "runs"), runId: "a", tensors };
    for (const extra of [join(folder, "elsewhere"), join(folder, "elsewhere", "a")]) {
      const found = await findResume({ ...options, extraFolders: [join(folder, "nothing"), extra] });
      assert.deepEqual([found?.progress.runId, found?.state.step], ["a", 12]);
    }
  }));

Deno.test("a path may be a checkpoint, a run or its folder of checkpoints; anything else is one line", () =>
  inFolder(async (runs) => {
    const tensors = await tensorsOf();
    await makeRun(runs, "a", 0);
    const steps = [];
    for (const path of [join("a", file(8)), "a", join("a", "checkpoints")]) {
      steps.push((await readResume(join(runs, path), { tensors })).state.step);
    }
    assert.deepEqual(steps, [8, 12, 12]);
    await assert.rejects(
      readResume(join(runs, "b"), { tensors }),
      /b: expected a checkpoint or the folder of a run, found nothing/,
    );
    await Deno.mkdir(join(runs, "empty"));
    await assert.rejects(
      readResume(join(runs, "empty"), { tensors }),
      /empty: expected a checkpoint that fits .*, found none/,
    );
    await writeSafetensors(join(runs, "w"), []);
    await assert.rejects(
      readResume(join(runs, "w"), { tensors }),
      /w: expected a checkpoint \(.*\), found other tensors/,
    );
  }));
