/** The range test of a training's settings: its steps are the training's own. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { exists } from "../runtime/mod.ts";
import { openDataset } from "./dataset.ts";
import { findRate } from "./find_rate.ts";
import { inRuns, makeSmallData, smallConfig, trainedLosses } from "./fixture.ts";

const small = await makeSmallData();
Deno.test.afterAll(async () => await small[Symbol.asyncDispose]());
const data = await openDataset({ dataFolder: small.dataFolder, species: 3 });
const common = { data, seed: 7, threads: 1, workers: 0 } as const;
const settings = (training: Record<string, unknown> = {}) =>
  smallConfig({ epochs: 2, guard: false, ...training }, {
    model: { family: "residual", width: 0.1, size: 32 },
    optimizer: { name: "sgd" },
    schedule: { kind: "constant", learningRate: 0.01 },
  });

Deno.test("with a rate that hardly rises the losses are those of a training at that rate, over the end of an epoch", () =>
  inRuns(async (runs) => {
    for (const nominalBatch of [4, 8]) {
      const config = settings({ nominalBatch, epochs: nominalBatch / 2 });
      const steps = await trainedLosses({ ...common, config, runsFolder: runs, profile: "test" });
      const rising = { lowest: 0.01, highest: 0.01 * (1 + 1e-9), steps: steps.length };
      const { losses, diverged } = await findRate({ ...common, config, ...rising });
      assert.equal(losses.length, steps.length);
      losses.forEach((loss, i) => assert.ok(Math.abs(loss - steps[i]!.loss) < 1e-4 * loss, `${i}: ${loss}`));
      assert.equal(diverged, undefined);
    }
  }));

Deno.test("a rate that is too high is found, nothing is written, and the settings' own errors are told", async () => {
  const seen: number[] = [];
  const config = settings();
  const curve = await findRate({
    ...{ ...common, config, steps: 40, highest: 1e4, onProgress: ({ done }) => void seen.push(done) },
  });
  assert.ok(curve.diverged! < 1e4 && curve.tenth === curve.diverged! / 10, `${curve.diverged}`);
  assert.equal(seen.at(-1), curve.rates.length);
  assert.equal(await exists(join(small.folder, "runs")), false);
  await assert.rejects(
    findRate({ ...common, config: settings({ nominalBatch: 1000 }) }),
    /expected batches, found none/,
  );
  await assert.rejects(findRate({ ...common, config, steps: 1 }), /expected a whole number of steps from 2, found 1/);
});
