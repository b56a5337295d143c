/** A study on made-up features of which each modality knows one half of the classes. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Random, tensor } from "../../runtime/mod.ts";
import type { Answers } from "../answers.ts";
import { DEX, madeUp, madeUpPrototypes, smallConfig } from "../fusion/fixture.ts";
import type { HybridFeatures } from "../fusion/features.ts";
import { HybridClassifier } from "../fusion/hybrid_classifier.ts";
import { fromFile } from "../../onnx/mod.ts";
import { studyHybrid, type StudyHybridOptions } from "./study_hybrid.ts";
import { ablationOf } from "./variants.ts";

const features = { train: madeUp("train"), validation: madeUp("validation"), test: madeUp("test") };

/** A model that is sure of one half of the classes and knows nothing of the others. */
function specialist(
  model: string,
  { labels, pictures, dex }: HybridFeatures,
  knows: (label: number) => boolean,
): Answers {
  const random = Random.seeded(model, pictures[0]!), values = new Float32Array(labels.length * dex.length);
  labels.forEach((label, row) => {
    const own = dex.map((_, c) => Math.exp(random.normal()) * (knows(label) && c === label ? 50 : 1));
    const sum = own.reduce((a, b) => a + b);
    own.forEach((value, c) => values[row * dex.length + c] = value / sum);
  });
  return { model, probabilities: { values, classes: dex.length }, labels, pictures, dex };
}
const singles = [["net", (label: number) => label < 4], ["clip", (label: number) => label >= 4]].map(
  ([model, knows]) => {
    const of = (split: HybridFeatures) => specialist(model as string, split, knows as (label: number) => boolean);
    return { validation: of(features.validation), test: of(features.test) };
  },
);

const options: Omit<StudyHybridOptions, "folder"> = {
  ...{ features, singles, prototypes: madeUpPrototypes() },
  config: smallConfig({}, { training: { epochs: 6 } }),
  variants: [
    { name: "gated" },
    {
      name: "without prototypes or multi-task",
      fusion: { prototypes: false },
      tasks: { types: false, generation: false },
    },
    { name: "visual alone", fusion: { kind: "visual", prototypes: false } },
  ],
  settings: { learningRate: [1e-6, 0.01] },
  seeds: [1],
  ...{ threads: 1, worker: false },
};

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_study_" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
const linesOf = async (folder: string) => (await Deno.readTextFile(join(folder, "trials.jsonl"))).trimEnd().split("\n");

Deno.test("a study: fusions beat the best single model by a margin, settings come from validation, a stop loses nothing", () =>
  inFolder(async (folder) => {
    // Stopped before the third training; the same call then trains only what is left.
    const stop = new AbortController();
    await assert.rejects(
      studyHybrid({
        ...options,
        folder,
        signal: stop.signal,
        onProgress: ({ done }) => void (done === 2 && stop.abort()),
      }),
      /study: expected all trainings, found a stop after 2 of 6; the same call goes on/,
    );
    const before = await linesOf(folder);
    assert.equal(before.length, 2);
    const study = await studyHybrid({ ...options, folder });
    const after = await linesOf(folder);
    assert.equal(after.length, 6);
    assert.deepEqual(after.slice(0, 2), before);

    const [gated, plain, visual] = study.rows as [typeof study.rows[0], typeof study.rows[0], typeof study.rows[0]];
    const best = study.singles.find(({ name }) => name === study.bestSingle)!;
    assert.deepEqual(study.pictures, { train: 192, validation: 192, test: 192 });
    for (const row of study.rows) assert.equal(row.setting.learningRate, 0.01);
    for (const row of [gated, plain]) {
      assert.ok(row.top1.share > best.top1.share + 0.2, `${row.name}: ${row.top1.share} against ${best.top1.share}`);
      assert.ok(row.against.ci95[0] > 0.1 && row.against.p < 0.001);
      const { both, onlyFirst, onlySecond } = row.against;
      assert.equal((both + onlyFirst) / 192, row.top1.share);
      assert.equal((both + onlySecond) / 192, best.top1.share);
      assert.ok(row.top1.ci95[0] < row.top1.share && row.top5.share >= row.top1.share && row.ece >= 0 && row.ece < 0.3);
      assert.equal(row.seeds[0]!.test, row.top1.share);
    }
    assert.ok(visual.top1.share < 0.75);
    assert.ok(gated.parameters > plain.parameters && plain.parameters > visual.parameters);
    assert.notEqual(study.best, "visual alone");
    assert.ok(study.lateFusion!.top1.share > best.top1.share);

    // The graph of a row is what was judged.
    const graph = await fromFile(gated.graph), alone = await fromFile(visual.graph);
    await assert.rejects(
      HybridClassifier.open({
        graphs: { hybrid: graph, visual: alone, embedding: graph },
        ...{ dex: DEX, models: features.train.models },
      }),
      /expected a classifier of that modality alone/,
    );

    // Again: nothing is trained, and all figures are the same; other test pictures change no training either.
    assert.deepEqual(await studyHybrid({ ...options, folder }), study);
    const test = madeUp("other test"),
      others = [{ ...singles[0]!, test: specialist("net", test, (label) => label < 4) }];
    const other = await studyHybrid({ ...options, folder, features: { ...features, test }, singles: others });
    assert.equal((await linesOf(folder)).length, 6);
    assert.deepEqual(other.rows.map(({ setting }) => setting), study.rows.map(({ setting }) => setting));
    assert.equal(other.lateFusion, undefined);

    // A line that is none is refused with its place.
    await Deno.writeTextFile(join(folder, "trials.jsonl"), "{}\n");
    await assert.rejects(studyHybrid({ ...options, folder }), /trials.jsonl:1: hash: expected a training's line/);
  }));

Deno.test("an ablation takes every part of the settings away by itself", () => {
  const names = (fusion: Parameters<typeof smallConfig>[0], tasks = {}) =>
    ablationOf(smallConfig(fusion, { tasks }), { scales: 3 }).map(({ name }) => name);
  const always = ["visual alone", "embedding alone"];
  assert.deepEqual(names({}), [
    ...["gated", "concatenation", "film", "attention", "without prototypes", "without multi-task"],
    ...["without uncertainty weighting", "without standardisation", "coarsest scale alone", ...always],
  ]);
  assert.deepEqual(
    names({ kind: "film", prototypes: false, standardise: false, scales: [1] }, { types: false, generation: false }),
    ["film", "concatenation", "gated", "attention", ...always],
  );
});

Deno.test("a study without answers, with variants of one name, or with features of other models is refused", () =>
  inFolder(async (folder) => {
    await assert.rejects(
      studyHybrid({ ...options, folder, singles: [] }),
      /expected seeds and answers of single models/,
    );
    const variants = [{ name: "a" }, { name: "a" }];
    await assert.rejects(
      studyHybrid({ ...options, folder, variants }),
      /variants of different names, found 2 of 1 names/,
    );
    const models = { ...features.test.models, visual: { name: "other", identity: "c".repeat(64) } };
    const test = { ...features.test, models };
    await assert.rejects(
      studyHybrid({ ...options, folder, features: { ...features, test } }),
      /train and test: expected one/,
    );
    const odd = { ...features.test, embedding: tensor("float32", [192, 1], new Array(192).fill(0)) };
    await assert.rejects(studyHybrid({ ...options, folder, features: { ...features, test: odd } }), /expected widths/);
  }));
