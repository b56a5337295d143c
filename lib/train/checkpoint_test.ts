/** Checkpoint files: whole, verified, the newest that is whole. */

import assert from "node:assert/strict";
import { tensor } from "../onnx/mod.ts";
import { Random, type RandomState } from "../runtime/mod.ts";
import { checkpointName, latestCheckpoint, readCheckpoint, saveCheckpoint, type StepState } from "./mod.ts";

const state: StepState = {
  step: 12,
  tensors: {
    w: tensor("float32", [2, 2], [1, -0, NaN, 3e-42]),
    count: tensor("float64", [], [12]),
  },
};

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a checkpoint comes back bit for bit, with the state of the random stream", () =>
  inFolder(async (folder) => {
    const random = Random.seeded(4);
    random.uint32();
    const path = `${folder}/deep/one.safetensors`;
    await saveCheckpoint(path, { state, progress: { random: random.state, epoch: 3 } });
    const found = await readCheckpoint(path);
    assert.equal(found.state.step, 12);
    assert.deepEqual(Object.keys(found.state.tensors).sort(), ["count", "w"]);
    const bits = (name: string, of: StepState) =>
      new Uint8Array((of.tensors[name]!.data as Float32Array).slice().buffer);
    for (const name of ["w", "count"]) assert.deepEqual(bits(name, found.state), bits(name, state));
    const progress = found.progress as { random: RandomState; epoch: number };
    assert.equal(progress.epoch, 3);
    assert.equal(Random.fromState(progress.random).uint32(), random.uint32());
  }));

Deno.test("every flipped byte and every cut of a checkpoint is found out, in one line that names the file", () =>
  inFolder(async (folder) => {
    const path = `${folder}/one.safetensors`;
    await saveCheckpoint(path, { state });
    const good = await Deno.readFile(path);
    const random = Random.seeded("damage");
    for (let i = 0; i < 150; i++) {
      const bad = i % 3 === 0 ? good.slice(0, random.int(good.length)) : good.slice();
      if (i % 3 !== 0) {
        const at = i % 3 === 1 ? good.length - 1 - random.int(24) : random.int(good.length);
        bad[at]! ^= 1 << random.int(8);
      }
      await Deno.writeFile(path, bad);
      const found = await readCheckpoint(path).then(({ state }) => state, (error: Error) => error);
      if (!(found instanceof Error)) {
        // A flipped bit in the header may turn a space or a letter of a key that nothing reads; never the contents.
        assert.deepEqual(found, state, `byte damaged in case ${i}`);
        continue;
      }
      assert.ok(found.message.startsWith(path) && !found.message.includes("\n"), found.message);
    }
  }));

Deno.test("the newest whole checkpoint is found, and the damaged newer one is told of", () =>
  inFolder(async (folder) => {
    assert.equal(await latestCheckpoint(folder), undefined);
    assert.equal(await latestCheckpoint(`${folder}/none`), undefined);
    for (const step of [900, 1000, 20000]) {
      await saveCheckpoint(`${folder}/${checkpointName(step)}`, { state: { ...state, step } });
    }
    const damaged = `${folder}/${checkpointName(20000)}`;
    await Deno.truncate(damaged, 100);
    await Deno.writeTextFile(`${folder}/notes.txt`, "not a checkpoint");
    const warnings: string[] = [];
    const found = await latestCheckpoint(folder, (message) => warnings.push(message));
    assert.equal(found?.state.step, 1000);
    assert.equal(warnings.length, 1);
    assert.ok(warnings[0]!.startsWith(damaged), warnings.join());
  }));

Deno.test("a safetensors file that is no checkpoint, and a missing one, are one line", () =>
  inFolder(async (folder) => {
    await assert.rejects(readCheckpoint(`${folder}/none`), /none: expected a safetensors file, found nothing there/);
    const { writeSafetensors } = await import("../onnx/mod.ts");
    await writeSafetensors(`${folder}/weights`, Object.entries(state.tensors));
    await assert.rejects(readCheckpoint(`${folder}/weights`), /weights: expected a checkpoint .*, found other tensors/);
  }));
