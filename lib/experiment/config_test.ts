/** Tests of config.ts: the shipped settings, overlays and what is refused. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { overlayPath, readTrainingConfig } from "./config.ts";
import { projectFolder } from "./settings.ts";

const baseline = join(projectFolder, "configs", "yolov3", "baseline.yaml");

Deno.test("the baseline has the original's published settings, and the blog profile changes none of them", async () => {
  const config = await readTrainingConfig(baseline);
  const { model, data, optimizer, schedule, training } = config;
  assert.deepEqual([model.family, model.width, model.depth, model.size], ["yolov3", 1, 1, 416]);
  assert.deepEqual([schedule.kind, schedule.learningRate, schedule.warmUpEpochs], ["cosine", 1e-4, 5]);
  assert.deepEqual([training.epochs, training.batch, training.patience, optimizer.weightDecay], [
    100,
    16,
    undefined,
    0,
  ]);
  assert.deepEqual(data.augmentation, [{ name: "flip", options: { horizontal: 0.5 } }]);
  assert.deepEqual(training.checkpoint.everyEpochs, 10);
  assert.deepEqual(await readTrainingConfig(baseline, { profile: "blog" }), config);
});

Deno.test("every profile's overlay is valid, and lays over only what it names", async () => {
  for (const profile of ["smoke", "quick", "national"]) {
    const config = await readTrainingConfig(baseline, { profile });
    assert.equal(config.model.pretrained, "none", profile);
    assert.equal(config.loss.ignoreThreshold, 0.7, profile);
  }
  assert.equal(overlayPath("configs/a/b.yaml", "quick"), join(Deno.cwd(), "configs/profiles/quick/a/b.yaml"));
  assert.equal(overlayPath("/elsewhere/b.yaml", "quick"), undefined);
});

Deno.test("unknown keys, optimizers and transforms and values out of range are refused with file, line and column", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const good = await Deno.readTextFile(baseline);
    const path = join(folder, "c.yaml");
    const cases: [string, string, RegExp][] = [
      [
        "name: adam",
        "name: adagrad",
        /c\.yaml:\d+:3: optimizer\.name: expected sgd or adam or adamw or lion or lamb, found "adagrad"$/,
      ],
      [
        "batch: 16",
        "batchs: 16",
        /c\.yaml:\d+:\d+: training\.(batch: expected number, found nothing|batchs: expected a known key)/,
      ],
      ["epochs: 100", "epochs: 0", /training\.epochs: expected at least 1, found 0$/],
      ["size: 416", "size: 400", /model\.size: expected a multiple of 32 pixels, found 400$/],
      ["size: 416", "size: 410", /model\.size: expected a multiple of 16 pixels, found 410$/],
      [
        "family: yolov3",
        "family: residual",
        /training\.monitor: expected top1, top5, nll or loss for the family residual, which finds no boxes, found "mAP50"/,
      ],
      ["name: flip", "name: flop", /data\.augmentation: expected one of flip, .*, found "flop", found \[/],
      [
        "horizontal: 0.5",
        "horizontl: 0.5",
        /data\.augmentation: expected flip: expected horizontal, vertical, found "horizontl"/,
      ],
      [
        "warmUpEpochs: 5",
        "warmUpEpochs: 100",
        /schedule\.warmUpEpochs: expected fewer than the 100 epochs of training/,
      ],
      ["kind: cosine", "kind: cosinus", /schedule\.kind: expected cosine or oneCycle or .*, found "cosinus"$/],
      ["learningRate: 1e-4", "learningRate: -1", /schedule\.learningRate: expected .*0, found -1$/],
    ];
    for (const [from, to, message] of cases) {
      const text = good.replace(from, to);
      assert.notEqual(text, good, from);
      await Deno.writeTextFile(path, text);
      await assert.rejects(readTrainingConfig(path), (error: Error) => {
        assert.match(error.message, /c\.yaml:\d+:\d+: /);
        assert.match(error.message, message);
        return true;
      });
    }
    await assert.rejects(
      readTrainingConfig(join(folder, "none.yaml")),
      /none\.yaml: expected a YAML file, found nothing/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
