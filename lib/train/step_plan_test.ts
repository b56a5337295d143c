/** The graph of a step: the forms for devices that lack an operator, and that every kept tensor has buffers of its own. */

import assert from "node:assert/strict";
import type { Device } from "../runtime/mod.ts";
import { add, exp, fromModel, Graph, mul, reduceSum, reshape, squeeze, tensor } from "../onnx/mod.ts";
import { crossEntropy } from "./losses/mod.ts";
import { adamW, sgd } from "./optimizers.ts";
import { smallBatch, smallNetwork } from "./small_network.ts";
import { StepEngine } from "./step_engine.ts";
import { planStep, type StepPlan } from "./step_plan.ts";
import { trainable } from "./trainable.ts";

function plan(device: Device): StepPlan {
  return planStep({
    model: trainable(smallNetwork()),
    loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", ["N"])),
    optimizer: adamW({ clipNorm: 1 }),
    averageDecay: 0.9,
    accumulate: 1,
    symbols: {},
    recompute: [],
    device,
  });
}

Deno.test("the forms for webgpu use no operator that it lacks, and give the same losses and statistics", async () => {
  const { nodes } = fromModel(plan("webgpu").model);
  assert.ok(!nodes.some((node) => node.opType === "BatchNormalization" && node.outputCount > 1));
  assert.ok(!nodes.some((node) => node.opType === "MaxPool" && node.outputCount > 1));
  const found: number[][] = [];
  for (const device of ["cpu", "webgpu"] as const) {
    // Both run on the CPU here: what is compared is the graph.
    const engine = await StepEngine.open(plan(device), { device: "cpu", threads: 1, seed: 0 });
    const numbers: number[] = [];
    for (let i = 0; i < 8; i++) numbers.push((await engine.run([smallBatch(i)], 0.01, i)).loss);
    const { mean, variance } = await engine.read(["mean", "variance"]);
    found.push([...numbers, ...Array.from(mean!.data, Number), ...Array.from(variance!.data, Number)]);
    await engine.dispose();
  }
  found[0]!.forEach((number, i) => {
    const other = found[1]![i]!;
    assert.ok(Math.abs(number - other) <= 1e-4 * Math.max(1, Math.abs(number)), `${i}: ${number} and ${other}`);
  });
});

Deno.test("the form of one run keeps all tensors as they were, bit for bit, when a step is beyond a limit", async () => {
  const one = plan("webgpu");
  assert.equal(one.update, undefined);
  const engine = await StepEngine.open(one, { device: "cpu", threads: 1, seed: 0 });
  const names = one.slots.map(({ name }) => name);
  await engine.run([smallBatch(0)], 0.01, 0);
  const before = await engine.read(names);
  const { loss, gradientNorm } = await engine.run([smallBatch(1)], 0.01, 1, { lossLimit: -Infinity });
  for (const limits of [{ lossLimit: loss / 2 }, { gradientLimit: gradientNorm / 2 }]) {
    assert.equal((await engine.run([smallBatch(1)], 0.01, 1, limits)).applied, false);
    assert.deepEqual(await engine.read(names), before);
  }
  assert.equal((await engine.run([smallBatch(1)], 0.01, 1, { lossLimit: loss })).applied, true);
  assert.notDeepEqual(await engine.read(names), before);
  await engine.dispose();
});

Deno.test("every kept tensor is an input and an output of the step or its update with as many elements in at most one dimension, by different names", () => {
  const { slots, model, update } = plan("cpu");
  const graphs = { step: fromModel(model), update: fromModel(update!) };
  assert.equal(slots.filter(({ role }) => role === "parameter").length, 5);
  assert.equal(slots.filter(({ role }) => role === "statistic").length, 2);
  assert.equal(slots.filter(({ role }) => role === "average").length, 5 + 2 + 1); // and their count
  assert.equal(slots.filter(({ role }) => role === "optimizer").length, 2 * 5 + 1);
  for (const { name, next, role, dtype, shape } of slots) {
    const graph = role === "statistic" ? graphs.step : graphs.update;
    const input = graph.inputs.find((value) => value.name === name)!;
    const output = graph.outputs.find((value) => value.name === next)!;
    const flat = shape.length > 1 ? [shape.reduce((a, b) => a * b)] : shape;
    assert.deepEqual([input.dtype, input.shape, output.dtype, output.shape], [dtype, flat, dtype, flat], name);
    assert.notEqual(input, output);
  }
});

Deno.test("an update in place gives the same bits as one into other memory", async () => {
  const { slots, ...rest } = plan("cpu");
  assert.ok(slots.some(({ inPlace }) => inPlace));
  const found: Record<string, unknown>[] = [];
  for (const inPlace of [true, false]) {
    const engine = await StepEngine.open(
      { ...rest, slots: slots.map((slot) => ({ ...slot, inPlace: slot.inPlace && inPlace })) },
      { device: "cpu", threads: 1, seed: 0 },
    );
    for (let i = 0; i < 5; i++) await engine.run([smallBatch(i)], 0.01, i);
    found.push(await engine.read(slots.map(({ name }) => name)));
    await engine.dispose();
  }
  assert.deepEqual(found[0], found[1]);
});

Deno.test("an update that fails leaves a step that refuses to go on until whole weights are loaded", async () => {
  const { slots, ...rest } = plan("cpu");
  const [first, ...others] = slots;
  const whole = await StepEngine.open({ ...rest, slots }, { device: "cpu", threads: 1, seed: 0 });
  const names = slots.map(({ name }) => name), state = await whole.read(names);
  await whole.dispose();
  const engine = await StepEngine.open({ ...rest, slots: [{ ...first!, next: "nowhere" }, ...others] }, {
    ...{ device: "cpu", threads: 1, seed: 0 },
  });
  const refusal =
    /step: expected whole weights, found an update that was cut off \(update: expected outputs .*\); load a state/;
  await assert.rejects(engine.run([smallBatch(0)], 0.01, 0), /nowhere/);
  await assert.rejects(engine.run([smallBatch(0)], 0.01, 0), refusal);
  await assert.rejects(engine.read(names), refusal);
  const { [names[0]!]: _, ...part } = state;
  await engine.write(part);
  await assert.rejects(engine.read(names), refusal, "a part is not whole");
  await engine.write(state);
  assert.deepEqual(await engine.read(names), state);
  await engine.dispose();
});

Deno.test("frozen parameters need no gradient: the step of a trained head has no convolution's gradient", () => {
  const nodes = (freeze: string[]) => {
    const { model } = planStep({
      model: trainable(smallNetwork(), freeze.length ? { freeze } : {}),
      loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", ["N"])),
      optimizer: adamW(),
      averageDecay: undefined,
      accumulate: 1,
      symbols: {},
      recompute: [],
      device: "cpu",
    });
    return fromModel(model).nodes;
  };
  const gradientOf = (list: ReturnType<typeof nodes>, opType: string) =>
    list.filter((node) => node.name.startsWith("gradient/") && node.name.includes(`/${opType}`)).length;
  const all = nodes([]), head = nodes(["conv", "scale", "bias", "hidden"]);
  assert.ok(gradientOf(all, "Conv") > 0 && gradientOf(all, "MaxPool") > 0);
  assert.equal(gradientOf(head, "Conv") + gradientOf(head, "MaxPool"), 0);
});

Deno.test("a parameter of one element whose gradient is a scalar, and the other way round, takes the step that calculus says", async () => {
  const graph = new Graph("numbers");
  const x = graph.input("x", "float32", []);
  const one = graph.parameter("one", { shape: [1], init: () => [3] });
  const scalar = graph.parameter("scalar", { shape: [], init: () => [5] });
  graph.output(mul(squeeze(one, [0]), mul(x, x)), "a");
  graph.output(mul(reshape(scalar, [1]), exp(reshape(x, [1]))), "b");
  const written = planStep({
    model: trainable(graph),
    loss: ({ output }) => add(output("a"), reduceSum(output("b"))),
    optimizer: sgd(),
    accumulate: 1,
    symbols: {},
    recompute: [],
    device: "cpu",
  });
  const engine = await StepEngine.open(written, { device: "cpu", threads: 1, seed: 0 });
  await engine.run([{ x: tensor("float32", [], [4]) }], 0.5, 0);
  const found = await engine.read(["one", "scalar"]);
  assert.equal(found.one!.data[0], 3 - 0.5 * 4 * 4);
  assert.ok(Math.abs(Number(found.scalar!.data[0]) - (5 - 0.5 * Math.exp(4))) < 1e-4);
  await engine.dispose();
});
