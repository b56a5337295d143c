import assert from "node:assert/strict";
import { mobileNet, residualNet, withMirror, yoloV3Tiny } from "../../models/mod.ts";
import {
  compactWeights,
  foldBatchNormalization,
  fromModel,
  type Graph,
  removeDead,
  softmax,
  toModel,
} from "../../onnx/mod.ts";
import { openSession, Random, type Tensor, tensor } from "../../runtime/mod.ts";
import { assertFitsK210, checkK210 } from "./check.ts";
import { k210Model, prepareForK210, splitOutputs, strideToPointwise } from "./prepare.ts";

const random = Random.seeded("k210 prepare", 0);

/** Statistics and scales that are not those of a fresh network, so that folding has something to do. */
function trained(graph: Graph): Graph {
  for (const value of graph.initialisers) {
    const data = value.tensor!.data as Float32Array;
    if (/\.(mean|bias|shift)$/.test(value.name)) data.forEach((_, i) => data[i] = random.normal() * 0.2);
    else if (/\.(variance|scale)$/.test(value.name)) data.forEach((_, i) => data[i] = 0.5 + random.uniform());
  }
  return graph;
}

function classifier(family: "mobilenet" | "residual", { classes = 1025, size = 64, width = 0.25 } = {}) {
  const { graph } = (family === "mobilenet" ? mobileNet : residualNet)({ classes, size, width, random });
  return trained(graph);
}

/** As it ships. */
function shipped(source: Graph): Graph {
  const logits = source.value("logits");
  source.removeOutput(logits);
  source.output(softmax(logits, { axis: 1 }), "probabilities");
  return folded(source);
}

function folded(graph: Graph): Graph {
  foldBatchNormalization(graph);
  removeDead(graph, { parameters: true });
  return graph;
}

async function run(model: Uint8Array, images: Tensor): Promise<Float32Array> {
  await using session = await openSession(model, { threads: 1 });
  return Object.values(await session.run({ images }))[0]!.data as Float32Array;
}

const picture = (size: number) =>
  tensor("float32", [1, 3, size, size], Float32Array.from({ length: 3 * size ** 2 }, () => random.uniform()));

const mirrored = ({ shape, data }: Tensor) => {
  const side = shape[3]!;
  return tensor(
    "float32",
    shape,
    Float32Array.from(data as Float32Array, (_, i) => (data as Float32Array)[i - i % side + (side - 1 - i % side)]!),
  );
};

const softmaxOf = (logits: Float32Array) => {
  const most = Math.max(...logits), e = Float64Array.from(logits, (x) => Math.exp(x - most));
  const sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
};

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!)));

Deno.test("1,025 outputs are 513 and 512; what fits stays one", () => {
  assert.deepEqual(splitOutputs(1025), [513, 512]);
  assert.deepEqual(splitOutputs(1024), [1024]);
  assert.deepEqual(splitOutputs(151), [151]);
  assert.deepEqual(splitOutputs(3000), [1000, 1000, 1000]);
});

for (const family of ["mobilenet", "residual"] as const) {
  Deno.test(`a ${family} with its head split gives the logits and the probabilities of the original`, async () => {
    const source = classifier(family), images = picture(64);
    const { graph, parts, classes, views } = await prepareForK210(source);
    assert.deepEqual([parts, classes, views], [[513, 512], 1025, 1]);
    const convolutions = graph.nodes.filter(({ opType }) => opType === "Conv");
    assert.ok(convolutions.every((conv) => (conv.input(1).shape[0] as number) <= 1024));
    assert.ok(!graph.nodes.some(({ opType }) => ["Gemm", "MatMul", "BatchNormalization", "Softmax"].includes(opType)));
    const expected = await run(toModel(source), images), found = await run(k210Model(graph), images);
    assert.equal(found.length, 1025);
    assert.ok(largestDifference(expected, found) < 1e-5 * Math.max(...expected.map(Math.abs)));
    const probabilities = await run(toModel(shipped(source)), images);
    assert.ok(largestDifference(probabilities, softmaxOf(found)) < 1e-5);
  });
}

Deno.test("views are left aside: their mean is that of the prepared graph on the picture and on its mirror image", async () => {
  const source = withMirror(shipped(classifier("residual", { classes: 12 })), { input: "images" });
  const images = picture(64), expected = await run(toModel(source), images);
  const { graph, views } = await prepareForK210(source);
  assert.equal(views, 2);
  assert.deepEqual(graph.inputs[0]!.shape, [1, 3, 64, 64]);
  const model = k210Model(graph);
  const [one, other] = [softmaxOf(await run(model, images)), softmaxOf(await run(model, mirrored(images)))];
  assert.ok(largestDifference(expected, one.map((p, i) => (p + other[i]!) / 2)) < 1e-5);
});

Deno.test("weights that are kept as float16 and int8 are turned back", async () => {
  const source = shipped(classifier("mobilenet", { classes: 1025 })), images = picture(64);
  compactWeights(source, "mixed");
  const expected = await run(toModel(source), images);
  const { graph } = await prepareForK210(source);
  assert.ok(!graph.nodes.some(({ opType }) => opType === "Cast" || opType === "DequantizeLinear"));
  assert.ok(largestDifference(expected, softmaxOf(await run(k210Model(graph), images))) < 1e-5);
});

Deno.test("a depthwise layer's stride goes to the pointwise one behind it, and nothing else changes", async () => {
  const { graph } = mobileNet({ classes: 10, size: 80, width: 0.25, random, batch: 1 });
  const source = folded(trained(graph)), images = picture(80), expected = await run(toModel(source), images);
  const before = checkK210(source);
  assert.equal(before.layers.filter(({ operator }) => operator === "Slice").length, 3);
  assert.equal(strideToPointwise(source), 3);
  assert.ok(largestDifference(expected, await run(toModel(source), images)) < 1e-5);
  const { layers } = checkK210(source);
  assert.deepEqual(layers.filter(({ operator }) => operator === "Slice"), []);
  assert.equal(layers.find(({ name }) => name === "layer1.pointwise")!.operator, "1x1/2 + Relu");
  assert.equal(strideToPointwise(source), 0);
});

Deno.test("the file has opset 12, IR 7, one picture and the shapes of all values", async () => {
  const { graph } = await prepareForK210(classifier("mobilenet"));
  const bytes = k210Model(graph);
  // The first field of a ModelProto is its IR version: tag 8, then the number.
  assert.deepEqual([...bytes.subarray(0, 2)], [8, 7]);
  const text = new TextDecoder("latin1").decode(bytes);
  for (const { outputs } of graph.nodes) assert.ok(text.includes(outputs[0]!.name));
  // opset_import: field 8 of ModelProto, an OperatorSetIdProto whose field 2 is the version.
  assert.ok(text.endsWith("\x42\x02\x10\x0c") || text.endsWith("\x42\x04\x0a\x00\x10\x0c"), text.slice(-8));
  assert.deepEqual(fromModel(bytes).inputs[0]!.shape, [1, 3, 64, 64]);
});

Deno.test("the student of configs/classifier/k210.yaml fits with room; its model's size is the compiler's within 1 %", async () => {
  const { graph } = mobileNet({ classes: 1025, size: 112, width: 1.25, random: "zeros" });
  const report = checkK210((await prepareForK210(graph)).graph);
  assertFitsK210("student", report);
  assert.deepEqual(report.layers.filter(({ unit }) => unit === "CPU").map(({ operator }) => operator), [
    ...["GlobalAveragePool", "GlobalAveragePool", "Concat", "Flatten"],
  ]);
  // nncase 1.9.0.20230322 writes 2,384,896 bytes and gives the largest layer 80 x 56 x 64 bytes of map memory twice.
  assert.ok(Math.abs(report.modelBytes / 2_384_896 - 1) < 0.01, `${report.modelBytes}`);
  assert.equal(report.mapBytes, 2 * 80 * 56 * 64);
  // A residual network's sums are convolutions to the compiler, with weights of their own: 1,207,912 bytes.
  const residual = residualNet({ classes: 151, size: 64, width: 0.5, random: "zeros" }).graph;
  const { modelBytes, layers } = checkK210((await prepareForK210(residual)).graph);
  const sums = layers.map(({ operator }) => operator).filter((operator) => operator.startsWith("Add"));
  const [plain, pooled] = ["Add as 1x1", "Add as 1x1 + MaxPool"];
  assert.deepEqual(sums, [plain, pooled, plain, pooled, plain]);
  assert.ok(Math.abs(modelBytes / 1_207_912 - 1) < 0.01, `${modelBytes}`);
  // With twice the width its size stands against it.
  const wide = mobileNet({ classes: 1025, size: 112, width: 2, random: "zeros" }).graph;
  assert.match(checkK210((await prepareForK210(wide)).graph).problems[0]!.what, /at most 3\.50 MB/);
});

Deno.test("what is no classifier is refused with what is missing", async () => {
  const detector = yoloV3Tiny({ classes: 3, size: 96, width: 0.1, random: "zeros" }).graph;
  await assert.rejects(
    () => prepareForK210(detector),
    /expected a classifier \(convolutions, a mean over all places, one linear layer\), found no linear layer/,
  );
});
