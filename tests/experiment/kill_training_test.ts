/** A whole training that is killed goes on to the same bits: losses, validations, and the model file. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { lossesOf, readRun } from "../../lib/track/mod.ts";
import { train } from "./kill_training.ts";
import { buildSmallData } from "./small_data.ts";

/** Runs the training in a process of its own and kills it after so many steps. */
async function killAfter(steps: number, dataFolder: string, runs: string): Promise<void> {
  const script = join(import.meta.dirname!, "kill_training.ts");
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, dataFolder, runs],
    stdout: "piped",
  }).spawn();
  let seen = 0, text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    seen = text.split("\n").length - 1;
    if (seen >= steps) child.kill("SIGKILL");
  }
  assert.equal((await child.status).signal, "SIGKILL", `${seen} steps`);
}

Deno.test("a training killed before and after its first checkpoint ends with the losses and the model of an undisturbed one", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_kill_" });
  try {
    const data = await buildSmallData(folder), runs = join(folder, "runs");
    const undisturbed = await train(data, join(folder, "undisturbed"), () => {});
    await killAfter(2, data, runs); // before the first checkpoint, at step 4
    await killAfter(7, data, runs); // in the middle of an epoch
    const resumed = await train(data, runs, () => {});
    assert.deepEqual((await Array.fromAsync(Deno.readDir(runs))).map(({ name }) => name), [resumed.run]);
    const [expected, found] = [await readRun(undisturbed.folder), await readRun(resumed.folder)];
    assert.deepEqual(lossesOf(found), lossesOf(expected));
    assert.deepEqual(
      found.validations.map(({ figures }) => figures),
      expected.validations.map(({ figures }) => figures),
    );
    assert.equal(found.resumes.length, 2);
    assert.deepEqual(
      await Deno.readFile(join(resumed.folder, "model.onnx")),
      await Deno.readFile(join(undisturbed.folder, "model.onnx")),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
