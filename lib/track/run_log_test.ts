/** Tests of run_log.ts and read_run.ts: what is written is read, whatever happened in between. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { lockFolder } from "../runtime/mod.ts";
import { describeEnvironment } from "./environment.ts";
import { environment, inFolder, stepEvent, validationEvent, writeRun } from "./fixture.ts";
import { lossesOf, readRun } from "./read_run.ts";
import { configHash, runId } from "./run_id.ts";
import { createRun, openRun, RunLog, startRun } from "./run_log.ts";

const time = "2026-11-24T10:00:00.000Z";

Deno.test("a run is its settings, its environment and its events, NaN and infinity among them", () =>
  inFolder(async (runs) => {
    const config = { optimizer: { name: "adamW", betas: [0.9, 0.999] }, epochs: 3 };
    using log = await createRun({ folder: runs, id: "a", name: "baseline", config, environment });
    const steps = [
      stepEvent(0, 0, 0.1 + 0.2),
      stepEvent(1, 0, NaN, { finite: false, gradientNorm: Infinity, metrics: { box: -Infinity } }),
    ];
    for (const step of steps) log.append(step);
    const run = await readRun(log.folder);
    assert.deepEqual(run.steps, steps);
    assert.deepEqual([run.id, run.start.name, run.end], ["a", "baseline", undefined]);
    assert.deepEqual(run.start.config, config);
    assert.deepEqual(run.start.environment, environment);
    assert.deepEqual(parse(await Deno.readTextFile(join(runs, "a", "config.yaml"))), config);
  }));

Deno.test("half a last line, as a kill leaves it, is not read and is cut off when the run goes on", () =>
  inFolder(async (runs) => {
    await writeRun(runs, "a", { end: false });
    const path = join(runs, "a", "log.jsonl");
    const whole = await Deno.readTextFile(path);
    for (const half of ['{"kind":"step","step":6', '{"kind":"step"}', "{"]) {
      await Deno.writeTextFile(path, whole + half);
      assert.equal((await readRun(join(runs, "a"))).steps.length, 6);
      using log = await openRun(join(runs, "a"));
      assert.equal(log.id, "a");
      assert.equal(await Deno.readTextFile(path), whole);
    }
  }));

Deno.test("what a resume supersedes is left out when the log is read, and stays in the file", () =>
  inFolder(async (runs) => {
    await writeRun(runs, "calm", { end: false });
    await writeRun(runs, "a");
    const before = await Deno.readTextFile(join(runs, "a", "log.jsonl"));
    const resume = { kind: "resume", file: "step-000000004.safetensors", from: "a", wall: { time } } as const;
    {
      using log = await openRun(join(runs, "a"));
      log.append({ ...resume, step: 4, epoch: 1, stepInEpoch: 1 });
      for (const [i, loss] of [[4, 2], [5, 1]] as const) log.append(stepEvent(i, 1, loss));
      log.append(validationEvent(6, 1, 0.6, true));
    }
    const [calm, run] = [await readRun(join(runs, "calm")), await readRun(join(runs, "a"))];
    assert.deepEqual(lossesOf(run), lossesOf(calm));
    assert.deepEqual(run.validations, calm.validations);
    assert.equal(run.end, undefined);
    assert.equal(run.resumes.length, 1);
    assert.ok((await Deno.readTextFile(join(runs, "a", "log.jsonl"))).startsWith(before), "it was only appended to");
    {
      using log = await openRun(join(runs, "a")); // after the epoch's last step, before its validation
      log.append({ ...resume, step: 6, epoch: 1, stepInEpoch: 3 });
    }
    const pending = await readRun(join(runs, "a"));
    assert.deepEqual([pending.steps.length, pending.validations.map(({ epoch }) => epoch)], [6, [0]]);
    (await startRun({ folder: runs, id: "a", name: "a", config: {}, environment, resumed: false }))[Symbol.dispose]();
    const anew = await readRun(join(runs, "a"));
    assert.deepEqual([anew.steps, anew.validations], [[], []]);
  }));

Deno.test("a rollback of the guard supersedes the steps after its checkpoint; it stays itself, whatever is gone back to later", () =>
  inFolder(async (runs) => {
    using log = await createRun({ folder: runs, id: "a", name: "a", config: {}, environment });
    const incident = (step: number, what: "loss spike" | "lasting trouble" | "validation fall", more: object = {}) =>
      log.append({
        ...{ kind: "incident", what, step, epoch: Math.floor(step / 3), cause: what, wall: { time } },
        ...{ evidence: { found: NaN, highest: 2 }, response: "skip", ...more },
      });
    const back = (to: number, passes?: [number, number]) => ({
      response: "rollback",
      rollback: {
        ...{ file: `checkpoints/${to}`, step: to, epoch: Math.floor(to / 3), stepInEpoch: to % 3, rateFactor: 0.5 },
        ...(passes ? { passes } : {}),
      },
    });
    for (const step of [0, 1, 2]) log.append(stepEvent(step, 0, 1));
    incident(2, "loss spike");
    log.append(validationEvent(3, 0, 0.5, true));
    for (const step of [3, 4]) log.append(stepEvent(step, 1, 9, { skipped: true }));
    incident(4, "loss spike");
    incident(4, "lasting trouble", back(3));
    for (const step of [3, 4, 5]) log.append(stepEvent(step, 1, 2));
    log.append(validationEvent(6, 1, 0.1, false));
    incident(6, "validation fall", back(2, [3, 6]));
    log.append(stepEvent(2, 0, 3));
    const { steps, validations, incidents, resumes } = await readRun(log.folder);
    assert.deepEqual(steps.map(({ step, loss }) => [step, loss]), [[0, 1], [1, 1], [2, 3]]);
    assert.deepEqual(validations, []);
    assert.deepEqual(incidents.map(({ what, step }) => [what, step]), [["lasting trouble", 4], ["validation fall", 6]]);
    assert.deepEqual(incidents[1]!.rollback, back(2, [3, 6]).rollback);
    assert.deepEqual(incidents[1]!.evidence, { found: NaN, highest: 2 });
    assert.deepEqual(resumes, []);
  }));

Deno.test("a run that is there, one that is not, one that is taken and a broken log are one line each", () =>
  inFolder(async (runs) => {
    const options = { folder: runs, name: "a", config: {}, environment };
    {
      using _ = await createRun({ ...options, id: "a" });
      await assert.rejects(openRun(join(runs, "a")), new RegExp(`found process ${Deno.pid} at work`));
    }
    await assert.rejects(createRun({ ...options, id: "a" }), /a: expected no run of this name, found one/);
    await assert.rejects(createRun({ ...options, id: "../a" }), /run: expected an id of letters.*, found "\.\.\/a"/);
    await assert.rejects(openRun(join(runs, "none")), /none: expected a run with a log.jsonl, found none/);
    await assert.rejects(readRun(join(runs, "none")), /none.log.jsonl: expected a log of a run, found nothing there/);
    await Deno.writeTextFile(join(runs, "a", "log.jsonl"), "");
    await assert.rejects(readRun(join(runs, "a")), /log.jsonl:1: expected the start of a run, found an empty log/);
    (await startRun({ ...options, id: "a", resumed: false }))[Symbol.dispose](); // killed before its first line was whole
    assert.equal((await readRun(join(runs, "a"))).start.id, "a");
    await writeRun(runs, "b");
    const path = join(runs, "b", "log.jsonl"), lines = (await Deno.readTextFile(path)).split("\n");
    for (const broken of ["not JSON", '{"kind":"step","step":-1}', '{"kind":"other"}']) {
      await Deno.writeTextFile(path, [...lines.slice(0, 2), broken, ...lines.slice(2)].join("\n"));
      await assert.rejects(
        readRun(join(runs, "b")),
        (error: Error) => error.message === `${path}:3: expected an event of a run, found "${broken}"`,
      );
    }
  }));

Deno.test({
  name: "a line that the disk has no room for is an error that says so",
  ignore: Deno.build.os !== "linux", // /dev/full
  fn: () =>
    inFolder(async (runs) => {
      await writeRun(runs, "a");
      const path = join(runs, "a", "log.jsonl");
      await Deno.remove(path);
      await Deno.symlink("/dev/full", path);
      using log = new RunLog(join(runs, "a"), "a", await lockFolder(join(runs, "a")));
      assert.throws(() => log.append(stepEvent(0, 0, 1)), /^WorkError: .*log.jsonl: no space left on the disk/);
    }),
});

Deno.test("a run's id is its time, its name and a few random digits; a config's hash does not mind the order of keys", () => {
  const now = new Date("2026-11-24T08:15:30.123Z");
  assert.equal(
    runId({ name: "Baseline, 151 species", now, suffix: "3f9a" }),
    "20261124-081530-baseline-151-species-3f9a",
  );
  assert.match(runId({ name: "x" }), /^\d{8}-\d{6}-x-[0-9a-f]{4}$/);
  assert.throws(() => runId({ name: "…" }), /run: expected a name with letters or digits, found "…"/);
  // printf '{"a":[1,{"c":null,"d":2}],"b":"x"}' | sha256sum
  const expected = "ead9381fcb713e9ffa14c1d1f9f83885743516de29e219cab34684420db6ca9a";
  assert.equal(configHash({ b: "x", a: [1, { d: 2, c: null }] }), expected);
});

Deno.test("the environment tells versions and machine, and no path", async () => {
  const found = await describeEnvironment({ device: "cpu" });
  assert.equal(found.deno, Deno.version.deno);
  assert.match(found.onnxruntime, /^\d+\.\d+\.\d+/);
  assert.ok(found.cores >= 1 && found.memoryGiB >= 1 && found.processor.length > 0);
  assert.ok(!JSON.stringify(found).includes(Deno.cwd()));
});
