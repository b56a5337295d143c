/** Tests of list_runs.ts, find_run.ts, compare_runs.ts and prune_runs.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { compareRuns } from "./compare_runs.ts";
import { findRun as find } from "./find_run.ts";
import { addCheckpoint, inFolder, writeRun } from "./fixture.ts";
import { listRuns } from "./list_runs.ts";
import { pruneRuns } from "./prune_runs.ts";
import { openRun } from "./run_log.ts";

Deno.test("runs are listed the newest first with how each ended; a broken log is a row that says so", () =>
  inFolder(async (runs) => {
    assert.deepEqual(await listRuns(join(runs, "none")), []);
    assert.deepEqual(await listRuns(runs), []);
    await writeRun(runs, "old", { day: 20 });
    await writeRun(runs, "new", { day: 22 });
    await writeRun(runs, "killed", { day: 21, end: false });
    await writeRun(runs, "broken");
    await Deno.writeTextFile(join(runs, "broken", "log.jsonl"), "oh\n");
    await Deno.mkdir(join(runs, "no run"));
    await addCheckpoint(runs, "new");
    using _ = await openRun(join(runs, "old"));
    const found = await listRuns(runs);
    assert.deepEqual(found.map(({ id, state }) => [id, state]), [
      ["new", "finished"],
      ["killed", "killed"],
      ["old", "running"],
      ["broken", "broken"],
    ]);
    const { epochs, steps, images, loss, figures, checkpoints } = found[0]!;
    assert.deepEqual({ epochs, steps, images, loss, figures, checkpoints }, {
      ...{ epochs: 2, steps: 6, images: 48, loss: 2, figures: { top1: 0.6 }, checkpoints: 1 },
    });
    assert.match(found[3]!.problem!, /broken.log.jsonl:1: expected an event of a run, found "oh"/);
    await assert.rejects(listRuns(join(runs, "new", "log.jsonl")), /log.jsonl: expected a folder of runs, found /);
  }));

Deno.test("a run is found by its folder, its id or a part of it that no other has", () =>
  inFolder(async (runs) => {
    for (const id of ["1-base", "2-base", "2-base-more"]) await writeRun(runs, id);
    assert.equal(await find(runs, "1-"), join(runs, "1-base"));
    assert.equal(await find(runs, "2-base"), join(runs, "2-base"));
    assert.equal(await find("elsewhere", join(runs, "1-base")), join(runs, "1-base"));
    await assert.rejects(find(runs, "base"), /expected one run "base", found 3: 1-base, 2-base, 2-base-more$/);
    await assert.rejects(find(runs, "x"), /expected one run "x", found none among 3$/);
  }));

Deno.test("compared runs show the settings that differ and their curves, the losses averaged over stretches", () =>
  inFolder(async (runs) => {
    await writeRun(runs, "a", { config: { seed: 0, optimizer: { name: "sgd", momentum: 0.9 } } });
    await writeRun(runs, "b", { scale: 2, config: { seed: 0, optimizer: { name: "adamW" } } });
    const { differences, loss, learningRate, figures } = await compareRuns([join(runs, "a"), join(runs, "b")]);
    assert.deepEqual(differences, { "optimizer.momentum": [0.9, undefined], "optimizer.name": ["sgd", "adamW"] });
    assert.deepEqual(loss, [
      { run: "a", x: [0, 1, 2, 3, 4, 5], y: [6, 5, 4, 3, 2, 1] },
      { run: "b", x: [0, 1, 2, 3, 4, 5], y: [12, 10, 8, 6, 4, 2] },
    ]);
    assert.deepEqual(learningRate[0]!.y, [0.1, 0.1, 0.1, 0.1, 0.1, 0.1]);
    assert.deepEqual(figures, {
      top1: [{ run: "a", x: [3, 6], y: [0.5, 0.6] }, { run: "b", x: [3, 6], y: [0.5, 0.6] }],
    });
  }));

Deno.test("pruning takes what meets every condition, only when asked to, and never a run that is running", () =>
  inFolder(async (runs) => {
    for (let day = 1; day <= 5; day++) await writeRun(runs, `day-${day}`, { day });
    await addCheckpoint(runs, "day-1");
    const options = { folder: runs, now: new Date(Date.UTC(2026, 10, 6, 10)) };
    const ids = async (more: Parameters<typeof pruneRuns>[0]) => (await pruneRuns(more)).selected.map(({ id }) => id);
    await assert.rejects(pruneRuns(options), /prune: expected older-than, keep or without-checkpoints, found none/);
    assert.deepEqual(await ids({ ...options, keep: 3 }), ["day-2", "day-1"]);
    assert.deepEqual(await ids({ ...options, olderThanDays: 2 }), ["day-3", "day-2", "day-1"]);
    assert.deepEqual(await ids({ ...options, olderThanDays: 2, keep: 3, withoutCheckpoints: true }), ["day-2"]);
    assert.equal((await listRuns(runs)).length, 5);
    {
      using _ = await openRun(join(runs, "day-3"));
      assert.deepEqual(await ids({ ...options, withoutCheckpoints: true, remove: true }), ["day-5", "day-4", "day-2"]);
    }
    assert.deepEqual((await listRuns(runs)).map(({ id }) => id), ["day-3", "day-1"]);
  }));
