import assert from "node:assert/strict";
import { join } from "node:path";
import type { Picture } from "../../data/mod.ts";
import type { Dataset } from "../../experiment/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import { lossesOf, readRun } from "../../track/mod.ts";
import { buildColours, smallClip } from "./fixture.ts";
import { exportClip, openPokedexClip, trainClip, type TrainClipOptions } from "./mod.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_clip_" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
let built: Promise<Dataset> | undefined;

async function train(runs: string, more: Partial<TrainClipOptions> = {}) {
  built ??= buildColours(folder);
  return await trainClip({
    ...{ config: smallClip(), data: await built, runsFolder: join(folder, runs), profile: "test", seed: 1 },
    ...{ threads: 1, workers: 0 },
    ...more,
  });
}

const dot = (a: Float32Array, i: number, b: Float32Array, j: number, size: number) =>
  Array.from({ length: size }, (_, d) => a[i * size + d]! * b[j * size + d]!).reduce((sum, x) => sum + x, 0);

/** A picture of one colour with a transparent margin. */
function painted(red: number, green: number, blue: number): Picture {
  const pixels = new Uint8ClampedArray(40 * 40 * 4);
  for (let y = 8; y < 32; y++) {
    for (let x = 8; x < 32; x++) pixels.set([red, green, blue, 255], 4 * (40 * y + x));
  }
  return { width: 40, height: 40, data: pixels, opaque: false };
}

Deno.test("a tiny CLIP learns a tiny set: the loss falls and names are found; the exported folder embeds alike", async () => {
  const config = smallClip({ epochs: 10, averageDecay: 0.9 }, { captions: { names: 0.4 } });
  const { folder: run, model, difference } = await train("learns", { config });
  const losses = lossesOf(await readRun(run)).map(({ loss }) => loss);
  const mean = (part: number[]) => part.reduce((sum, loss) => sum + loss, 0) / part.length;
  assert.ok(mean(losses.slice(-10)) < 0.75 * mean(losses.slice(0, 10)), `${losses[0]} … ${losses.at(-1)}`);
  assert.ok(difference! <= 1e-4, String(difference));
  const { trained, heldOut } = model!.card.metrics.validation!;
  assert.ok(trained!.top1 > 3 / 7, `top-1 ${trained!.top1} of ${trained!.n}, by chance 1/7`);
  assert.equal(heldOut!.species, 2);
  assert.deepEqual(model!.card.species.heldOut, [3, 6]);

  await using encoder = await openPokedexClip(model!.folder, { threads: 1 });
  const pictures = [painted(250, 10, 10), painted(10, 100, 10)];
  const whole = await encoder.embedImages(pictures);
  assert.ok(Math.abs(dot(whole.data, 0, whole.data, 0, 16) - 1) < 1e-5);
  const out = join(folder, "mixed");
  await exportClip(run, out, { weights: "mixed" });
  await using compact = await openPokedexClip(out, { threads: 1 });
  const halves = await compact.embedImages(pictures);
  assert.ok(dot(whole.data, 1, halves.data, 1, 16) > 0.999);
  assert.notEqual(compact.identity, encoder.identity);
  await assert.rejects(exportClip(out, join(folder, "again"), { weights: "int8" }), InputError);
  await Deno.writeTextFile(join(out, "tokenizer.json"), "{}");
  await assert.rejects(openPokedexClip(out), /tokenizer.json: expected the file of .*card.json/);
});

Deno.test("a CLIP's training that is stopped in mid-epoch and resumed ends with the same losses, validations and files", async () => {
  const config = smallClip({ checkpoint: { everySteps: 5 } });
  const whole = await train("whole", { config });
  const stop = new AbortController();
  let steps = 0;
  const stopped = await train("parts", {
    ...{ config, signal: stop.signal },
    callbacks: [{ onStep: () => void (++steps === 8 && stop.abort()) }],
  });
  assert.equal(stopped.model, undefined);
  const resumed = await train("parts", { config, resume: "auto" });
  assert.equal(resumed.run, stopped.run);
  const [expected, found] = [await readRun(whole.folder), await readRun(resumed.folder)];
  assert.deepEqual(lossesOf(found), lossesOf(expected));
  assert.deepEqual(found.validations.map(({ figures }) => figures), expected.validations.map(({ figures }) => figures));
  assert.deepEqual(resumed.model!.card.files, whole.model!.card.files);
});
