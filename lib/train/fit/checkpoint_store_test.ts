/** Tests of checkpoint_store.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { writeAtomic } from "../../runtime/mod.ts";
import { readCheckpoint } from "../checkpoint.ts";
import { bestCheckpointPath, checkpointFolder, CheckpointStore } from "./checkpoint_store.ts";
import { freshGuard } from "../guard/state.ts";
import { inFolder, scripted, smallFit } from "./fixture.ts";

function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name !== ".lock").sort();
}

const saved = (...steps: number[]) => steps.map((step) => `step-${String(step).padStart(9, "0")}.safetensors`);

Deno.test("the newest few checkpoints are kept, and the best wherever it was", () =>
  inFolder(async (folder) => {
    await smallFit({
      epochs: 6,
      checkpoints: { folder, everyEpochs: 1, keep: 2 },
      validation: { ...scripted([0.1, 0.7, 0.2, 0.3, 0.4, 0.5]), monitor: { metric: "top1", mode: "max" } },
    });
    assert.deepEqual(names(checkpointFolder(folder)), saved(20, 24));
    assert.equal((await readCheckpoint(bestCheckpointPath(folder))).state.step, 8);
    assert.deepEqual(names(join(folder, "best")), ["checkpoint.safetensors"]);
  }));

Deno.test("a disk that fills in a checkpoint is one clear error, and the older checkpoint is whole", () =>
  inFolder(async (folder) => {
    let writes = 0;
    const write = async (path: string, content: Uint8Array) => {
      if (++writes < 2) return await writeAtomic(path, content);
      await Deno.writeFile(path, content.subarray(0, content.length / 2));
      throw Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
    };
    await assert.rejects(
      smallFit({ checkpoints: { folder, everyEpochs: 1, keep: 1, write } }),
      /^WorkError: .*step-000000008.safetensors: no space left on the disk; free some and run the same command again$/,
    );
    assert.deepEqual(names(checkpointFolder(folder)), saved(4));
    assert.equal((await readCheckpoint(join(checkpointFolder(folder), saved(4)[0]!))).state.step, 4);
  }));

const tmpfs = Deno.build.os === "linux" && Deno.uid() === 0 && await canMount();

Deno.test({
  name:
    "on a real file system of 64 kB that fills up, the same error comes and the older checkpoints are whole (needs mount)",
  ignore: !tmpfs, // the test above checks the same with a writer that fails
  fn: () =>
    inFolder(async (folder) => {
      await mount(folder);
      try {
        await assert.rejects(
          smallFit({ epochs: 30, checkpoints: { folder, everyEpochs: 1, keep: 100 } }),
          /^WorkError: .*\.safetensors: no space left on the disk/,
        );
        const files = names(checkpointFolder(folder));
        assert.ok(files.length >= 2, files.join());
        for (const file of files) await readCheckpoint(join(checkpointFolder(folder), file));
      } finally {
        await new Deno.Command("umount", { args: [folder] }).output();
      }
    }),
});

async function mount(folder: string): Promise<boolean> {
  const args = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder];
  return (await new Deno.Command("mount", { args, stderr: "null" }).output()).success;
}

async function canMount(): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  try {
    const mounted = await mount(folder);
    if (mounted) await new Deno.Command("umount", { args: [folder] }).output();
    return mounted;
  } catch {
    return false;
  } finally {
    await Deno.remove(folder);
  }
}

Deno.test("a checkpoint that reads back as other bytes does not take the place of an older one", () =>
  inFolder(async (folder) => {
    let writes = 0;
    const write = async (path: string, content: Uint8Array) => {
      const bytes = content.slice();
      if (++writes === 2) bytes[bytes.length - 3]! ^= 4;
      await writeAtomic(path, bytes);
    };
    await assert.rejects(
      smallFit({ checkpoints: { folder, everyEpochs: 1, keep: 1, write } }),
      /^WorkError: .*expected the \d+ bytes that were written, found others after 0$/,
    );
    assert.deepEqual(names(checkpointFolder(folder)), saved(4));
  }));

Deno.test("opening clears what a kill left half written and touches nothing else", () =>
  inFolder(async (folder) => {
    await smallFit({ epochs: 1, checkpoints: { folder } });
    const own = checkpointFolder(folder);
    for (const name of ["step-000000008.safetensors.unverified~", "step-000000008.safetensors.123.tmp~", "notes.txt"]) {
      await Deno.writeTextFile(join(own, name), "half");
    }
    const damaged = saved(12)[0]!;
    await Deno.writeTextFile(join(own, damaged), "damaged");
    (await CheckpointStore.open({ folder }))[Symbol.dispose]();
    assert.deepEqual(names(own), ["notes.txt", ...saved(4), damaged].sort());
  }));

Deno.test("a clock that was set back does not make a new checkpoint older than those before it", () =>
  inFolder(async (folder) => {
    const before = { epochs: 1, checkpoints: { folder, keep: 1 } };
    await smallFit({ ...before, now: () => Date.parse("2030-01-01T00:00:00Z") });
    const state = (await readCheckpoint(join(checkpointFolder(folder), saved(4)[0]!))).state;
    using store = await CheckpointStore.open({ folder, keep: 1 });
    const progress = {
      ...{ runId: "r", configHash: "", architecture: "", epoch: 1, stepInEpoch: 0, stepsPerEpoch: 4, images: 0 },
      ...{ epochLoss: { sum: 0, steps: 0 }, metrics: { top1: NaN }, best: null, waited: 0, seconds: 0, custom: null },
      ...{ nonFinite: { total: 0, inRow: 0, first: "" }, guard: freshGuard() },
    };
    const now = new Date("2020-01-01T00:00:00Z");
    await store.save({ ...state, step: 5 }, progress, { last: true, best: false, now });
    assert.deepEqual(names(checkpointFolder(folder)), saved(5));
  }));
