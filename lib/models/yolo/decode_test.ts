/** Decoding worked by hand, and the ways to one distribution against plain arithmetic in double precision. */

import assert from "node:assert/strict";
import { Graph, tensor, toModel, toNumbers } from "../../onnx/mod.ts";
import { openSession, Random } from "../../runtime/mod.ts";
import {
  appendDetections,
  appendImageProbabilities,
  type ClassProbabilities,
  IMAGE_PROBABILITIES,
  ModelError,
  type YoloSpec,
} from "../mod.ts";

/** A head of 1 x 1 cells with two anchors and one of 2 x 2 with one, two classes. */
const spec: YoloSpec = {
  classes: 2,
  size: 64,
  heads: [
    { output: "coarse", stride: 64, anchors: [[32, 16], [64, 64]] },
    { output: "fine", stride: 32, anchors: [[8, 16]] },
  ],
};

/** Raw values of the heads' channels: coarse [2 · 7], fine [7][2 · 2]. */
interface Raw {
  readonly coarse: readonly number[];
  readonly fine: readonly number[];
}

const logit = (p: number) => Math.log(p / (1 - p));
const sigma = (x: number) => 1 / (1 + Math.exp(-x));

/** Runs a graph of which the heads are inputs; `pictures` of raw values, N open. */
async function run(append: (graph: Graph) => unknown, pictures: readonly Raw[]): Promise<Record<string, number[]>> {
  const graph = new Graph("heads");
  graph.input("coarse", "float32", ["N", 14, 1, 1]);
  graph.input("fine", "float32", ["N", 7, 2, 2]);
  append(graph);
  await using session = await openSession(toModel(graph), { threads: 1 });
  const found = await session.run({
    coarse: tensor("float32", [pictures.length, 14, 1, 1], pictures.flatMap(({ coarse }) => coarse)),
    fine: tensor("float32", [pictures.length, 7, 2, 2], pictures.flatMap(({ fine }) => fine)),
  });
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, toNumbers(value)]));
}

function close(found: readonly number[], expected: readonly number[], tolerance = 1e-6): void {
  assert.equal(found.length, expected.length);
  expected.forEach((number, i) =>
    assert.ok(Math.abs(found[i]! - number) <= tolerance, `[${i}]: expected ${number}, found ${found[i]}`)
  );
}

/** Nothing predicted: the middle of each cell, the anchor's size, 0.5 everywhere. */
const zeros: Raw = { coarse: new Array(14).fill(0), fine: new Array(28).fill(0) };

/** The fine head with one cell's channels. */
function fineWith(cell: number, channels: readonly number[]): number[] {
  return Array.from({ length: 28 }, (_, i) => i % 4 === cell ? channels[Math.floor(i / 4)]! : 0);
}

Deno.test("heads of zeros decode to the anchors in the middle of their cells, coarse head first, rows before columns", async () => {
  const { boxes, objectness, scores } = await run((graph) => appendDetections(graph, spec), [zeros]);
  const around = (x: number, y: number, w: number, h: number) => [x - w / 2, y - h / 2, x + w / 2, y + h / 2];
  close(boxes!, [
    ...around(0.5, 0.5, 0.5, 0.25),
    ...around(0.5, 0.5, 1, 1),
    ...around(0.25, 0.25, 0.125, 0.25),
    ...around(0.75, 0.25, 0.125, 0.25),
    ...around(0.25, 0.75, 0.125, 0.25),
    ...around(0.75, 0.75, 0.125, 0.25),
  ]);
  close(objectness!, new Array(6).fill(0.5));
  close(scores!, new Array(12).fill(0.25));
});

Deno.test("one prediction by hand, in the second of two pictures", async () => {
  // Row 0, column 1: centre (1 + 0.2, 0 + 0.8) / 2, size 8 · 2 and 16 / 4 pixels of 64.
  const fine = fineWith(1, [logit(0.2), logit(0.8), Math.log(2), -Math.log(4), logit(0.9), logit(0.7), logit(0.4)]);
  const { boxes, objectness, scores } = await run((graph) => appendDetections(graph, spec), [zeros, {
    ...zeros,
    fine,
  }]);
  const at = 6 + 3;
  close(boxes!.slice(4 * at, 4 * at + 4), [0.6 - 0.125, 0.4 - 0.03125, 0.6 + 0.125, 0.4 + 0.03125]);
  close(objectness!.slice(at, at + 1), [0.9]);
  close(scores!.slice(2 * at, 2 * at + 2), [0.63, 0.36]);
});

Deno.test("with softmax the class probabilities of a prediction sum to 1", async () => {
  const fine = fineWith(2, [0, 0, 0, 0, logit(0.5), Math.log(3), 0]);
  const { scores } = await run((graph) => appendDetections(graph, spec, { classProbabilities: "softmax" }), [{
    ...zeros,
    fine,
  }]);
  close(scores!.slice(8, 10), [0.375, 0.125]);
});

Deno.test("probabilities of a picture by hand", async () => {
  // Two predictions that count: coarse anchor 1 with o = 0.8, p = (0.5, 0.25), and fine cell 3 with o = 0.4, p = (0.75, 0.125).
  const nothing = -30;
  const coarse = [0, 0, 0, 0, nothing, 0, 0, 0, 0, 0, 0, logit(0.8), logit(0.5), logit(0.25)];
  const fine: number[] = Array.from({ length: 28 }, (_, i) => Math.floor(i / 4) === 4 ? nothing : 0);
  [logit(0.4), logit(0.75), logit(0.125)].forEach((value, k) => fine[4 * (4 + k) + 3] = value);
  const expected: Record<string, [number, number]> = {
    best: [0.5, 0.25],
    max: [0.4, 0.2],
    mean: [0.8 * 0.5 + 0.4 * 0.75, 0.8 * 0.25 + 0.4 * 0.125],
    noisyOr: [1 - 0.6 * 0.7, 1 - 0.8 * 0.95],
  };
  assert.deepEqual(Object.keys(expected), [...IMAGE_PROBABILITIES]);
  for (const how of IMAGE_PROBABILITIES) {
    const { probabilities } = await run((graph) => appendImageProbabilities(graph, spec, { how }), [{ coarse, fine }]);
    const [a, b] = expected[how]!;
    close(probabilities!, [a / (a + b), b / (a + b)]);
  }
});

Deno.test("best takes its classes from the fine head and the right cell where that is the surest", async () => {
  const fine = fineWith(3, [0, 0, 0, 0, 2, logit(0.9), logit(0.3)]);
  const { probabilities } = await run((graph) => appendImageProbabilities(graph, spec, { how: "best" }), [
    { ...zeros, fine },
    zeros,
  ]);
  close(probabilities!, [0.75, 0.25, 0.5, 0.5]);
});

for (const classProbabilities of ["sigmoid", "softmax"] as ClassProbabilities[]) {
  for (const how of IMAGE_PROBABILITIES) {
    Deno.test(`${how} with ${classProbabilities} is what the formula gives in double precision, small and large values`, async () => {
      const random = Random.seeded("probabilities", how);
      const pictures = [0.5, 3, 8].map((spread): Raw => ({
        coarse: Array.from({ length: 14 }, () => random.normal(-2, spread)),
        fine: Array.from({ length: 28 }, () => random.normal(-2, spread)),
      }));
      const { probabilities } = await run(
        (graph) => appendImageProbabilities(graph, spec, { how, classProbabilities }),
        pictures,
      );
      pictures.forEach((raw, n) =>
        close(probabilities!.slice(2 * n, 2 * n + 2), plainly(raw, how, classProbabilities), 3e-6)
      );
    });
  }
}

Deno.test("probabilities stay a distribution where all predictions underflow", async () => {
  const faint = { coarse: new Array(14).fill(-300), fine: new Array(28).fill(-300) };
  const likelier = { ...faint, coarse: [...faint.coarse.slice(0, 13), -300 + Math.log(3)] };
  for (const how of IMAGE_PROBABILITIES) {
    const { probabilities } = await run((graph) => appendImageProbabilities(graph, spec, { how }), [faint, likelier]);
    for (const n of [0, 1]) close([probabilities![2 * n]! + probabilities![2 * n + 1]!], [1]);
    close(probabilities!.slice(0, 2), [0.5, 0.5]);
    if (how === "max") close(probabilities!.slice(2), [0.25, 0.75], 1e-4);
  }
});

Deno.test("heads that are not there or do not fit, and unknown ways, are one line that says what was expected", () => {
  const graph = new Graph("empty");
  const refused = (work: () => unknown, message: RegExp) =>
    assert.throws(work, (error) => error instanceof ModelError && message.test(error.message));
  refused(() => appendDetections(graph, spec), /expected a value "coarse" in graph "empty", found none/);
  graph.input("coarse", "float32", ["N", 21, 1, 1]);
  refused(
    () => appendDetections(graph, spec),
    /expected "coarse" to be \[N, 14, 1, 1\], found "coarse" \[N, 21, 1, 1\]/,
  );
  refused(
    () => appendImageProbabilities(graph, spec, { how: "median" as "mean" }),
    /expected best, max, mean, noisyOr, found "median"/,
  );
});

/** The formulas as they are written, in double precision. */
function plainly({ coarse, fine }: Raw, how: string, classProbabilities: ClassProbabilities): number[] {
  const channels = [
    coarse.slice(0, 7),
    coarse.slice(7),
    ...[0, 1, 2, 3].map((cell) => fine.filter((_, i) => i % 4 === cell)),
  ];
  const predictions = channels.map(([, , , , o, a, b]) => ({
    o: sigma(o!),
    p: classProbabilities === "sigmoid" ? [sigma(a!), sigma(b!)] : [sigma(a! - b!), sigma(b! - a!)],
  }));
  const q = [0, 1].map((c) => {
    const scores = predictions.map(({ o, p }) => o * p[c]!);
    if (how === "best") return predictions.reduce((best, next) => next.o > best.o ? next : best).p[c]!;
    if (how === "max") return Math.max(...scores);
    if (how === "mean") return scores.reduce((a, b) => a + b) / predictions.reduce((sum, { o }) => sum + o, 0);
    return -Math.expm1(scores.reduce((sum, score) => sum + Math.log1p(-score), 0));
  });
  return q.map((value) => value / (q[0]! + q[1]!));
}
