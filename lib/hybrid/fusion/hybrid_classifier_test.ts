import assert from "node:assert/strict";
import { join } from "node:path";
import { runGraph } from "../../autodiff/gradient_check.ts";
import { tensor, toNumbers } from "../../runtime/mod.ts";
import { fusionGraph } from "./classifier.ts";
import { DEX, madeUp, smallConfig } from "./fixture.ts";
import type { FusionKind } from "./fusions.ts";
import { HybridClassifier, type HybridParts, readHybrid, writeHybrid } from "./hybrid_classifier.ts";
import { momentsOf } from "./standardise.ts";

const features = madeUp("validation", { perClass: 2 }), { visual, embedding, models } = features;
const moments = { visual: visual.map(momentsOf), embedding: momentsOf(embedding) };
const made = (kind: FusionKind) =>
  fusionGraph({ config: smallConfig({ kind, prototypes: false }), moments, classes: DEX.length, seed: 2 });
const parts: HybridParts = {
  graphs: { hybrid: made("attention"), visual: made("visual"), embedding: made("embedding") },
  temperatures: { hybrid: 2, visual: 1, embedding: 1 },
  ...{ dex: DEX, models },
};
const fed = { features0: visual[0]!, features1: visual[1]!, features2: visual[2]!, embedding };
const softmax = (row: readonly number[], temperature: number) => {
  const powers = row.map((value) => Math.exp(value / temperature)), sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
};
const close = (found: ArrayLike<number>, expected: readonly number[]) =>
  expected.forEach((value, i) => assert.ok(Math.abs(found[i]! - value) < 1e-5));

Deno.test("both modalities: the fusion answers at its temperature; one missing: the other's classifier, and the note says so", async () => {
  await using hybrid = await HybridClassifier.open(parts, { threads: 1 });
  const both = await hybrid.classify({ visual, embedding });
  assert.deepEqual([both.by, both.note], ["hybrid", undefined]);
  const logits = toNumbers((await runGraph(parts.graphs.hybrid, fed)).logits!);
  close(both.probabilities.values, softmax(logits.slice(0, 8), 2));
  const seen = await hybrid.classify({ visual });
  assert.deepEqual([seen.by, seen.note], ["visual", "no embedding of clip: net alone answered"]);
  const { embedding: _, ...alone } = fed;
  close(
    seen.probabilities.values,
    softmax(toNumbers((await runGraph(parts.graphs.visual, alone)).logits!).slice(0, 8), 1),
  );
  const told = await hybrid.classify({ embedding });
  assert.deepEqual([told.by, told.note], ["embedding", "no features of net: clip alone answered"]);
  close(
    told.probabilities.values,
    softmax(toNumbers((await runGraph(parts.graphs.embedding, { embedding })).logits!).slice(0, 8), 1),
  );
});

Deno.test("nothing, other pictures, and features of other widths are refused", async () => {
  await using hybrid = await HybridClassifier.open(parts, { threads: 1 });
  await assert.rejects(hybrid.classify({}), /hybrid: expected visual features, an embedding, or both, found neither/);
  await assert.rejects(hybrid.classify({ visual: [] }), /found neither/);
  const fewer = tensor("float32", [1, 10], embedding.data.slice(0, 10));
  await assert.rejects(
    hybrid.classify({ visual, embedding: fewer }),
    /expected features of 1 pictures, found \[16,4\]/,
  );
  await assert.rejects(hybrid.classify({ visual: visual.slice(0, 2) }), /expected features for input "features2"/);
  await assert.rejects(hybrid.classify({ visual: visual.toReversed() }), /features0/);
});

Deno.test("a member that reads the other modality, or has other classes, is refused", async () => {
  const graphs = { ...parts.graphs, embedding: made("gated") };
  await assert.rejects(
    HybridClassifier.open({ ...parts, graphs }),
    /hybrid: embedding: expected a classifier of that modality alone, found the input "features0"/,
  );
  await assert.rejects(
    HybridClassifier.open({ ...parts, dex: [1, 2] }),
    /hybrid: hybrid: expected logits of 2 classes, found 8/,
  );
});

Deno.test("a hybrid's folder gives the same answers, and a file that was changed is refused", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_hybrid_" });
  try {
    await writeHybrid(folder, parts);
    await using first = await HybridClassifier.open(parts, { threads: 1 });
    await using read = await HybridClassifier.open(await readHybrid(folder), { threads: 1 });
    assert.deepEqual(await read.classify({ visual, embedding }), await first.classify({ visual, embedding }));
    assert.deepEqual(read.dex, DEX);
    await Deno.copyFile(join(folder, "visual.onnx"), join(folder, "embedding.onnx"));
    await assert.rejects(readHybrid(folder), /embedding.onnx: expected the file of [0-9a-f]{12}, found [0-9a-f]{12}/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
