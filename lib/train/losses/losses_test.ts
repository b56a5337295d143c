/** Losses and their gradients against PyTorch's, recorded in double precision by tests/peers/record_training.py. */

import assert from "node:assert/strict";
import { openSession } from "../../runtime/mod.ts";
import { Graph, type Tensor, tensor, toModel, toNumbers, type Value } from "../../onnx/mod.ts";
import { gradients } from "../../autodiff/mod.ts";
import { TrainError } from "../errors.ts";
import {
  binaryCrossEntropyWithLogits,
  crossEntropy,
  infoNce,
  iouLoss,
  klDivergence,
  meanSquaredError,
  sigLip,
  smoothL1,
} from "./mod.ts";

interface Recorded {
  readonly shape: readonly number[];
  readonly data: readonly number[];
  readonly dtype?: "float64" | "int64";
}

interface RecordedLoss {
  readonly inputs: Readonly<Record<string, Recorded>>;
  readonly targets: Readonly<Record<string, Recorded>>;
  readonly loss: number;
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

const file = new URL("../pytorch.json", import.meta.url);
const recorded: Record<string, RecordedLoss> = JSON.parse(await Deno.readTextFile(file)).losses;

type Build = (values: Record<string, Value>) => Value;

const LOSSES: Readonly<Record<string, Build>> = {
  "crossEntropy": ({ x, t }) => crossEntropy(x!, t!),
  "crossEntropy sum": ({ x, t }) => crossEntropy(x!, t!, { reduction: "sum" }),
  "crossEntropy smoothed": ({ x, t }) => crossEntropy(x!, t!, { labelSmoothing: 0.1 }),
  "crossEntropy soft": ({ x, t }) => crossEntropy(x!, t!),
  "crossEntropy soft smoothed": ({ x, t }) => crossEntropy(x!, t!, { labelSmoothing: 0.2 }),
  "crossEntropy pixels": ({ x, t }) => crossEntropy(x!, t!, { labelSmoothing: 0.1, ignoreIndex: -100 }),
  "binary": ({ x, t }) => binaryCrossEntropyWithLogits(x!, t!),
  "focal": ({ x, t }) => binaryCrossEntropyWithLogits(x!, t!, { gamma: 2, alpha: 0.25 }),
  "meanSquaredError": ({ x, t }) => meanSquaredError(x!, t!),
  "smoothL1": ({ x, t }) => smoothL1(x!, t!, { beta: 0.5 }),
  "klDivergence": ({ x, t }) => klDivergence(x!, t!, { temperature: 3 }),
  "iou": ({ x, t }) => iouLoss(x!, t!, { kind: "iou" }),
  "giou": ({ x, t }) => iouLoss(x!, t!, { kind: "giou" }),
  "diou": ({ x, t }) => iouLoss(x!, t!, { kind: "diou" }),
  "ciou": ({ x, t }) => iouLoss(x!, t!),
  "infoNce": ({ a, b }) => infoNce(a!, b!, { scale: 14 }),
  "sigLip": ({ a, b }) => sigLip(a!, b!),
};

Deno.test("every recorded loss is tested", () => {
  assert.deepEqual(Object.keys(LOSSES).sort(), Object.keys(recorded).sort());
});

for (const [name, build] of Object.entries(LOSSES)) {
  Deno.test(`${name}: loss and gradients are PyTorch's`, async () => {
    const { inputs, targets, loss, gradients: expected } = recorded[name]!;
    const found = await run(build, inputs, targets);
    close(found.loss, [loss], "loss");
    for (const [key, gradient] of Object.entries(expected)) {
      close(found.gradients[key]!, gradient, `gradient of ${key}`);
    }
  });
}

Deno.test("boxes as centre and size have the loss of the same boxes as corners", async () => {
  const { inputs, targets, loss } = recorded.ciou!;
  const centred = (box: Recorded): Recorded => ({
    ...box,
    data: box.data.map((_, i) => {
      const low = i - i % 4 + i % 2, high = low + 2;
      return i % 4 < 2 ? (box.data[low]! + box.data[high]!) / 2 : box.data[high]! - box.data[low]!;
    }),
  });
  const found = await run(({ x, t }) => iouLoss(x!, t!, { format: "cxcywh" }), { x: centred(inputs.x!) }, {
    t: centred(targets.t!),
  });
  close(found.loss, [loss], "loss");
});

Deno.test("equal predictions cost log(classes), and a uniform target of label smoothing 1 costs the same for any label", async () => {
  const x = { shape: [2, 8], data: new Array<number>(16).fill(3) },
    t = { shape: [2], data: [0, 7], dtype: "int64" } as const;
  close((await run(({ x, t }) => crossEntropy(x!, t!), { x }, { t })).loss, [Math.log(8)], "loss");
  close(
    (await run(({ x, t }) => crossEntropy(x!, t!, { labelSmoothing: 1 }), { x }, { t })).loss,
    [Math.log(8)],
    "loss",
  );
});

Deno.test("a loss that is not reduced has one element for each target, and their mean is the mean loss", async () => {
  const { inputs, targets, loss } = recorded.crossEntropy!;
  const found = await run(({ x, t }) => crossEntropy(x!, t!, { reduction: "none" }), inputs, targets, false);
  assert.equal(found.loss.length, 4);
  close([found.loss.reduce((a, b) => a + b) / 4], [loss], "mean");
});

Deno.test("no gradient flows into the teacher", () => {
  const graph = new Graph(), x = graph.input("x", "float32", [2, 3]), t = graph.input("t", "float32", [2, 3]);
  const [gradient] = gradients(klDivergence(x, t), [t]);
  const path: Value[] = [gradient!];
  for (let value = path.pop(); value; value = path.pop()) {
    assert.notEqual(value, x, "the gradient is made of zeros only");
    path.push(
      ...(value.producer?.opType === "Shape" ? [] : value.producer?.inputs ?? []).filter((input) =>
        input !== undefined
      ),
    );
  }
});

Deno.test("shapes and settings that do not fit are one line that says what was expected", () => {
  const graph = new Graph(), x = graph.input("x", "float32", [2, 3]), labels = graph.input("labels", "int64", [2, 3]);
  const fails = (work: () => unknown, message: RegExp) =>
    assert.throws(work, (error) => error instanceof TrainError && message.test(error.message));
  fails(() => crossEntropy(x, labels), /expected class ids .* of 1 dimensions .* found int64 "labels" \[2, 3\]/);
  fails(() => crossEntropy(x, x, { labelSmoothing: 2 }), /expected labelSmoothing in 0 … 1, found 2/);
  fails(() => iouLoss(x, x), /expected boxes \[..., 4\], found "x" \[2, 3\]/);
  fails(() => smoothL1(x, x, { beta: 0 }), /expected a beta above 0, found 0/);
  fails(() => klDivergence(x, x, { temperature: 0 }), /expected a temperature above 0, found 0/);
});

async function run(
  build: Build,
  inputs: Readonly<Record<string, Recorded>>,
  targets: Readonly<Record<string, Recorded>>,
  differentiate = true,
): Promise<{ loss: number[]; gradients: Record<string, number[]> }> {
  const graph = new Graph("loss");
  const values: Record<string, Value> = {}, feeds: Record<string, Tensor> = {};
  for (const [name, { shape, data, dtype = "float64" }] of Object.entries({ ...inputs, ...targets })) {
    // float32: ONNX Runtime has no float64 kernel for Softplus, Atan and others.
    const used = dtype === "float64" ? "float32" : dtype;
    values[name] = graph.input(name, used, shape);
    feeds[name] = tensor(used, shape, data);
  }
  const wrt = Object.keys(inputs);
  const loss = build(values);
  const results = differentiate ? gradients(loss, wrt.map((name) => values[name]!)) : [];
  graph.output(loss, "loss");
  results.forEach((gradient, i) => graph.output(gradient, `gradient/${wrt[i]}`));
  await using session = await openSession(toModel(graph), { threads: 1 });
  const found = await session.run(feeds);
  return {
    loss: toNumbers(found.loss!),
    gradients: Object.fromEntries(results.map((_, i) => [wrt[i]!, toNumbers(found[`gradient/${wrt[i]}`]!)])),
  };
}

function close(found: readonly number[], expected: readonly number[], place: string): void {
  assert.equal(found.length, expected.length, place);
  found.forEach((a, i) => {
    const b = expected[i]!;
    assert.ok(Math.abs(a - b) <= 3e-6 * Math.max(1, Math.abs(b)), `${place}[${i}]: found ${a}, expected ${b}`);
  });
}
