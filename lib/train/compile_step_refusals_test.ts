/** What the compiled step refuses, and how it says so. */

import assert from "node:assert/strict";
import { Graph, sub, tensor } from "../onnx/mod.ts";
import { type Batch, TrainError } from "./mod.ts";
import { bits, openSmallStep as open, smallBatch } from "./small_network.ts";

Deno.test("a batch that does not fit is one line that names the input, and trains nothing", async () => {
  await using step = await open();
  const good = smallBatch(0), { x, labels } = good;
  const before = await bits(step);
  const cases: [Batch, RegExp][] = [
    [{ x: x! }, /^batch: expected a tensor for input "labels", found none$/],
    [{ ...good, mask: x! }, /^batch: expected inputs x, labels, found "mask"$/],
    [
      { ...good, x: tensor("float32", [6, 1, 8, 7], new Float32Array(6 * 56)) },
      /^batch: input "x": expected float32 \[N, 1, 8, 8\], found float32 \[6, 1, 8, 7\]$/,
    ],
    [
      { ...good, labels: tensor("int32", [6], [0, 0, 0, 0, 0, 0]) },
      /^batch: input "labels": expected int64 \[N\], found int32 \[6\]$/,
    ],
    [
      { ...good, labels: tensor("int64", [5], [0, 0, 0, 0, 0]) },
      /^batch: expected one size for N, found 6 in "x" and 5 in "labels"$/,
    ],
    [
      { ...good, labels: tensor("int64", [6], [0, 1, 2, 3, 0, 0]) },
      /^batch: input "labels": expected whole numbers in 0 … 2, found 3 at place 3$/,
    ],
    [
      { ...good, labels: tensor("int64", [6], [0, 1, -1, 0, 0, 0]) },
      /^batch: input "labels": expected whole numbers in 0 … 2, found -1 at place 2$/,
    ],
    [{ ...good, x: { ...x!, data: new Float32Array(3) } }, /^batch: input "x": expected 384 elements, found 3$/],
  ];
  for (const [batch, message] of cases) {
    await assert.rejects(
      step.run(batch, { learningRate: 0.1 }),
      (error) => error instanceof TrainError && message.test(error.message),
    );
  }
  await assert.rejects(step.evaluate(good), /batch: expected inputs x, found "labels"$/);
  for (const learningRate of [NaN, -1, Infinity]) {
    await assert.rejects(step.run(good, { learningRate }), /step: expected a learning rate from 0, found/);
  }
  assert.equal(await bits(step), before);
  assert.equal(step.step, 0);
  assert.equal((await step.run(good, { learningRate: 0.1 })).finite, true);
  assert.equal(labels!.dtype, "int64");
});

Deno.test("what cannot be compiled says why: no parameters, a pattern that names nothing, an unknown output, too many parts", async () => {
  const empty = new Graph("empty");
  empty.output(sub(empty.input("x", "float32", [1]), 1), "y");
  await assert.rejects(open({ model: empty }), /graph "empty": expected parameters to train, found no weights/);
  await assert.rejects(
    open({ freeze: "convolution*" }),
    /freeze: expected a pattern that names a parameter \(such as conv, .*\), found convolution\*/,
  );
  await assert.rejects(open({ freeze: "*" }), /expected parameters to train, found all 5 frozen/);
  await assert.rejects(
    open({ loss: ({ output }) => output("logit") }),
    /loss: expected an output of the model \(logits\), found "logit"/,
  );
  await assert.rejects(open({ accumulate: 0 }), /expected accumulate to be a whole number from 1, found 0/);
  await assert.rejects(open({ averageDecay: 1 }), /expected averageDecay between 0 and 1, found 1/);
  await assert.rejects(open({ recompute: ["nowhere"] }), /expected a value named "nowhere", found none/);
  await using step = await open({ accumulate: 4 });
  await assert.rejects(
    step.run(smallBatch(0, 6), { learningRate: 0.1 }),
    /expected a first dimension that is a multiple of 4 micro-batches, found \[6, 1, 8, 8\]/,
  );
  await assert.rejects(step.parameters({ weights: "average" }), /expected averageDecay to be set/);
});

Deno.test("a step that was disposed says so", async () => {
  const step = await open();
  await step.dispose();
  await step.dispose();
  await assert.rejects(step.run(smallBatch(0), { learningRate: 0.1 }), /expected an open step, found a disposed one/);
});
