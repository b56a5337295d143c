import assert from "node:assert/strict";
import { residualNet, withMirror, yoloV3 } from "../models/mod.ts";
import { compactWeights, fromModel, Graph, relu, toModel } from "../onnx/mod.ts";
import { openSession, Random, type Tensor, tensor } from "../runtime/mod.ts";
import { backboneFeatures } from "./backbone.ts";

const random = Random.seeded("backbone", 0);
const pictures = (n: number, size: number) =>
  tensor("float32", [n, 3, size, size], Float32Array.from({ length: n * 3 * size ** 2 }, () => random.uniform()));

async function run(graph: Graph, images: Tensor) {
  await using session = await openSession(toModel(graph));
  return await session.run({ images });
}

Deno.test("a classifier's features are the means of its stages, the last one what its own head reads", async () => {
  const { graph } = residualNet({ classes: 5, size: 64, random, width: 0.125 });
  const features = backboneFeatures(graph);
  assert.deepEqual(features.outputs.map(({ name, shape }) => [name, shape.at(-1)]), [
    ["features0", 16],
    ["features1", 32],
    ["features2", 64],
  ]);
  const images = pictures(3, 64);
  const found = await run(features, images);
  graph.output(graph.value("features"), "own");
  const { own } = await run(graph, images);
  assert.deepEqual(found.features2!.data, own!.data);
  // A model that looks at its mirror image too has the same features of the picture itself.
  graph.removeOutput(graph.value("own"));
  const mirrored = backboneFeatures(withMirror(graph));
  assert.deepEqual((await run(mirrored, images)).features2!.data, own!.data);
});

Deno.test("a YOLO's features are what its three heads read", async () => {
  const { graph, spec } = yoloV3({ classes: 4, size: 64, random, width: 0.0625 });
  const features = backboneFeatures(graph);
  const heads = spec.heads.toSorted((a, b) => a.stride - b.stride);
  assert.deepEqual(
    features.outputs.map(({ shape }) => shape[1]),
    heads.map(({ output }) => graph.value(output).producer!.inputs[0]!.shape[1]),
  );
  const found = await run(features, pictures(2, 64));
  for (const { data } of Object.values(found)) assert.ok(data.every((value) => Number.isFinite(Number(value))));
});

Deno.test("weights that a compact file computes are no maps: 3 x 3 kernels have the sides of one", () => {
  const { graph } = residualNet({ classes: 5, size: 64, random, width: 0.125 });
  const compact = fromModel(toModel(graph));
  compactWeights(compact, "float16");
  assert.ok(compact.nodes.some(({ opType }) => opType === "Cast"));
  const shapes = (source: Graph) => backboneFeatures(source).outputs.map(({ shape }) => String(shape));
  assert.deepEqual(shapes(compact), shapes(graph));
});

Deno.test("a network without maps at three strides is refused", () => {
  const graph = new Graph("flat");
  graph.output(relu(graph.input("images", "float32", ["N", 3, 8, 8])), "out");
  assert.throws(() => backboneFeatures(graph), /flat: expected a network with maps of features at 3 strides, found 1/);
});
