/** The builder: names, scopes, shared constants, outputs, the escape hatch, and what it refuses. */

import assert from "node:assert/strict";
import { openSession, tensor } from "../runtime/mod.ts";
import { Graph } from "./graph.ts";
import * as ops from "./ops/mod.ts";
import { fromModel } from "./read.ts";
import { toModel } from "./write.ts";

const filled = (value: number) => (shape: readonly number[]) =>
  new Array<number>(shape.reduce((a, b) => a * b, 1)).fill(value);

Deno.test("a wrong convolution names operator, caller's names, shapes, expectation and finding", () => {
  const graph = new Graph();
  const x = graph.input("image", "float32", ["N", 3, "H", "W"]);
  const w = graph.parameter("kernel", { shape: [16, 4, 3, 3], init: filled(0) });
  assert.throws(() => ops.conv(x, w, { name: "conv1" }), {
    name: "OnnxError",
    message:
      `Conv "conv1": expected x "image" [N, 3, H, W] to have as many channels as w "kernel" [16, 4, 3, 3] × group 1, found 3`,
  });
  assert.equal(graph.nodes.length, 0, "nothing was appended");
  const good = graph.parameter("good", { shape: [16, 3, 3, 3], init: filled(0) });
  assert.equal(ops.conv(x, good, { name: "conv1" }).name, "conv1", "the name is free again");
});

Deno.test("mistakes of other families name what was expected and found", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2, 3, 8, 8]), m = graph.input("m", "float32", [4, 5]);
  const cases: [() => unknown, RegExp][] = [
    [
      () => ops.matMul(x, m),
      /^MatMul "[^"]+": expected a "x" \[2, 3, 8, 8\] and b "m" \[4, 5\] to share the inner dimension, found 8 and 4$/,
    ],
    [
      () => ops.reshape(x, [7, -1]),
      /^Reshape "[^"]+": expected x "x" \[2, 3, 8, 8\] to have as many elements as \[7, -1\]$/,
    ],
    [
      () => ops.concat([x, m], 1),
      /^Concat "[^"]+": expected x1 "m" \[4, 5\] to fit x "x" \[2, 3, 8, 8\] in every dimension but 1$/,
    ],
    [
      () => ops.maxPool(x, 9),
      /expected the window of 9 to fit into dimension 2 of x "x" \[2, 3, 8, 8\] with pads 0 and 0, found 8$/,
    ],
    [
      () => ops.conv(x, m, { strides: [1, 2, 3] }),
      /^OnnxError?|Conv: strides: expected one number or 0, found \[1, 2, 3\]$/,
    ],
    [
      () => ops.transpose(x, [0, 1, 1, 2]),
      /expected perm to be an order of the axes of x "x" \[2, 3, 8, 8\], found \[0, 1, 1, 2\]$/,
    ],
    [() => ops.reduceMean(x, { axes: [4] }), /expected an axis in -4 … 3 of x "x" \[2, 3, 8, 8\], found 4$/],
    [() => ops.squeeze(x, [0]), /expected dimension 0 of x "x" \[2, 3, 8, 8\] to be 1, found 2$/],
    [() => ops.split(x, 3, { axis: 2 }), /expected dimension 2 of x "x" \[2, 3, 8, 8\] to be a multiple of 3$/],
    [() => ops.einsum("ij,jk->ik", [m, m]), /to have 5 for "j" at 0, found 4$/],
    [() => ops.gather(x, graph.ints([9])), /expected indices within 2 of x "x" \[2, 3, 8, 8\], found 9$/],
    [() => graph.node("Conv", [x]), /^Conv "[^"]+": expected 2 to 3 inputs \(x, w, bias\?\), found 1$/],
    [() => graph.node("Relu", [x], { alpha: 1 }), /expected one of the attributes none, found alpha$/],
    [() => graph.node("LeakyRelu", [x], { alpha: "big" }), /alpha: expected an attribute of kind float, found string$/],
    [
      () => ops.relu(new Graph("other").input("y", "float32", [1])).graph.output(x),
      /expected values of graph "other", found "x"/,
    ],
    [() => graph.input("x", "float32", []), /expected a new name, found "x", taken by input "x" \[2, 3, 8, 8\]$/],
    [() => graph.input("z", "float32", [-1]), /expected sizes from 0 or symbols, found \[-1\]$/],
    [() => graph.value("nothing"), /expected a value named "nothing", found none$/],
    [() => toModel(graph), /expected an output, found none$/],
  ];
  for (const [work, message] of cases) {
    assert.throws(work, (error: Error) => {
      assert.equal(error.name, "OnnxError", String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("names are unique, and scopes stand before them", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [1]);
  assert.deepEqual([ops.relu(x).name, ops.relu(x).name, ops.relu(x, { name: "x" }).name], ["Relu_1", "Relu_2", "x_1"]);
  const inner = graph.scope(
    "stem",
    () => graph.scope("block", () => ops.add(x, graph.parameter("b", tensor("float32", [1], [0])))),
  );
  assert.equal(inner.name, "stem/block/Add_1");
  assert.ok(graph.values.has("stem/block/b"));
  {
    using _ = graph.scope("head");
    assert.equal(ops.relu(x, { name: "act" }).name, "head/act");
  }
  assert.equal(graph.scoped("plain"), "plain");
  assert.throws(() => graph.scope("broken", () => ops.matMul(x, graph.input("y", "float32", [7]))));
  assert.equal(graph.scoped("plain"), "plain", "a scope ends when its body throws");
});

Deno.test("equal small constants share one value, and −0 is not 0", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]);
  ops.add(x, 1);
  ops.mul(x, 1);
  assert.equal(graph.initialisers.length, 1);
  assert.notEqual(graph.constant(0), graph.constant(-0));
  assert.notEqual(graph.constant(1), graph.constant(1, { dtype: "int64" }));
  assert.notEqual(graph.constant(1, { name: "own" }), graph.constant(1));
  assert.equal(graph.constant([1n, 2n], { dtype: "int64" }).elements?.join(), "1,2");
});

Deno.test("outputs keep the caller's name; inputs, parameters and repeated outputs go through an Identity", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]);
  const y = ops.mul(x, 2);
  graph.output(y, "twice");
  assert.equal(y.name, "twice");
  graph.output(y, "again");
  graph.output(x, "same");
  graph.output(graph.parameter("w", tensor("float32", [1], [5])), "weight");
  assert.deepEqual(graph.outputs.map((value) => value.name), ["twice", "again", "same", "weight"]);
  assert.throws(() => graph.output(ops.neg(x), "x"), /taken by input "x"/);
  await using session = await openSession(toModel(graph), { threads: 1 });
  const results = await session.run({ x: tensor("float32", [2], [1, 2]) });
  assert.deepEqual(Object.values(results).map(({ data }) => [...data as Float32Array]), [[2, 4], [2, 4], [1, 2], [5]]);
});

Deno.test("the escape hatch infers what is known, and leaves open what is not", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2, 3]);
  const [known] = graph.node("Softmax", [x], { axis: 0 });
  assert.deepEqual(known!.shape, [2, 3]);
  const [open] = graph.node("FusedThing", [x], { alpha: 0.5, count: 3 }, { domain: "com.example", name: "f" });
  assert.equal(open!.type, undefined);
  assert.throws(
    () => open!.shape,
    /value "f", the output of FusedThing "f", expected a known type and shape, found none$|expected a known type/,
  );
  assert.equal(ops.relu(open!).type, undefined, "what follows is open too");
  const [, mask] = graph.node("Dropout", [x], {}, { outputs: [true, true] });
  assert.equal(mask!.dtype, "bool");
});

Deno.test("parameters can be frozen, and their elements replaced by others of the same shape", () => {
  const graph = new Graph();
  const w = graph.parameter("w", { shape: [2, 2], init: filled(1) });
  graph.setTensor(w, tensor("float32", [2, 2], [1, 2, 3, 4]));
  assert.deepEqual([...w.tensor!.data], [1, 2, 3, 4]);
  assert.throws(
    () => graph.setTensor(w, tensor("float32", [4], [1, 2, 3, 4])),
    /expected float32 \[2, 2\] for "w", found float32 \[4\]$/,
  );
  graph.setTrainable(w, false);
  assert.deepEqual([graph.parameters.length, w.kind], [0, "constant"]);
  graph.setTrainable(w);
  graph.output(ops.identity(w));
  assert.equal(fromModel(toModel(graph)).value("w").kind, "parameter");
  assert.throws(
    () => graph.setTrainable(graph.input("x", "float32", [1])),
    /expected an initialiser, found input "x" \[1\]$/,
  );
});

Deno.test("batch normalisation in training mode gets running statistics that no other node shares", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2, 2, 3, 3]);
  const zero = graph.constant([0, 0]), one = graph.constant([1, 1]);
  const { y } = ops.batchNormalizationTraining(x, one, zero, zero, one);
  const [, scale, bias, mean, variance] = y.producer!.inputs;
  assert.equal(new Set([scale, bias, mean, variance]).size, 4);
});

Deno.test("float16 goes through the file and through ONNX Runtime with its bits", async () => {
  const graph = new Graph();
  const w = graph.constant(tensor("float16", [2], [0.1, 65504]), { name: "w" });
  graph.output(ops.mul(graph.input("x", "float16", [2]), w), "y");
  const again = fromModel(toModel(graph));
  assert.deepEqual(again.value("w").tensor, w.tensor);
  await using session = await openSession(toModel(again), { threads: 1 });
  const { y } = await session.run({ x: tensor("float16", [2], [2, 0.5]) });
  assert.deepEqual(y, tensor("float16", [2], [0.2, 32752])); // nearest float16 of both
});
