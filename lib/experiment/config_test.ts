/** Tests of config.ts: the shipped settings, overlays and what is refused. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { overlayPath, readTrainingConfig, trainingConfigSchema } from "./config.ts";
import { smallConfig } from "./fixture.ts";
import { projectFolder } from "./settings.ts";

const shipped = (name: string) => join(projectFolder, "configs", ...name.split("/"));
const baseline = shipped("yolov3/baseline.yaml"), improved = shipped("yolov3/improved.yaml");

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
  const residual = shipped("classifier/residual.yaml");
  for (const profile of ["smoke", "quick", "national"]) {
    const [small, plain] = [
      await readTrainingConfig(improved, { profile }),
      await readTrainingConfig(residual, { profile }),
    ];
    const schedule = { ...small.schedule, floor: 0 }; // oneCycle has none
    const { pacing } = small.data.curriculum, curriculum = plain.data.curriculum;
    assert.deepEqual([small.model, schedule], [plain.model, plain.schedule], profile);
    assert.deepEqual({ ...small.data, curriculum }, plain.data, profile);
    assert.equal(pacing, "none", profile);
    const { nominalBatch, patience, ...training } = small.training;
    assert.equal(nominalBatch, training.batch, "or the decay of weights is another");
    assert.deepEqual([patience, training], [10, plain.training], profile);
    assert.deepEqual([small.loss.labelSmoothing, small.prediction], [0.1, plain.prediction], profile);
    const { clipNorm: _, ...optimizer } = small.optimizer;
    assert.deepEqual(optimizer, plain.optimizer, profile);
  }
  assert.equal(overlayPath("configs/a/b.yaml", "quick"), join(Deno.cwd(), "configs/profiles/quick/a/b.yaml"));
  assert.equal(overlayPath("/elsewhere/b.yaml", "quick"), undefined);
});

Deno.test("the improved recipe writes out every switch, those without a value that means off left aside", async () => {
  const config = await readTrainingConfig(improved, { profile: "blog" });
  const written = parse(await Deno.readTextFile(improved)) as Record<string, Record<string, unknown>>;
  const keys = (value: unknown, path = ""): string[] =>
    typeof value !== "object" || value === null || Array.isArray(value)
      ? [path]
      : Object.entries(value).flatMap(([key, own]) => keys(own, `${path}.${key}`));
  const left = keys(config).filter((key) => !keys(written).includes(key) && !key.startsWith(".training.guard."));
  assert.deepEqual(left, [".schedule.milestones", ".schedule.factor"]); // of another kind of schedule
  assert.deepEqual([config.model.size, config.training.patience, config.data.hard.share, config.prediction.views], [
    ...[416, 10, 0.25],
    "mirror",
  ]);
});

Deno.test("settings that contradict each other are refused by their place, and what may go together is taken", () => {
  const classifier = { family: "residual", width: 0.1, size: 32 } as const;
  const pairs = { sampler: "positivePairs" } as const, pull = { contrastive: { weight: 0.5 } };
  const issue = (more: Record<string, unknown>, training: Record<string, unknown> = {}): string => {
    const { optimizer, schedule, name, training: plain } = smallConfig();
    const result = trainingConfigSchema.safeParse({
      ...{ name, optimizer, schedule, training: { ...plain, ...training }, model: classifier, ...more },
    });
    const [first] = result.error?.issues ?? [];
    return first ? `${first.path.join(".")}: ${first.message}` : "none";
  };
  assert.equal(issue({ data: pairs, loss: pull }), "none");
  assert.equal(issue({ data: pairs, loss: { ...pull, gains: { class: 0 } } }), "none");
  assert.match(issue({ loss: pull }), /^data\.sampler: positivePairs for loss\.contrastive/);
  assert.match(issue({ data: { ...pairs, hard: { share: 0.2 } }, loss: pull }), /^data\.hard\.share: 0 with/);
  assert.match(issue({ data: pairs, loss: pull }, { batch: 5 }), /^training\.batch: an even number/);
  const mixed = { name: "sometimes", options: { probability: 0.5, transform: { name: "mixup" } } };
  assert.match(issue({ data: { ...pairs, augmentation: [mixed] }, loss: pull }), /^data\.augmentation: no mixup/);
  assert.equal(issue({ data: { augmentation: [mixed], hard: { share: 0.2 } } }), "none");
  assert.match(issue({ loss: { gains: { class: 0 } } }), /^loss\.gains\.class: a gain above 0/);
  const detector = { family: "yolov3-tiny", width: 0.1, size: 32 };
  assert.match(issue({ model: detector, data: pairs, loss: pull }), /^loss\.contrastive\.weight: 0 for the family/);
  assert.match(issue({ model: { ...detector, dropPath: 0.1 } }), /^model\.dropPath: 0 for the family yolov3-tiny/);
  assert.match(issue({ data: { curriculum: { pacing: "root" } } }), /^data\.curriculum\.styles: styles with/);
  assert.match(issue({ model: { ...classifier, dropout: 1 } }), /^model\.dropout: /);
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
