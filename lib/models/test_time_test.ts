/** Test-time augmentation against runs on views made by hand. */

import assert from "node:assert/strict";
import {
  argMax,
  assertValid,
  flatten,
  fromModel,
  gemm,
  globalAveragePool,
  Graph,
  reduceMean,
  reshape,
  slice,
  softmax,
  toModel,
  toNumbers,
} from "../onnx/mod.ts";
import { openSession, Random, tensor } from "../runtime/mod.ts";
import {
  appendDetections,
  appendImageProbabilities,
  convolution,
  darknet53,
  ModelError,
  withCrops,
  withMirror,
  withViews,
  yoloV3Tiny,
} from "./mod.ts";

const random = Random.seeded("views");
const count = 2, side = 8;
const pixels = Array.from({ length: count * 3 * side * side }, () => random.uniform());
/** Every row of `width` elements from its end to its beginning. */
const mirrored = (elements: readonly number[], width: number) =>
  elements.map((_, i) => elements[i - i % width + width - 1 - i % width]!);
const mean = (lists: readonly (readonly number[])[]) =>
  lists[0]!.map((_, i) => lists.reduce((sum, list) => sum + list[i]!, 0) / lists.length);

async function run(graph: Graph, elements: readonly number[], size = side) {
  await using session = await openSession(toModel(graph), { threads: 1 });
  const images = tensor("float32", [elements.length / (3 * size * size), 3, size, size], elements);
  return Object.fromEntries(
    Object.entries(await session.run({ images })).map(([name, value]) => [name, toNumbers(value)]),
  );
}

/** A small network that sees where things are: a classifier of 4 classes. */
function classifier(batch: number | string = "N"): Graph {
  const graph = new Graph("classifier"), weights = Random.seeded("classifier");
  const images = graph.input("images", "float32", [batch, 3, side, side]);
  const features = convolution(images, { name: "conv", filters: 5, stride: 2, random: weights });
  const w = graph.parameter("head", {
    shape: [5 * 16, 4],
    init: (shape) => Float32Array.from({ length: shape[0]! * 4 }, () => weights.normal()),
  });
  graph.output(softmax(gemm(flatten(features), w), { axis: 1 }), "probabilities");
  graph.metadata.set("classes", "4");
  return graph;
}

function close(found: readonly number[], expected: readonly number[], tolerance = 1e-6): void {
  assert.equal(found.length, expected.length);
  found.forEach((a, i) =>
    assert.ok(Math.abs(a - expected[i]!) <= tolerance, `[${i}]: found ${a}, expected ${expected[i]}`)
  );
}

Deno.test("withMirror gives the mean of the runs on the pictures and on their mirror images, for any number of pictures", async () => {
  const graph = classifier(), plain = await run(graph, pixels), other = await run(graph, mirrored(pixels, side));
  assert.ok(
    plain.probabilities!.some((p, i) => Math.abs(p - other.probabilities![i]!) > 0.01),
    "the network sees a difference",
  );
  const both = withMirror(graph);
  close((await run(both, pixels)).probabilities!, mean([plain.probabilities!, other.probabilities!]));
  const single = pixels.slice(0, 3 * side * side);
  close(
    (await run(both, single)).probabilities!,
    mean([plain.probabilities!.slice(0, 4), other.probabilities!.slice(0, 4)]),
  );
});

Deno.test("the file is a valid model with the same inputs, outputs and weights, once, and the source stays as it is", () => {
  const graph = classifier(), before = toModel(graph);
  const both = withMirror(graph);
  assertValid(both);
  const read = fromModel(toModel(both));
  const ports = ({ inputs, outputs }: Graph) =>
    [...inputs, ...outputs].map(({ name, dtype, shape }) => [name, dtype, ...shape]);
  assert.deepEqual(ports(read), [["images", "float32", "N", 3, side, side], ["probabilities", "float32", "N", 4]]);
  assert.deepEqual(both.parameters.map(({ name }) => name), graph.parameters.map(({ name }) => name));
  assert.equal(both.metadata.get("classes"), "4");
  assert.deepEqual(toModel(graph), before);
});

Deno.test("a picture that is its own mirror image gets what it got, and mirroring twice changes nothing", async () => {
  const graph = classifier(), symmetric = mean([pixels, mirrored(pixels, side)]);
  close((await run(withMirror(graph), symmetric)).probabilities!, (await run(graph, symmetric)).probabilities!);
  close(
    (await run(withMirror(withMirror(graph)), pixels)).probabilities!,
    (await run(withMirror(graph), pixels)).probabilities!,
  );
});

Deno.test("a fixed number of pictures stays fixed", async () => {
  const graph = classifier(2), both = withMirror(graph);
  assert.deepEqual(both.outputs[0]!.shape, [2, 4]);
  close((await run(both, pixels)).probabilities!, (await run(withMirror(classifier()), pixels)).probabilities!);
});

Deno.test("of a detector the probabilities are averaged, and the boxes stay those of the picture itself", async () => {
  const { graph, spec } = yoloV3Tiny({ classes: 3, size: 32, width: 0.125, random: Random.seeded("tiny") });
  for (const output of [...graph.outputs]) graph.removeOutput(output);
  appendImageProbabilities(graph, spec, { how: "mean" });
  appendDetections(graph, spec);
  const drawn = Array.from({ length: 2 * 3 * 32 * 32 }, () => random.uniform());
  const plain = await run(graph, drawn, 32), other = await run(graph, mirrored(drawn, 32), 32);
  const both = withMirror(graph, { average: ["probabilities"] });
  assertValid(both);
  const found = await run(both, drawn, 32);
  close(found.probabilities!, mean([plain.probabilities!, other.probabilities!]));
  for (const name of ["boxes", "objectness", "scores"]) close(found[name]!, plain[name]!, 1e-5);
});

Deno.test("withCrops gives the mean over the picture, its middle and its corners, enlarged", async () => {
  // Pictures of 8 px, crops of 4 px: enlarged by 2, bilinearly, half-pixel centres.
  const graph = classifier();
  const enlarge = (list: readonly number[]): number[] => {
    const at = (i: number) => Math.min(3, Math.max(0, (i + 0.5) / 2 - 0.5));
    return Array.from({ length: 64 }, (_, k) => {
      const y = at(Math.floor(k / 8)), x = at(k % 8), top = Math.floor(y), left = Math.floor(x);
      const pixel = (row: number, column: number) => list[4 * Math.min(3, row) + Math.min(3, column)]!;
      const line = (row: number) => pixel(row, left) * (1 - x + left) + pixel(row, left + 1) * (x - left);
      return line(top) * (1 - y + top) + line(top + 1) * (y - top);
    });
  };
  const crop = (top: number, left: number) =>
    Array.from(
      { length: count * 3 },
      (_, map) =>
        enlarge(Array.from({ length: 16 }, (_, k) => pixels[64 * map + 8 * (top + Math.floor(k / 4)) + left + k % 4]!)),
    ).flat();
  const views = [pixels, crop(2, 2), crop(0, 0), crop(0, 4), crop(4, 0), crop(4, 4)];
  const expected = mean(await Promise.all(views.map(async (view) => (await run(graph, view)).probabilities!)));
  const cropped = withCrops(graph, { share: 0.5 });
  assertValid(cropped);
  close((await run(cropped, pixels)).probabilities!, expected, 1e-5);
});

Deno.test("crops and mirror go together: twelve views", async () => {
  const graph = classifier(), crops = withCrops(graph);
  const expected = mean([
    (await run(crops, pixels)).probabilities!,
    (await run(crops, mirrored(pixels, side))).probabilities!,
  ]);
  close((await run(withMirror(crops), pixels)).probabilities!, expected);
});

Deno.test("an output of one number a picture is averaged too, and one of whole numbers is the picture's own", async () => {
  const graph = new Graph("brightness"), images = graph.input("images", "float32", ["N", 3, side, side]);
  const left = reduceMean(slice(images, [0], [2], { axes: [3] }), { axes: [1, 2, 3] });
  graph.output(left, "left");
  graph.output(argMax(flatten(images), { axis: 1 }), "brightest");
  const plain = await run(graph, pixels), other = await run(graph, mirrored(pixels, side));
  const both = withMirror(graph, { average: ["left"] }), found = await run(both, pixels);
  assert.deepEqual(both.outputs.map(({ shape }) => shape), [["N"], ["N"]]);
  close(found.left!, mean([plain.left!, other.left!]));
  assert.deepEqual(found.brightest, plain.brightest);
});

Deno.test("a whole classifier: Darknet-53's logits are averaged too", async () => {
  const graph = darknet53({ classes: 3, size: 32, width: 0.125, depth: 0.1, random: Random.seeded("53") });
  const drawn = Array.from({ length: 3 * 32 * 32 }, () => random.uniform());
  const plain = await run(graph, drawn, 32), other = await run(graph, mirrored(drawn, 32), 32);
  close((await run(withMirror(graph), drawn, 32)).logits!, mean([plain.logits!, other.logits!]));
});

Deno.test("a graph that mixes pictures, unknown names, sizes and shares are refused in one line", () => {
  const refused = (work: () => unknown, message: RegExp) =>
    assert.throws(work, (error) => error instanceof ModelError && message.test(error.message));
  const graph = classifier();
  refused(
    () => withMirror(graph, { input: "pictures" }),
    /expected an input of graph "classifier" \(images\), found "pictures"/,
  );
  refused(() => withMirror(graph, { average: ["logits"] }), /expected an output .* \(probabilities\), found "logits"/);
  refused(() => withViews(graph, () => []), /expected views of the shape of "images" .*, found none/);
  refused(
    () => withViews(graph, (images) => [reduceMean(images, { axes: 1, keepdims: true })]),
    /found .*\[N, 1, 8, 8\]/,
  );
  refused(() => withCrops(graph, { share: 1 }), /expected a share between 0 and 1, found 1/);
  graph.output(globalAveragePool(graph.inputs[0]!), "average");
  refused(() => withMirror(graph), /\(probabilities, average\), found no name/);
  const open = new Graph("open"), images = open.input("images", "float32", ["N", 3, "H", "W"]);
  open.output(globalAveragePool(images), "y");
  refused(() => withCrops(open), /crops: expected pictures of a known size/);
  const mixed = new Graph("mixed"), x = mixed.input("images", "float32", ["N", 3, 2, 2]);
  mixed.output(reshape(x, [1, -1]), "y");
  refused(() => withMirror(mixed), /expected the pictures in the first dimension of output "y" \[1, .*\]/);
});
