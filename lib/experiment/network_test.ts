/** Tests of network.ts: the networks of the settings, and first weights that cannot be had. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { exportDarknet, PUBLISHED_WEIGHTS } from "../models/mod.ts";
import { tensor, toNumbers } from "../runtime/mod.ts";
import { saveCheckpoint } from "../train/mod.ts";
import { smallConfig } from "./fixture.ts";
import { buildDetector, loadPretrained } from "./network.ts";

const { model } = smallConfig();

Deno.test("anchors are the published ones scaled from 416 pixels, or those of the settings", () => {
  const anchors = (settings: typeof model) =>
    buildDetector(settings, { classes: 2, seed: 0 }).spec.heads.flatMap(({ anchors }) => anchors);
  const scaled = anchors({ ...model, size: 832 });
  assert.deepEqual(scaled[2], [688, 638]); // 344 x 319, Darknet's largest, doubled
  const own: [number, number][] = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12]];
  assert.deepEqual(anchors({ ...model, anchors: own }), [...own.slice(3), ...own.slice(0, 3)]);
});

Deno.test("weights follow from the seed", () => {
  const first = (seed: number) => toNumbers(buildDetector(model, { classes: 2, seed }).graph.parameters[0]!.tensor!);
  assert.deepEqual(first(1), first(1));
  assert.notDeepEqual(first(1), first(2));
});

Deno.test("a file that is not there, published weights for a small network and a checkpoint of another one are each one line", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const load = (pretrained: string) =>
      loadPretrained(buildDetector(model, { classes: 2, seed: 0 }), { ...model, pretrained });
    const known = Object.keys(PUBLISHED_WEIGHTS).join(", ");
    await assert.rejects(load("none.weights"), {
      message: `model.pretrained: expected a file or one of ${known}, found "none.weights"`,
    });
    await assert.rejects(
      load("yolov3-tiny.weights"),
      /expected width and depth 1 for Darknet's weights, found 0.01 and 1/,
    );
    const path = join(folder, "other.safetensors");
    await saveCheckpoint(path, { state: { step: 1, tensors: { other: tensor("float32", [1], [1]) } } });
    await assert.rejects(load(path), /other\.safetensors: expected weights of such a network, found none that fits/);
    assert.deepEqual(await load("none"), { from: "none", loaded: 0 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Darknet's weights of another number of classes give all layers before the first head", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const settings = { ...model, width: 1 };
    const source = buildDetector(settings, { classes: 1, seed: 5 });
    const path = join(folder, "mine.weights");
    await Deno.writeFile(path, exportDarknet(source.graph, { spec: source.spec }).weights);
    const network = buildDetector(settings, { classes: 4, seed: 6 });
    assert.deepEqual(await loadPretrained(network, { ...settings, pretrained: path }), { from: path, loaded: 9 });
    const weight = (from: typeof network, name: string) => from.graph.value(name).tensor!.data;
    assert.deepEqual(weight(network, "conv8.weight"), weight(source, "conv8.weight"));
    assert.notDeepEqual(weight(network, "conv10.weight"), weight(source, "conv10.weight"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
