/** Phase 1: every fusion knows what only one modality knows; the same seed, the same bits; a stop changes nothing. */

import assert from "node:assert/strict";
import { sha256 } from "../../runtime/mod.ts";
import type { Graph } from "../../onnx/mod.ts";
import { madeUp, madeUpPrototypes, smallConfig } from "./fixture.ts";
import { type FusionKind, FUSIONS } from "./fusions.ts";
import { trainFusion, type TrainFusionOptions } from "./train_fusion.ts";

const train = madeUp("train"), validation = madeUp("validation");
const trained = (options: Partial<TrainFusionOptions> = {}) =>
  trainFusion({
    config: smallConfig({ prototypes: false }),
    train,
    validation,
    seed: 3,
    worker: false,
    threads: 1,
    ...options,
  });
const bits = (graph: Graph) =>
  graph.parameters.map(({ name, tensor }) =>
    `${name} ${sha256(new Uint8Array((tensor!.data as Float32Array).buffer.slice(0)))}`
  );

Deno.test("each fusion is far better than either modality alone, of which each knows half of the classes", async () => {
  const top1: Partial<Record<FusionKind, number>> = {};
  for (const kind of FUSIONS) {
    top1[kind] = (await trained({
      config: smallConfig({ kind, prototypes: false }, { tasks: { types: false, generation: false } }),
    })).validation.top1;
  }
  const alone = Math.max(top1.visual!, top1.embedding!);
  assert.ok(alone < 0.75, JSON.stringify(top1)); // half of the classes, and a quarter of the others by chance: 0.625
  for (const kind of FUSIONS.slice(0, 4)) assert.ok(top1[kind]! > alone + 0.2, `${kind}: ${JSON.stringify(top1)}`);
});

Deno.test("the same seed gives the same bits, another seed others; dropout, tasks and prototypes included", async () => {
  const options = {
    config: smallConfig({ dropout: 0.3 }, { training: { epochs: 2 } }),
    prototypes: madeUpPrototypes(),
  };
  const [first, again, other] = [
    await trained(options),
    await trained(options),
    await trained({ ...options, seed: 4 }),
  ];
  assert.deepEqual(bits(again.graph), bits(first.graph));
  assert.notDeepEqual(bits(other.graph), bits(first.graph));
  assert.notEqual(other.hash, first.hash);
  assert.equal(first.parameters, first.graph.parameters.reduce((sum, { tensor }) => sum + tensor!.data.length, 0));
});

Deno.test("a training that is stopped goes on where it was, and ends with the bits of one that was not", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_fusion_" });
  try {
    const config = smallConfig({ prototypes: false, dropout: 0.2 }, {
      training: { epochs: 5, validateEvery: 1, averageDecay: 0.9, checkpoint: { everyEpochs: 1 } },
    });
    const whole = await trained({ config, folder: `${folder}/whole` });
    const stop = new AbortController();
    let validations = 0;
    const log = {
      append: ({ kind }: { kind: string }) => {
        if (kind === "validation" && ++validations === 2) stop.abort();
      },
    };
    const cut = await trained({ config, folder: `${folder}/cut`, log, signal: stop.signal });
    assert.equal(cut.fit.reason, "interrupted");
    const resumed = await trained({ config, folder: `${folder}/cut` });
    assert.equal(resumed.fit.reason, "finished");
    assert.deepEqual(bits(resumed.graph), bits(whole.graph));
    assert.deepEqual(resumed.validation, whole.validation);
    // Once more: nothing is left to do, and the same weights come out.
    const steps: number[] = [];
    const third = await trained({
      config,
      folder: `${folder}/cut`,
      log: { append: (event) => void (event.kind === "step" && steps.push(event.step)) },
    });
    assert.deepEqual(steps, []);
    assert.deepEqual(bits(third.graph), bits(whole.graph));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("features that do not go together are refused before anything is trained", async () => {
  const other = {
    ...validation,
    models: { ...validation.models, visual: { name: "other", identity: "c".repeat(64) } },
  };
  await assert.rejects(trained({ validation: other }), /expected one visual model, found net .* and other/);
});
