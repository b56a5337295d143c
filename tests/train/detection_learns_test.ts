/** A small network learns to find shapes in synthetic scenes: scenes of lib/data, the YOLO loss, decoding of lib/models. */

import assert from "node:assert/strict";
import { augment } from "../../lib/data/mod.ts";
import { appendDetections, type YoloSpec } from "../../lib/models/mod.ts";
import { batchNormalization, conv, Graph, leakyRelu, tensor, toModel, toNumbers } from "../../lib/onnx/mod.ts";
import { openSession, Random } from "../../lib/runtime/mod.ts";
import {
  adamW,
  compileStep,
  constant,
  kaimingNormal,
  normal,
  oneCycle,
  type TruthBox,
  yoloLoss,
  yoloTargets,
} from "../../lib/train/mod.ts";

const SIZE = 64, BATCH = 16, STEPS = 300;

const spec: YoloSpec = {
  classes: 3,
  size: SIZE,
  heads: [{ output: "raw", stride: 8, anchors: [[14, 14], [26, 26]] }],
};

/** A disc, a square or a triangle in a random colour on a transparent ground. */
function shape(classId: number, random: Random): augment.Sample {
  const inside = [
    (u: number, v: number) => Math.hypot(u, v) < 1,
    (u: number, v: number) => Math.abs(u) < 0.9 && Math.abs(v) < 0.9,
    (u: number, v: number) => v < 0.8 && v > 2 * Math.abs(u) - 1,
  ][classId]!;
  const colour = [0, 1, 2].map(() => random.int(256)), radius = 0.45 * SIZE;
  const pixels = new Uint8Array(4 * SIZE * SIZE);
  for (let i = 0; i < SIZE * SIZE; i++) {
    const u = (i % SIZE + 0.5 - SIZE / 2) / radius, v = (Math.floor(i / SIZE) + 0.5 - SIZE / 2) / radius;
    if (inside(u, v)) pixels.set([...colour, 255], 4 * i);
  }
  return new augment.Sample(augment.pictureFrom(pixels, SIZE, SIZE, 4), [{ classId, weight: 1 }]);
}

async function scenes(count: number, seed: string, number: number) {
  const random = Random.seeded("shapes", seed, number);
  const cutOuts = Array.from({ length: count }, (_, i) => shape(random.int(3), random.fork(i)));
  const transform = augment.scene({ most: 3, smallest: 0.3, largest: 0.5, overlap: 0.1, kinds: ["plain", "gradient"] });
  const made = await transform.apply(cutOuts, random);
  const pixels = new Float32Array(count * 3 * SIZE * SIZE);
  made.forEach((sample, n) => {
    const { data } = sample.render();
    for (let i = 0; i < SIZE * SIZE; i++) {
      for (let k = 0; k < 3; k++) pixels[(3 * n + k) * SIZE * SIZE + i] = data[4 * i + k]! / 255;
    }
  });
  return {
    images: tensor("float32", [count, 3, SIZE, SIZE], pixels),
    boxes: made.map((sample) => sample.frameBoxes()),
  };
}

function network(): Graph {
  const graph = new Graph("detector"), random = Random.seeded("detector");
  let x = graph.input("images", "float32", ["N", 3, SIZE, SIZE]), channels = 3;
  for (const [i, [width, strides]] of ([[16, 2], [24, 2], [48, 2], [48, 1], [48, 1]] as const).entries()) {
    const weight = graph.parameter(`conv${i}`, { shape: [width, channels, 3, 3], init: kaimingNormal(random) });
    const vector = (name: string, value: number) =>
      graph.parameter(`norm${i}/${name}`, { shape: [width], init: constant(value) });
    const running = (name: string, value: number) =>
      graph.constant(tensor("float32", [width], new Array(width).fill(value)), { name: `norm${i}/${name}` });
    const y = batchNormalization(
      conv(x, weight, { pads: 1, strides }),
      vector("scale", 1),
      vector("bias", 0),
      running("mean", 0),
      running("variance", 1),
    );
    [x, channels] = [leakyRelu(y, { alpha: 0.1 }), width];
  }
  const { anchors } = spec.heads[0]!, outputs = anchors.length * (5 + spec.classes);
  const head = graph.parameter("head", { shape: [outputs, channels, 1, 1], init: normal(random, { deviation: 0.01 }) });
  const bias = graph.parameter("head/bias", {
    shape: [outputs],
    // Objects are rare: an objectness of 0.02 at first (as in Lin et al. 2017, "Focal Loss", section 3.3).
    init: () => Float32Array.from({ length: outputs }, (_, i) => i % (5 + spec.classes) === 4 ? -4 : 0),
  });
  graph.output(conv(x, head, { bias }), "raw");
  return graph;
}

function iou(a: Omit<TruthBox, "classId">, b: Omit<TruthBox, "classId">): number {
  const w = Math.min(a.right, b.right) - Math.max(a.left, b.left),
    h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  const both = Math.max(0, w) * Math.max(0, h);
  return both / ((a.right - a.left) * (a.bottom - a.top) + (b.right - b.left) * (b.bottom - b.top) - both);
}

/** Detections with a score from 0.3 of one picture, the surest first; of those with an IoU above 0.5 the first. */
function detections(boxes: number[], scores: number[]): TruthBox[] {
  const found: TruthBox[] = [];
  const all = scores.map((score, i) => ({ score, i })).filter(({ score }) => score >= 0.3).sort((a, b) =>
    b.score - a.score
  );
  for (const { i } of all) {
    const at = 4 * Math.floor(i / spec.classes);
    const [left, top, right, bottom] = boxes.slice(at, at + 4).map((x) => x * SIZE) as [number, number, number, number];
    const next = { classId: i % spec.classes, left, top, right, bottom };
    if (!found.some((other) => iou(other, next) > 0.5)) found.push(next);
  }
  return found;
}

Deno.test("a network of six convolutions finds most shapes of unseen scenes, with their classes", async () => {
  await using step = await compileStep({
    model: network(),
    loss: yoloLoss(spec, { maxBoxes: 3, boxLoss: "ciou", anchorThreshold: 0.5, gains: { box: 2 } }),
    optimizer: adamW({ weightDecay: 1e-4 }),
    symbols: { N: BATCH },
    threads: 1,
    worker: false,
  });
  const rate = oneCycle({ peak: 6e-3, steps: STEPS });
  for (let i = 0; i < STEPS; i++) {
    const { images, boxes } = await scenes(BATCH, "train", i);
    const batch = { images, ...yoloTargets(boxes, spec, { maxBoxes: 3, anchorThreshold: 0.5 }) };
    const { problem } = await step.run(batch, { learningRate: rate(i) });
    assert.equal(problem, undefined);
  }
  const graph = await step.model();
  appendDetections(graph, spec);
  await using session = await openSession(toModel(graph), { threads: 1 });
  let objects = 0, right = 0, wrong = 0;
  const count = 64, test = await scenes(count, "test", 0);
  const found = await session.run({ images: test.images });
  const boxes = toNumbers(found["boxes"]!), scores = toNumbers(found["scores"]!);
  test.boxes.forEach((truth, n) => {
    const rows = boxes.length / 4 / count;
    const mine = detections(
      boxes.slice(4 * rows * n, 4 * rows * (n + 1)),
      scores.slice(3 * rows * n, 3 * rows * (n + 1)),
    );
    objects += truth.length;
    const hits = truth.filter((box) => mine.some((other) => other.classId === box.classId && iou(box, other) > 0.5));
    right += hits.length;
    wrong += mine.filter((other) =>
      !truth.some((box) => other.classId === box.classId && iou(box, other) > 0.5)
    ).length;
  });
  assert.ok(right / objects > 0.8, `${right} of ${objects} objects`);
  assert.ok(wrong < 0.3 * objects, `${wrong} detections that are none of ${objects} objects`);
});
