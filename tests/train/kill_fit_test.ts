/** A fit that is killed, interrupted or locked out gives the same bits in the end as one that was left in peace. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { lossesOf, readRun } from "../../lib/track/mod.ts";
import { latestCheckpoint, Random, type StepState } from "../../lib/train/mod.ts";
import { trainRun } from "./kill_fit.ts";

const script = new URL("kill_fit.ts", import.meta.url).pathname;

/** One undisturbed run, made once for all tests. */
let undisturbed: Promise<{ bits: string; losses: unknown; validations: unknown }> | undefined;

function expected() {
  return undisturbed ??= inFolder(async (runs) => {
    const { reason } = await trainRun(runs, "calm");
    assert.equal(reason, "finished");
    return await outcome(runs, "calm");
  });
}

Deno.test("a fit killed with SIGKILL at ten random moments ends with the weights, optimizer state and losses of one left in peace", () =>
  inFolder(async (runs) => {
    const random = Random.seeded("moments");
    let kills = 0;
    for (; kills < 10; kills++) {
      const child = start(runs, "killed");
      // Two kills come while the process starts or reads its checkpoint, the others during steps and checkpoints.
      if (kills % 5 === 2) await delay(random.uniform(50, 400));
      else await afterSteps(child, 1 + random.int(25));
      await delay(random.uniform(0, 8));
      child.kill("SIGKILL");
      const { signal } = await child.status;
      assert.equal(signal, "SIGKILL", "it was still at work when it was killed");
    }
    const { success } = await start(runs, "killed").status;
    assert.ok(success);
    assert.deepEqual(await outcome(runs, "killed"), await expected());
    const { resumes, end } = await readRun(join(runs, "killed"));
    assert.ok(resumes.length >= 8, `${resumes.length} resumes`);
    assert.equal(end?.reason, "finished");
  }));

Deno.test("killed while the guard goes back, a fit ends with the same bits and losses, and its log has each step once and each rollback", () =>
  inFolder(async (runs) => {
    const other = join(runs, "other"); // away from the run that a resume would go on with
    const rollbacks = async (runs: string, id: string) =>
      (await readRun(join(runs, id))).incidents.flatMap(({ wall: _, kind: __, ...incident }) =>
        incident.rollback ? [incident] : []
      );
    const { incidents, best } = await trainRun(runs, "faulty", { faulty: true });
    const calm = await outcome(runs, "faulty");
    assert.ok(incidents.length > 0 && best!.value > 0.8);
    assert.deepEqual(calm.losses.map(({ step }) => step), Array.from({ length: 250 }, (_, i) => i));
    assert.deepEqual(await rollbacks(runs, "faulty"), incidents.filter(({ rollback }) => rollback));
    for (const steps of [133, 4, 9, 3, 17]) {
      const child = start(other, "killed", "faulty");
      await afterSteps(child, steps);
      child.kill("SIGKILL");
      assert.equal((await child.status).signal, "SIGKILL");
    }
    await trainRun(other, "killed", { faulty: true });
    assert.deepEqual(await outcome(other, "killed"), calm);
    assert.deepEqual(await rollbacks(other, "killed"), await rollbacks(runs, "faulty"));
  }));

Deno.test("two fits with one seed log identical losses, of which the last are half the first", () =>
  inFolder(async (runs) => {
    await trainRun(runs, "again");
    const found = await outcome(runs, "again");
    assert.deepEqual(found, await expected());
    const losses = found.losses.map(({ loss }) => loss);
    const mean = (part: readonly number[]) => part.reduce((sum, loss) => sum + loss, 0) / part.length;
    assert.equal(losses.length, 250);
    assert.ok(mean(losses.slice(-30)) < 0.5 * mean(losses.slice(0, 10)), "it learned");
  }));

Deno.test("after Ctrl-C a fit leaves a checkpoint of its last step, ends with 130, and goes on to the same bits", () =>
  inFolder(async (runs) => {
    const child = start(runs, "interrupted");
    await afterSteps(child, 45);
    child.kill("SIGINT");
    assert.equal((await child.status).code, 130);
    const { end, steps, checkpoints } = await readRun(join(runs, "interrupted"));
    assert.equal(end?.reason, "interrupted");
    const last = steps.at(-1)!.step + 1;
    assert.ok(last >= 45 && last < 250, `${last} steps`);
    assert.equal(checkpoints.at(-1)!.step, last);
    assert.equal((await latestCheckpoint(join(runs, "interrupted", "checkpoints")))?.state.step, last);
    const { reason } = await trainRun(runs, "interrupted");
    assert.equal(reason, "finished");
    assert.deepEqual(await outcome(runs, "interrupted"), await expected());
  }));

Deno.test("a second process on the same run is refused in one line that names the first, which goes on", () =>
  inFolder(async (runs) => {
    const child = start(runs, "taken");
    await afterSteps(child, 2);
    await assert.rejects(
      trainRun(runs, "taken"),
      new RegExp(`/taken: expected no other writer, found process ${child.pid} at work; wait for it or stop it`),
    );
    child.kill("SIGKILL");
    await child.status;
  }));

interface Child {
  readonly pid: number;
  readonly steps: ReadableStreamDefaultReader<Uint8Array>;
  readonly status: Promise<Deno.CommandStatus>;
  kill(signal: Deno.Signal): void;
}

function start(runs: string, id: string, ...how: string[]): Child {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, runs, id, ...how],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const steps = child.stdout.getReader();
  const status = child.status.finally(() => steps.cancel().catch(() => {}));
  return { pid: child.pid, steps, status, kill: (signal) => child.kill(signal) };
}

/** Waits until the child has told of so many steps. */
async function afterSteps({ steps }: Child, count: number): Promise<void> {
  for (let seen = 0; seen < count;) {
    const { value, done } = await steps.read();
    if (done) return;
    seen += value.filter((byte) => byte === 10).length;
  }
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** All that two runs must have in common to the last bit. */
async function outcome(runs: string, id: string) {
  const run = await readRun(join(runs, id));
  const checkpoint = await latestCheckpoint(join(runs, id, "checkpoints"));
  return {
    bits: bitsOf(checkpoint!.state),
    losses: lossesOf(run),
    validations: run.validations.map(({ wall: _, ...validation }) => validation),
  };
}

function bitsOf({ step, tensors }: StepState): string {
  const texts = Object.entries(tensors).map(([name, { data }]) => {
    const { buffer, byteOffset, byteLength } = data as Float32Array;
    return `${name} ${new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength).toHex()}`;
  });
  return [step, ...texts.sort()].join("\n");
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_fit_" });
  try {
    return await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
