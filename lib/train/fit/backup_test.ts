/** Tests of backup.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { backup, copyRun } from "./backup.ts";
import { inFolder, scripted, smallFit } from "./fixture.ts";

async function contents(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const walk = async (place: string, prefix: string) => {
    for await (const { name, isDirectory } of Deno.readDir(place)) {
      if (isDirectory) await walk(join(place, name), `${prefix}${name}/`);
      else if (name !== ".lock") files[prefix + name] = (await Deno.readFile(join(place, name))).toHex();
    }
  };
  await walk(folder, "");
  return files;
}

Deno.test("the copy follows the run: every k minutes while it trains, and at the end the same files with the same bytes", () =>
  inFolder(async (folder) => {
    const from = join(folder, "run"), to = join(folder, "drive", "run");
    let time = 0;
    const seen: number[] = [];
    await smallFit({
      checkpoints: { folder: from, everyEpochs: 1, keep: 1 },
      validation: { ...scripted([1, 2, 3]), monitor: { metric: "top1", mode: "max" } },
      now: () => time,
      callbacks: [backup({ from, to, everyMinutes: 30, now: () => time }), {
        async onStep() {
          time += 4 * 60_000; // after step 8 half an hour has passed
          await new Promise((resolve) => setTimeout(resolve, 30)); // a copy is made beside the training
          seen.push(Object.keys(await contents(to).catch(() => ({}))).length);
        },
      }],
    });
    assert.deepEqual(seen.slice(0, 8), new Array(8).fill(0));
    assert.ok(seen[8]! > 0, seen.join());
    assert.deepEqual(await contents(to), await contents(from));
  }));

Deno.test("only files that changed are copied, and checkpoints that are gone leave the copy once the newest one there is whole", () =>
  inFolder(async (folder) => {
    const from = join(folder, "run"), to = join(folder, "copy");
    await smallFit({ epochs: 1, checkpoints: { folder: from } });
    await Deno.writeTextFile(join(from, "log.jsonl"), "one\n");
    await Deno.writeTextFile(join(from, "half.tmp~"), "half");
    const checkpoint = join("checkpoints", "step-000000004.safetensors");
    assert.deepEqual(await copyRun(from, to), [checkpoint, "log.jsonl"]);
    assert.deepEqual(await copyRun(from, to), []);
    await Deno.writeTextFile(join(from, "log.jsonl"), "one\ntwo\n");
    assert.deepEqual(await copyRun(from, to), ["log.jsonl"]);
    await Deno.copyFile(join(from, checkpoint), join(to, "checkpoints", "step-000000001.safetensors"));
    await Deno.truncate(join(to, checkpoint), 100);
    await Deno.utime(join(to, checkpoint), 0, 0);
    await Deno.writeTextFile(join(from, "checkpoints", "step-000000009.safetensors"), "damaged in the run itself");
    await assert.rejects(copyRun(from, to), /step-000000009.safetensors: expected /);
    await Deno.stat(join(to, "checkpoints", "step-000000001.safetensors")); // not yet removed
    await Deno.remove(join(from, "checkpoints", "step-000000009.safetensors"));
    await copyRun(from, to);
    assert.deepEqual([...Deno.readDirSync(join(to, "checkpoints"))].map(({ name }) => name), [
      "step-000000004.safetensors",
    ]);
  }));

Deno.test("a second place that fails is told of and training goes on", () =>
  inFolder(async (folder) => {
    const from = join(folder, "run"), taken = join(folder, "taken");
    await Deno.writeTextFile(taken, "a file where a folder should be");
    const warnings: string[] = [];
    const { reason } = await smallFit({
      checkpoints: { folder: from },
      callbacks: [backup({ from, to: join(taken, "run"), warn: (message) => void warnings.push(message) })],
    });
    assert.equal(reason, "finished");
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /^backup: .+; training goes on$/);
  }));
