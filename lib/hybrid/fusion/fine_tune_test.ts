/** Phase 2 as a whole run on drawn pictures: it ships a model of pictures, and a stop changes no bit of it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildSmallData } from "../../../tests/experiment/small_data.ts";
import { openDataset, openModel } from "../../experiment/mod.ts";
import { fromFile } from "../../onnx/mod.ts";
import { sha256File } from "../../runtime/mod.ts";
import { lossesOf, readRun } from "../../track/mod.ts";
import { fineTuneHybrid, type FineTuneHybridOptions } from "./fine_tune.ts";
import { fusionConfigSchema } from "./config.ts";
import { smallConfig } from "./fixture.ts";
import { freshFusion, PICTURE, smallNetworks } from "./networks_fixture.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_hybrid_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
let runs = 0;
/** A folder of runs of its own. */
const inRuns = (work: (runs: string) => Promise<void>) => work(join(folder, `runs${runs++}`));
const data = await openDataset({ dataFolder: await buildSmallData(folder), species: 3 });
const base = smallConfig({ prototypes: false });
const config = fusionConfigSchema.parse({
  ...base,
  unfrozen: {
    ...base.unfrozen,
    data: { background: [114, 114, 114], augmentation: [{ name: "flip" }] },
    training: { epochs: 2, batch: 4, monitor: "top1" },
    rates: { backbone: 0, tower: 0.1, fusion: 1 },
  },
});
const fusion = freshFusion(config, [16, 32, 64], 3);

const tuned = (runsFolder: string, options: Partial<FineTuneHybridOptions> = {}) =>
  fineTuneHybrid({
    ...smallNetworks(),
    ...{ config, fusion, data, runsFolder, profile: "test", seed: 5, threads: 1, workers: 0, ...options },
  });

Deno.test("phase 2 ships a model that takes pictures; stopped and resumed it has the same losses and the same file", () =>
  inRuns(async (runs) => {
    const whole = await tuned(join(runs, "whole"));
    const { card, folder } = whole.model!;
    assert.equal(card.decode.family, "hybrid");
    assert.match(card.about, /A classifier of 3 species at 32 px \(hybrid\)/);
    assert.equal(card.metrics.test!.n, data.rows.test.length);
    const shipped = await fromFile(join(folder, "model.onnx"));
    assert.deepEqual(shipped.outputs.map(({ name }) => name), ["probabilities", "types", "generation"]);
    await using opened = await openModel(folder);
    assert.equal(opened.card.input.size, PICTURE);

    const stop = new AbortController();
    const callbacks = [{
      onStep: ({ result }: { result: { step: number } }) => void (result.step === 2 && stop.abort()),
    }];
    const cut = await tuned(join(runs, "cut"), { callbacks, signal: stop.signal });
    assert.equal(cut.model, undefined);
    const resumed = await tuned(join(runs, "cut"), { resume: "auto" });
    assert.equal(resumed.run, cut.run);
    assert.deepEqual(lossesOf(await readRun(resumed.folder)), lossesOf(await readRun(whole.folder)));
    assert.equal(
      await sha256File(join(resumed.folder, "model.onnx")),
      await sha256File(join(whole.folder, "model.onnx")),
    );
  }));

Deno.test("a fusion of another number of species than the data set's is refused", () =>
  inRuns((runs) =>
    assert.rejects(
      tuned(runs, { fusion: freshFusion(config, [16, 32, 64], 4) }),
      /fusion "small": expected logits of the data set's 3 species, found 4/,
    )
  ));
