/** The YOLO loss and its gradients against PyTorch's, recorded in double precision by tests/peers/yolo_loss.py. */

import assert from "node:assert/strict";
import { openSession } from "../../runtime/mod.ts";
import { type DType, Graph, type Shape, type Tensor, tensor, toModel, toNumbers, type Value } from "../../onnx/mod.ts";
import { gradients } from "../../autodiff/mod.ts";
import type { YoloSpec } from "../../models/mod.ts";
import { TrainError } from "../errors.ts";
import { compileStep, constant, sgd } from "../mod.ts";
import { yoloLoss, type YoloLossOptions, yoloTargets } from "./mod.ts";

type Row = readonly [classId: number, left: number, top: number, right: number, bottom: number, weight: number];

interface RecordedCase {
  readonly boxes: readonly (readonly Row[])[];
  readonly options: YoloLossOptions;
  readonly loss: number;
  readonly parts: Readonly<Record<"box" | "objectness" | "class", number>>;
  readonly gradients: readonly (readonly number[])[];
}

const recorded: { spec: YoloSpec; cases: Record<string, RecordedCase> } = JSON.parse(
  await Deno.readTextFile(new URL("../../../tests/fixtures/yolo_loss.json", import.meta.url)),
);
const { spec } = recorded;

for (const [name, { boxes, options, loss, parts, gradients }] of Object.entries(recorded.cases)) {
  Deno.test(`yoloLoss: ${name}: loss, parts and gradients are PyTorch's to 1e-5`, async () => {
    const found = await run(boxes, { maxBoxes: 6, ...options });
    close(found.loss, [loss], "loss");
    for (const part of ["box", "objectness", "class"] as const) close(found[part], [parts[part]], part);
    gradients.forEach((gradient, k) => close(found.gradients[k]!, gradient, `gradient of head ${k}`));
  });
}

Deno.test("yoloLoss: a batch whose number of pictures is open has the same loss and gradients", async () => {
  const { boxes, options, loss, gradients } = recorded.cases["ciou, smoothed"]!;
  const found = await run(boxes, options, "N");
  close(found.loss, [loss], "loss");
  gradients.forEach((gradient, k) => close(found.gradients[k]!, gradient, `gradient of head ${k}`));
});

Deno.test("yoloLoss: a prediction is left out above the ignore threshold, worked by hand", async () => {
  // Heads of zeros predict each anchor in the middle of its cell and cost ln 2 at each of the 2 · 4 + 2 · 16 places. The box is
  // 36 x 30 with its centre in the first coarse cell: 40 x 30 there is its anchor, 25 x 50 there overlaps it by 25 · 30 of
  // 25 · 50 + 36 · 30 − 25 · 30, an IoU of 0.4747, and nothing else by more than 0.2.
  const box = [[1, 0, 1, 36, 31, 1]] as const;
  const objectness = async (ignoreThreshold: number) => (await run([box], { ignoreThreshold }, 1, () => 0)).objectness;
  close(await objectness(0.48), [40 * Math.LN2], "0.48");
  close(await objectness(0.47), [39 * Math.LN2], "0.47");
});

Deno.test("yoloLoss: a wild prediction of a cell without an object leaves the loss finite", async () => {
  const found = await run([[]], {}, 1, () => 1e4);
  assert.ok(Number.isFinite(found.loss[0]!), `${found.loss}`);
  assert.ok(found.gradients.flat().every(Number.isFinite));
});

Deno.test("yoloLoss in compileStep: accumulated micro-batches, parts that sum to the loss, and a batch of too few pictures", async () => {
  const model = new Graph("heads"), images = model.input("images", "float32", ["N", 1]);
  for (const { output, shape } of heads("N")) {
    const size = shape.slice(1).reduce<number>((product, dim) => product * Number(dim), 1);
    const weight = model.parameter(`${output}/weight`, { shape: [1, size], init: constant(0.1) });
    const [flat] = model.node("MatMul", [images, weight]);
    model.output(model.node("Reshape", [flat, model.ints([0, ...shape.slice(1).map(Number)])])[0]!, output);
  }
  await using step = await compileStep({
    model,
    loss: yoloLoss(spec, { maxBoxes: 3, normalisation: "pictures" }),
    optimizer: sgd(),
    accumulate: 2,
    worker: false,
    threads: 1,
  });
  const box = { classId: 1, left: 4, top: 4, right: 40, bottom: 36 };
  const batch = (pictures: number) => ({
    images: tensor("float32", [pictures, 1], new Array<number>(pictures).fill(1)),
    ...yoloTargets([[box], [], [box], []], spec, { maxBoxes: 3 }),
  });
  const losses: number[] = [];
  for (let i = 0; i < 5; i++) {
    const { loss, metrics } = await step.run(batch(4), { learningRate: 0.01 });
    const { box, objectness, class: classes } = metrics as Record<string, number>;
    assert.ok(
      Math.abs(box! + objectness! + classes! - loss) < 1e-5 * loss,
      `${box} + ${objectness} + ${classes}: ${loss}`,
    );
    losses.push(loss);
  }
  assert.ok(losses.every((loss, i) => i === 0 || loss < losses[i - 1]!), `${losses}`);
  await assert.rejects(step.run(batch(2), { learningRate: 0.01 }), /expected one size for N, found 1 .* and 2/);
});

Deno.test("yoloLoss: options and heads that do not fit are one line that says what was expected", () => {
  const wrong: [YoloLossOptions, RegExp][] = [
    [{ boxLoss: "eiou" as "ciou" }, /boxLoss to be one of squares, darknet.*found "eiou"/],
    [{ classLoss: "hinge" as "softmax" }, /classLoss to be one of sigmoid, softmax, found "hinge"/],
    [{ labelSmoothing: 1.5 }, /labelSmoothing in 0 … 1, found 1.5/],
    [{ ignoreThreshold: NaN }, /ignoreThreshold in 0 … 1, found NaN/],
    [{ gains: { box: -1 } }, /gain "box" to be a number from 0, found -1/],
    [{ maxBoxes: 0 }, /maxBoxes to be a whole number from 1, found 0/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => yoloLoss(spec, options), (error) => error instanceof TrainError && message.test(error.message));
  }
  const graph = new Graph(), head = graph.input("coarse", "float32", ["N", 16, 4, 4]);
  assert.throws(
    () => yoloLoss(spec)({ graph, output: () => head, value: () => head, input: (...all) => graph.input(...all) }),
    /expected "coarse" to be \[N, 16, 2, 2\], found "coarse" \[N, 16, 4, 4\]/,
  );
});

function heads(pictures: number | string): { output: string; shape: Shape }[] {
  return spec.heads.map(({ output, stride, anchors }) => {
    const side = spec.size / stride;
    return { output, shape: [pictures, anchors.length * (5 + spec.classes), side, side] };
  });
}

/** The values that tests/peers/yolo_loss.py gives the heads. */
const formula = (i: number, head: number) => 2 * Math.sin(1.7 * i + head) + 0.5 * Math.cos(0.31 * i);

async function run(
  boxes: readonly (readonly Row[])[],
  options: YoloLossOptions,
  pictures: number | string = boxes.length,
  fill: (i: number, head: number) => number = formula,
): Promise<Record<"loss" | "box" | "objectness" | "class", number[]> & { gradients: number[][] }> {
  const graph = new Graph();
  const raw = new Map(
    heads(pictures).map(({ output, shape }) => [output, graph.input(output, "float32", shape)] as const),
  );
  const input = (name: string, dtype: DType, shape: Shape) => graph.input(name, dtype, shape);
  const output = (name?: string): Value => raw.get(name!)!;
  const { loss, metrics } = yoloLoss(spec, options)({ graph, output, value: output, input });
  for (const [name, value] of Object.entries({ loss, ...metrics })) graph.output(value, `out/${name}`);
  gradients(loss, [...raw.values()]).forEach((value, k) => graph.output(value, `gradient/${k}`));
  const truth = boxes.map((list) =>
    list.map(([classId, left, top, right, bottom, weight]) => ({ classId, left, top, right, bottom, weight }))
  );
  const feeds: Record<string, Tensor> = { ...yoloTargets(truth, spec, options) };
  heads(boxes.length).forEach(({ output, shape }, k) => {
    const length = shape.reduce<number>((product, dim) => product * Number(dim), 1);
    const elements = Float32Array.from({ length }, (_, i) => fill(i, k));
    feeds[output] = tensor("float32", shape as readonly number[], elements);
  });
  await using session = await openSession(toModel(graph), { threads: 1 });
  const found = await session.run(feeds);
  const numbers = (name: string) => toNumbers(found[name]!);
  return {
    loss: numbers("out/loss"),
    box: numbers("out/box"),
    objectness: numbers("out/objectness"),
    class: numbers("out/class"),
    gradients: spec.heads.map((_, k) => numbers(`gradient/${k}`)),
  };
}

/** Within 1e-5 of the largest number. */
function close(found: readonly number[], expected: readonly number[], what: string): void {
  assert.equal(found.length, expected.length, what);
  const scale = Math.max(...expected.map(Math.abs), 1e-30);
  expected.forEach((number, i) =>
    assert.ok(Math.abs(number - found[i]!) <= 1e-5 * scale, `${what}[${i}]: expected ${number}, found ${found[i]}`)
  );
}
