import assert from "node:assert/strict";
import { mobileNet, type YoloSpec, yoloV3Tiny } from "../../models/mod.ts";
import { conv, cutGraph, toModel } from "../../onnx/mod.ts";
import { openSession, Random, tensor } from "../../runtime/mod.ts";
import { checkK210 } from "./check.ts";
import { k210Model } from "./prepare.ts";
import { anchorsText, checkRegionHead, mostRegionClasses, prepareRegionForK210 } from "./region.ts";

const random = Random.seeded("k210 region", 0);

/** A detector with one head at stride 16: a student's body and a convolution 1x1. */
function oneHead(classes: number, anchors: YoloSpec["heads"][number]["anchors"], size = 96) {
  const { graph: whole } = mobileNet({ classes: 2, size, width: 0.25, random });
  const map = whole.nodes.find(({ opType }) => opType === "GlobalAveragePool")!.input(0).name;
  const graph = cutGraph(whole, { outputs: [map] }), end = graph.value(map);
  graph.removeOutput(end);
  const channels = anchors.length * (5 + classes), features = end.shape[1] as number;
  const weight = graph.parameter("head.weight", {
    shape: [channels, features, 1, 1],
    init: () => Float32Array.from({ length: channels * features }, () => random.normal() * 0.1),
  });
  graph.output(conv(end, weight), "head");
  const spec: YoloSpec = { classes, size, heads: [{ output: "head", stride: 16, anchors }] };
  return { graph, spec };
}

const five = [[16, 16], [24, 32], [48, 40], [64, 72], [90, 90]] as const;

Deno.test("five anchors and Kanto's 151 species are 780 channels; at most 199 classes with five, 336 with three", () => {
  const { spec } = oneHead(151, five);
  const head = checkRegionHead(spec, { classProbabilities: "softmax" });
  assert.deepEqual([head.channels, head.side, head.problems], [780, 6, []]);
  assert.equal(head.bytes, 4 * 180 * (156 + 152 + 4));
  assert.equal(anchorsText(head), "1.0000, 1.0000, 1.5000, 2.0000, 3.0000, 2.5000, 4.0000, 4.5000, 5.6250, 5.6250\n");
  assert.deepEqual([5, 3, 1].map(mostRegionClasses), [199, 336, 1019]);
});

Deno.test("two scales, too many classes and sigmoids are refused, each with what to change", () => {
  const { spec } = yoloV3Tiny({ classes: 1025, size: 96, width: 0.05, random: "zeros" });
  const { problems } = checkRegionHead(spec, { classProbabilities: "sigmoid" });
  const text = problems.map(({ layer, what, change }) => `${layer}: ${what} (${change})`).join("\n");
  assert.match(text, /expected one head for the region layer, found 2/);
  assert.match(text, /expected at most 1024 channels, found 3090 \(3 anchors of 5 \+ 1025\) \(at most 336 classes/);
  assert.match(text, /expected classes by a softmax, found by a sigmoid/);
  assert.deepEqual(
    checkRegionHead(oneHead(200, five).spec, { classProbabilities: "softmax" }).problems.map(({ what }) => what),
    ["expected at most 1024 channels, found 1025 (5 anchors of 5 + 200)"],
  );
});

Deno.test("a detector with one head is cut to what the region layer reads, and gives the same numbers", async () => {
  const { graph: source, spec } = oneHead(151, five);
  const { graph, head } = await prepareRegionForK210(source, spec, { classProbabilities: "softmax" });
  const report = checkK210(graph);
  assert.deepEqual([report.fits, head.channels, graph.outputs[0]!.shape], [true, 780, [1, 780, 6, 6]]);
  assert.ok(report.layers.every(({ unit }) => unit === "KPU"));
  const images = tensor("float32", [1, 3, 96, 96], Float32Array.from({ length: 3 * 96 ** 2 }, () => random.uniform()));
  const run = async (model: Uint8Array) => {
    await using session = await openSession(model, { threads: 1 });
    return (await session.run({ images })).head!.data as Float32Array;
  };
  const expected = await run(toModel(source)), found = await run(k210Model(graph));
  assert.ok(expected.every((value, i) => Math.abs(value - found[i]!) < 1e-5));
  await assert.rejects(
    () => prepareRegionForK210(source, spec, { classProbabilities: "sigmoid" }),
    /does not fit the K210's region layer: head: expected classes by a softmax/,
  );
});
