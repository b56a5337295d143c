import assert from "node:assert/strict";
import {
  assertValid,
  concat,
  conv,
  Graph,
  leakyRelu,
  maxPool,
  relu,
  softmax,
  type Tensor,
  tensor,
  toModel,
  type Value,
} from "../../onnx/mod.ts";
import { InputError, openSession, Random } from "../../runtime/mod.ts";
import {
  calibrate,
  chooseFloatLayers,
  equalizeLayers,
  fakeQuantize,
  fineTuneQuantized,
  int8Share,
  layersOf,
  prepareForQuantization,
  quantizeStatic,
  sensitivity,
} from "../mod.ts";
import { smallNetwork, smallPictures } from "../../../tests/deploy/quantization_case.ts";
import { correctedBias } from "./bias_correction.ts";
import { entropyRange, Histogram, percentileRange } from "./histogram.ts";
import { activationQuantizer, quantizeWeights, roundHalfEven, weightScales } from "./numbers.ts";

const graph = smallNetwork("test"), pictures = smallPictures("test");
const calibration = await calibrate(graph, pictures, { method: "minMax", threads: 1 });

async function outputOf(source: Graph, feeds: Readonly<Record<string, Tensor>>, name = source.outputs[0]!.name) {
  await using session = await openSession(toModel(source), { threads: 1 });
  return (await session.run(feeds))[name]!.data as Float32Array;
}

function largest(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
}

Deno.test("scales and zero points by hand", () => {
  assert.deepEqual([0.5, 1.5, -0.5, -1.5, 2.4, -2.6].map(roundHalfEven), [0, 2, -0, -2, 2, -3]);
  // −1 … 4 in 255 steps of 5/255: 0 lies 51 steps above −1.
  const { scale, zeroPoint } = activationQuantizer({ low: -1, high: 4 }, "uint8");
  assert.deepEqual([scale, zeroPoint], [Math.fround(5 / 255), 51]);
  assert.equal(activationQuantizer({ low: 2, high: 4 }, "uint8").zeroPoint, 0, "widened to 0");
  assert.equal(activationQuantizer({ low: 0, high: 4 }, "int8").zeroPoint, -128);
  const about = activationQuantizer({ low: -1, high: 4 }, "int8", { symmetric: true });
  assert.deepEqual([about.scale, about.zeroPoint], [Math.fround(4 / 127), 0]);
  assert.equal(activationQuantizer({ low: 0, high: 0 }, "uint8").scale, 1, "always 0");
  assert.throws(() => activationQuantizer({ low: NaN, high: 1 }, "uint8"), InputError);
  const layout = { channels: 2, inner: 2 }, weights = Float32Array.of(1, -2, 0.5, 0);
  const scales = weightScales(weights, layout);
  assert.deepEqual([...scales], [Math.fround(2 / 127), Math.fround(0.5 / 127)]);
  assert.deepEqual([...quantizeWeights(weights, scales, layout).values], [64, -127, 127, 0]); // 63.5 goes to the even 64
});

Deno.test("a percentile leaves outliers out, and entropy keeps a flat distribution whole", () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => i === 999 ? 100 : i / 1000);
  const histogram = new Histogram({ low: 0, high: 100 }, 1000);
  histogram.add(values);
  assert.equal(histogram.counts.reduce((a, b) => a + b), 1000);
  const extremes = { low: 0, high: 100 };
  const { high } = percentileRange(histogram, extremes, { percentile: 99.8, symmetric: true });
  assert.ok(high <= 1 && high >= 0.8, String(high));
  assert.deepEqual(
    percentileRange(histogram, extremes, { percentile: 99.95, symmetric: true }).high,
    Math.fround(99.9),
  );
  const flat = new Histogram({ low: -1, high: 1 }, 512);
  flat.add(Float32Array.from({ length: 51200 }, (_, i) => (i + 0.5) / 25600 - 1));
  assert.deepEqual(entropyRange(flat, { low: -1, high: 1 }, 128), { low: -1, high: 1 });
});

Deno.test("all that ONNX Runtime can run in int8 does, with the results of float32 to a hundredth", async () => {
  const quantized = await quantizeStatic(graph, calibration);
  assertValid(quantized);
  assertValid(quantized, { opset: 13 });
  const { share, macs, floatLayers, operators } = await int8Share(toModel(quantized));
  assert.deepEqual([share, floatLayers.length], [1, 0], JSON.stringify(operators));
  // By hand: 12·12·8·27 + 6·6·(8·9 + 8·8 + 6·72) + 5·6.
  assert.equal(macs, 144 * 8 * 27 + 36 * (8 * 9 + 8 * 8 + 6 * 72) + 30);
  assert.equal((await int8Share(toModel(graph))).share, 0);
  const expected = await outputOf(graph, pictures[0]!), found = await outputOf(quantized, pictures[0]!);
  const size = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  assert.ok(largest(expected, found) < 0.05 * size, `${largest(expected, found)} of ${size}`);
  assert.ok(largest(expected, found) > 0);
});

Deno.test("layers are kept in float by name, and a name that is none is refused", async () => {
  const names = layersOf(await prepareForQuantization(graph)).map(({ name }) => name);
  const float = await quantizeStatic(graph, calibration, { keepFloat: names });
  assert.ok(float.nodes.every(({ opType }) => opType !== "QuantizeLinear"));
  assert.ok(largest(await outputOf(graph, pictures[0]!), await outputOf(float, pictures[0]!)) < 1e-5);
  const { floatLayers } = await int8Share(
    toModel(await quantizeStatic(graph, calibration, { keepFloat: [names[2]!] })),
  );
  assert.equal(floatLayers.length, 1);
  await assert.rejects(
    quantizeStatic(graph, calibration, { keepFloat: ["stern"] }),
    /expected a layer .*, found "stern"/,
  );
});

Deno.test("int8 about 0 has zero points of 0 only and keeps each Relu", async () => {
  const quantized = await quantizeStatic(graph, calibration, { activation: "int8" });
  assertValid(quantized);
  for (const { opType, inputs: [, , zero] } of quantized.nodes) {
    if (opType !== "QuantizeLinear") continue;
    assert.equal(zero!.tensor!.dtype, "int8");
    assert.equal(Number(zero!.tensor!.data[0]), 0);
  }
  assert.equal(quantized.nodes.filter(({ opType }) => opType === "Relu").length, 2);
  const expected = await outputOf(graph, pictures[0]!), found = await outputOf(quantized, pictures[0]!);
  assert.ok(largest(expected, found) < 0.1 * expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0));
  await assert.rejects(quantizeStatic(graph, calibration, { symmetric: true }), /int8/);
});

Deno.test("values that are joined share a scale, and a Relu among them keeps its work", async () => {
  const joined = new Graph("joined"), random = Random.seeded("joined");
  const images = joined.input("images", "float32", ["N", 3, 12, 12]);
  const layer = (x: Value, name: string, channels: number) =>
    conv(
      x,
      joined.parameter(`${name}.w`, {
        shape: [4, channels, 1, 1],
        init: () => Float32Array.from({ length: 4 * channels }, () => random.normal()),
      }),
      { name },
    );
  const both = concat(
    [relu(layer(images, "a", 3), { name: "a.relu" }), leakyRelu(layer(images, "b", 3), { name: "b.leaky" })],
    1,
    { name: "both" },
  );
  joined.output(layer(maxPool(both, 2, { strides: 2, name: "pool" }), "c", 8), "out");
  const quantized = await quantizeStatic(joined, await calibrate(joined, pictures, { method: "minMax", threads: 1 }));
  assertValid(quantized);
  const scaleOf = (name: string) => quantized.value(`${name}.dequantized`).producer!.input(1).name;
  assert.equal(new Set(["a.relu", "b.leaky", "both", "pool"].map(scaleOf)).size, 1);
  const expected = await outputOf(joined, pictures[0]!), found = await outputOf(quantized, pictures[0]!);
  assert.ok(largest(expected, found) < 0.05 * expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0));
});

Deno.test("equalised layers compute the same and have like ranges on both sides", async () => {
  const skewed = await prepareForQuantization(chain());
  const { graph: equalized, pairs } = await equalizeLayers(skewed);
  assert.equal(pairs, 1);
  assert.ok(largest(await outputOf(skewed, pictures[0]!), await outputOf(equalized, pictures[0]!)) < 1e-4);
  const [first, second] = ["first.w", "second.w"].map((name) => equalized.value(name).tensor!.data as Float32Array);
  for (let c = 0; c < 4; c++) {
    const before = Math.max(...first!.slice(3 * c, 3 * c + 3).map(Math.abs));
    const after = Math.max(Math.abs(second![c]!), Math.abs(second![c + 4]!));
    assert.ok(Math.abs(before / after - 1) < 1e-3, `channel ${c}: ${before} and ${after}`); // both √(r₁ r₂)
  }
});

Deno.test("bias correction by hand, and the mean of a layer's results beside float32's", async () => {
  const one = new Graph("one"), x = one.input("x", "float32", ["N", 4, 1, 1]);
  const weight = one.parameter("w", { shape: [2, 2, 1, 1], init: () => [1, 0.3, -0.5, 0.6] });
  const node = conv(x, weight, { group: 2 }).producer!;
  // In steps of 1/4: 1, 0.25 (0.05 less), −0.5, 0.5 (0.1 less). Means 2, 10 in the first group, 3, 5 in the second.
  const rounded = { values: Int8Array.of(4, 1, -2, 2), scales: Float32Array.of(0.25) };
  const bias = correctedBias({ node, weight, axis: 0 }, rounded, Float32Array.of(1, 2), Float64Array.of(2, 10, 3, 5));
  assert.ok(Math.hypot(bias[0]! - 1.5, bias[1]! - 2.5) < 1e-6, bias.join());

  // Bright pictures: where the mean of what a layer reads is near 0, so is what rounding takes from it.
  const bright = pictures.map(({ images }) => ({
    images: tensor("float32", images.shape, (images.data as Float32Array).map((each) => 1 / (1 + Math.exp(-each)))),
  }));
  const layer = new Graph("layer"), random = Random.seeded("layer");
  const images = layer.input("images", "float32", ["N", 3, 12, 12]);
  const kernels = layer.parameter("w", {
    shape: [4, 3, 3, 3],
    init: () => Float32Array.from({ length: 108 }, () => random.normal()),
  });
  layer.output(conv(images, kernels), "out");
  const ranges = await calibrate(layer, bright, { method: "minMax", threads: 1 });
  const meansOf = async (source: Graph) => {
    const sums = [0, 0, 0, 0];
    for (const batch of bright) {
      (await outputOf(source, batch)).forEach((value, i) => sums[Math.floor(i / 100) % 4]! += value / (32 * 100));
    }
    return sums;
  };
  const quantized = (biasCorrection: boolean) =>
    quantizeStatic(layer, ranges, { biasCorrection, perChannel: false, reduceRange: true });
  const expected = await meansOf(layer);
  const [plain, corrected] = await Promise.all([false, true].map(async (biasCorrection) => {
    const found = await meansOf(await quantized(biasCorrection));
    return Math.hypot(...found.map((mean, c) => mean - expected[c]!));
  }));
  assert.ok(corrected! < 0.25 * plain!, `${corrected} beside ${plain}`);
});

Deno.test("missing, few, black and broken pictures are told of in a line", async () => {
  const fails = (batches: { images: Tensor }[], message: RegExp) =>
    assert.rejects(calibrate(graph, batches, { threads: 1 }), (error: Error) => {
      assert.match(error.message, message);
      return !error.message.includes("\n");
    });
  const filled = (count: number, value: number) => [{
    images: tensor("float32", [count, 3, 12, 12], new Float32Array(count * 432).fill(value)),
  }];
  await fails([], /expected batches of pictures, found none/);
  await fails(
    [{ images: tensor("float32", [2, 3, 12, 12], new Float32Array(864).map((_, i) => i)) }],
    /at least 16 pictures, found 2/,
  );
  await fails(filled(16, 0), /16 that are all black/);
  await fails(filled(16, 0.5), /all the same everywhere \(0.5\)/);
  await fails(filled(16, NaN), /expected finite numbers in "images"/);
});

Deno.test("sensitivities go on where they were stopped, and refuse another model's", async () => {
  const folder = await Deno.makeTempDir(), file = `${folder}/sensitivity.jsonl`;
  try {
    let calls = 0;
    const expected = await outputOf(graph, pictures[0]!);
    const judge = async (model: Uint8Array) => {
      if (++calls === 5) throw new Error("stopped");
      await using session = await openSession(model, { threads: 1 });
      return -largest(expected, (await session.run(pictures[0]!)).logits!.data as Float32Array);
    };
    const quantize = { perChannel: false };
    await assert.rejects(sensitivity(graph, calibration, judge, { file, quantize }), /stopped/);
    const found = await sensitivity(graph, calibration, judge, { file, quantize });
    assert.equal(calls, 8); // 4, the one that failed, and the 3 that were left of 2 + 5
    assert.deepEqual(
      found,
      await sensitivity(graph, calibration, () => Promise.reject(new Error("judged again")), { file, quantize }),
    );
    assert.equal(found.layers.length, 5);
    assert.ok(found.layers.every(({ loss }, i) => i === 0 || loss <= found.layers[i - 1]!.loss));
    await assert.rejects(sensitivity(smallNetwork("other"), calibration, judge, { file, quantize }), /found others'/);
    const tolerance = 0.5 * (found.float - found.int8);
    const chosen = await chooseFloatLayers(graph, calibration, judge, found, { tolerance, quantize });
    assert.ok(chosen.isWithin && chosen.keepFloat.length >= 1 && found.float - chosen.score <= tolerance);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("training with rounding computes what the quantized file does, and lowers its loss", async () => {
  const options = { perChannel: false };
  const fake = fakeQuantize(await prepareForQuantization(graph), calibration, options);
  const quantized = await quantizeStatic(graph, calibration, options);
  const expected = await outputOf(quantized, pictures[0]!), found = await outputOf(fake, pictures[0]!);
  assert.ok(largest(expected, found) < 0.02 * expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0));
  const named = smallNetwork("test"), logits = named.value("logits");
  named.removeOutput(logits);
  named.output(softmax(logits, { axis: 1 }), "probabilities");
  const batches = pictures.map(({ images }, i) => ({
    images,
    labels: tensor("int64", [8], Array.from({ length: 8 }, (_, k) => (i + k) % 5)),
  }));
  const { losses, graph: trained } = await fineTuneQuantized(named, calibration, batches, {
    steps: 40,
    learningRate: 0.02,
    threads: 1,
  });
  const mean = (list: readonly number[]) => list.reduce((a, b) => a + b) / list.length;
  assert.ok(mean(losses.slice(-8)) < mean(losses.slice(0, 4)), losses.join(" "));
  assertValid(await quantizeStatic(trained, calibration));
});

/** Two layers of 1x1 with a Relu between them, whose channels differ a hundredfold. */
function chain(): Graph {
  const made = new Graph("chain"), random = Random.seeded("chain");
  const images = made.input("images", "float32", ["N", 3, 12, 12]);
  const weight = (name: string, shape: readonly number[], factor: (i: number) => number) =>
    made.parameter(name, {
      shape,
      init: ([a = 1, b = 1]) => Float32Array.from({ length: a * b }, (_, i) => random.normal() * factor(i)),
    });
  const first = conv(images, weight("first.w", [4, 3, 1, 1], (i) => 10 ** (Math.floor(i / 3) - 2)), {
    bias: made.parameter("first.b", { shape: [4], init: () => Float32Array.of(0.1, -0.2, 0.3, 1) }),
    name: "first",
  });
  made.output(
    conv(relu(first), weight("second.w", [2, 4, 1, 1], () => 1), {
      bias: made.parameter("second.b", { shape: [2], init: () => Float32Array.of(0.5, -0.5) }),
      name: "second",
    }),
    "out",
  );
  return made;
}
