/** The joined graph is its parts; what phase 1 left alone is there bit for bit; phase 2 moves each part at its own rate. */

import assert from "node:assert/strict";
import { assertClose, runGraph } from "../../autodiff/gradient_check.ts";
import { copyGraph, fromModel, Graph, toModel, toNumbers } from "../../onnx/mod.ts";
import { Random, sha256, type Tensor, tensor } from "../../runtime/mod.ts";
import { speciesByDex } from "../../species/mod.ts";
import { compileStep, findWeights, sgd } from "../../train/mod.ts";
import { PARTS } from "./config.ts";
import { smallConfig } from "./fixture.ts";
import { featureGraph, joinedGraph, type Part } from "./joined_graph.ts";
import { fusionLoss, TARGETS } from "./loss.ts";
import { EMBEDDED, freshFusion, PICTURE, smallNetworks, smallTower, TOWER } from "./networks_fixture.ts";

const classes = [1, 4, 7].map(speciesByDex), networks = smallNetworks();
const config = smallConfig({ prototypes: false, dropout: 0 });
const random = Random.seeded("joined pictures");
const images = tensor(
  "float32",
  [4, 3, PICTURE, PICTURE],
  Float32Array.from({ length: 4 * 3 * PICTURE ** 2 }, () => random.uniform()),
);
const features = await runGraph(await featureGraph(networks), { images });
const widths = [0, 1, 2].map((i) => features[`features${i}`]!.shape[1]!);
const fusion = freshFusion(config, widths, 3);
const bits = ({ data }: Tensor) => sha256(new Uint8Array((data as Float32Array).slice().buffer));
const weightsOf = (graph: Graph, part: Part) =>
  new Map(
    graph.initialisers.filter(({ name, dtype }) => name.startsWith(`${part}/`) && dtype === "float32")
      .map(({ name, tensor }) => [name, bits(tensor!)]),
  );

Deno.test("the tower sees the same picture, made smaller and coloured as it wants: 2 x 2 means by hand", async () => {
  const side = PICTURE / 2, { mean, std } = networks.tower.preprocessing;
  assert.equal(side, TOWER);
  const pixels = new Float32Array(4 * 3 * side ** 2);
  for (let plane = 0; plane < 12; plane++) {
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const at = (dy: number, dx: number) => images.data[(plane * PICTURE + 2 * y + dy) * PICTURE + 2 * x + dx]!;
        const value = (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4;
        pixels[(plane * side + y) * side + x] = (value - mean[plane % 3]!) / std[plane % 3]!;
      }
    }
  }
  const { image_embeds } = await runGraph(smallTower(), {
    pixel_values: tensor("float32", [4, 3, side, side], pixels),
  });
  const rows = toNumbers(image_embeds!),
    expected = rows.map((value, i) => {
      const from = i - i % EMBEDDED;
      return value / Math.hypot(...rows.slice(from, from + EMBEDDED));
    });
  assertClose(toNumbers(features.embedding!), expected, 1e-5);
});

Deno.test("pictures through the joined graph give what their cached features give through the fusion", async () => {
  const { graph, parts } = await joinedGraph({ ...networks, fusion });
  assert.deepEqual(parts, ["backbone", "tower", "fusion"]);
  const found = await runGraph(graph, { images }), expected = await runGraph(fusion, features);
  for (const name of ["logits", "types", "generation"]) {
    assertClose(toNumbers(found[name]!), toNumbers(expected[name]!), 1e-5, name);
  }
  const written = await runGraph(fromModel(toModel(graph)), { images });
  assert.deepEqual(toNumbers(written.logits!), toNumbers(found.logits!));
});

Deno.test("phase 1 leaves the networks alone: in the joined graph their weights are the files', bit for bit", async () => {
  const source = smallTower(), file = toModel(source);
  const { graph } = await joinedGraph({ ...networks, tower: { ...networks.tower, source }, fusion });
  const own = weightsOf(graph, "tower");
  for (const value of findWeights(fromModel(file))) {
    assert.equal(own.get(`tower/${value.name}`), bits(value.tensor!), value.name);
    assert.equal(graph.value(`tower/${value.name}`).kind, "parameter");
  }
  // Folded normalisations are constants worked out anew, but the same from the same file: joined twice, no bit differs.
  const again = await joinedGraph({ ...networks, fusion });
  assert.deepEqual(weightsOf(again.graph, "backbone"), weightsOf(graph, "backbone"));
});

async function trainedSteps(frozen: readonly Part[], rates: Readonly<Partial<Record<Part, number>>>) {
  const { graph } = await joinedGraph({ ...networks, fusion, frozen });
  const before = copyGraph(graph);
  await using step = await compileStep({
    model: graph,
    loss: fusionLoss(config, classes),
    optimizer: sgd({
      multipliers: Object.entries(rates).map(([part, factor]) => ({ pattern: `${part}/*`, factor })),
    }),
    worker: false,
    threads: 1,
  });
  const targets = tensor("float32", [4, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0]);
  for (let i = 0; i < 2; i++) await step.run({ images, [TARGETS]: targets }, { learningRate: 0.05 });
  return { before, after: await step.model() };
}

Deno.test("phase 2: a part with rate 0 keeps every bit, the others change, and the same steps give the same bits", async () => {
  const { before, after } = await trainedSteps(["backbone"], { tower: 0.1, fusion: 1 });
  assert.deepEqual(weightsOf(after, "backbone"), weightsOf(before, "backbone"));
  for (const part of ["tower", "fusion"] as const) {
    const old = weightsOf(before, part), names = after.parameters.filter(({ name }) => name.startsWith(`${part}/`));
    assert.ok(names.length > 2, part);
    for (const { name, tensor } of names) assert.notEqual(bits(tensor!), old.get(name), name);
  }
  const again = await trainedSteps(["backbone"], { tower: 0.1, fusion: 1 });
  for (const part of ["tower", "fusion"] as const) {
    assert.deepEqual(weightsOf(again.after, part), weightsOf(after, part));
  }
});

Deno.test("phase 2: every part moves as far as its factor of the rate says", async () => {
  const moved = async (rates: Record<Part, number>) => {
    const { before, after } = await trainedSteps([], rates);
    return Object.fromEntries(PARTS.map((part) => {
      let sum = 0;
      for (const { name, tensor } of after.parameters.filter((value) => value.name.startsWith(`${part}/`))) {
        const old = before.value(name).tensor!.data as Float32Array;
        (tensor!.data as Float32Array).forEach((value, i) => sum += (value - old[i]!) ** 2);
      }
      return [part, Math.sqrt(sum)];
    }));
  };
  // Small rates: the path is nearly straight, so a tenth of the rate is a tenth of the way.
  const factors = { backbone: 0.1, tower: 0.5, fusion: 0.2 };
  const whole = await moved({ backbone: 1e-3, tower: 1e-3, fusion: 1e-3 });
  const less = await moved({ backbone: 1e-4, tower: 5e-4, fusion: 2e-4 });
  for (const part of PARTS) {
    const ratio = less[part]! / whole[part]!;
    assert.ok(Math.abs(ratio / factors[part] - 1) < 0.05, `${part}: ${ratio}`);
  }
});

Deno.test("towers of another shape and features of other widths are refused", async () => {
  const flat = new Graph("flat");
  flat.output(flat.input("x", "float32", ["N", 4]), "y");
  await assert.rejects(
    joinedGraph({ ...networks, tower: { ...networks.tower, source: flat }, fusion }),
    /image tower "flat": expected pixels \[N, 3, H, W\] and an output image_embeds/,
  );
  await assert.rejects(
    joinedGraph({ ...networks, fusion: freshFusion(config, [16, 32, 99], 3) }),
    /fusion "small": expected features .*features2.*, found \[N,\d+\] of the networks/,
  );
});
