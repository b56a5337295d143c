/** Which channels go together in small graphs whose answer is known by hand, and which must stay. */

import assert from "node:assert/strict";
import {
  add,
  concat,
  conv,
  flatten,
  gemm,
  globalAveragePool,
  Graph,
  mul,
  relu,
  reshape,
  sigmoid,
  slice,
  softmax,
  split,
  transpose,
  type Value,
} from "../../onnx/mod.ts";
import { Random, tensor } from "../../runtime/mod.ts";
import { findChannels } from "./channels.ts";
import { largestDifference, outputsOf } from "./fixture.ts";
import { withoutChannels, withZeroChannels } from "./surgery.ts";

const random = Random.seeded("channels");

/** A graph with an input of 3 channels, 4 x 4, and convolutions 1x1 with drawn weights and biases. */
function small() {
  const graph = new Graph("small"), x = graph.input("images", "float32", [2, 3, 4, 4]);
  const drawn = (name: string, shape: readonly number[]) =>
    graph.parameter(name, {
      shape,
      init: ([first = 1, ...rest]) =>
        Float32Array.from({ length: rest.reduce((a, b) => a * b, first) }, () => random.normal()),
    });
  const layer = (name: string, from: Value, filters: number, group = 1) =>
    conv(from, drawn(`${name}.weight`, [filters, from.shape[1] as number / group, 1, 1]), {
      ...{ bias: drawn(`${name}.bias`, [filters]), name },
      ...(group === 1 ? {} : { group }),
    });
  return { graph, x, layer, drawn };
}

/** The groups by the sizes and names of what shrinks with them. */
const told = (graph: Graph) =>
  findChannels(graph).groups.map(({ channels, ties }) => [
    channels.length,
    ties.map(({ value, axis }) => `${value.name}/${axis}`).sort().join(" "),
  ]);

/** Without a channel of each group the graph computes what it computes with this channel silenced. */
async function expectSame(graph: Graph): Promise<void> {
  const channels = findChannels(graph), removed = new Set(channels.groups.map((group) => group.channels[1]!));
  const shape = graph.value("images").staticShape;
  const images = tensor(
    "float32",
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()),
  );
  const found = await outputsOf(withoutChannels(channels, removed), images);
  const expected = await outputsOf(withZeroChannels(channels, removed), images);
  assert.ok(largestDifference(expected, found) <= 1e-5);
}

Deno.test("a residual sum binds both branches; the layer inside a branch stands alone", async () => {
  const { graph, x, layer } = small();
  const stem = relu(layer("stem", x, 6));
  const sum = add(stem, layer("outer", relu(layer("inner", stem, 4)), 6));
  graph.output(layer("head", sum, 2), "y");
  assert.deepEqual(told(graph), [
    [6, "head.weight/1 inner.weight/1 outer.bias/0 outer.weight/0 stem.bias/0 stem.weight/0"],
    [4, "inner.bias/0 inner.weight/0 outer.weight/1"],
  ]);
  await expectSame(graph);
});

Deno.test("Concat, Split and Slice move channels; each part is a group of its own", async () => {
  const { graph, x, layer } = small();
  const [left, right] = split(relu(layer("stem", x, 8)), 2, { axis: 1 }) as [Value, Value];
  const joined = concat([layer("a", left, 3), right, slice(layer("b", x, 5), [1], [4], { axes: [1] })], 1);
  graph.output(layer("head", joined, 2), "y");
  const groups = told(graph).map(([size, ties]) => [size, ties]);
  assert.deepEqual(groups.map(([size]) => size), [4, 4, 3, 2, 3]); // halves of stem; a; of b what Slice leaves out, and what it takes
  await expectSame(graph);
});

Deno.test("a depthwise convolution goes with its input; other groups of channels stay", async () => {
  const { graph, x, layer } = small();
  const wide = relu(layer("wide", x, 6)), deep = layer("deep", wide, 6, 6);
  graph.output(layer("head", relu(layer("grouped", layer("before", deep, 4), 4, 2)), 2), "y");
  assert.deepEqual(told(graph), [
    [6, "before.weight/1 deep.bias/0 deep.weight/0 wide.bias/0 wide.weight/0"],
  ]);
  assert.ok(findChannels(graph).kept.some((reason) => /grouped/.test(reason)));
  await expectSame(graph);
});

Deno.test("squeeze and excitation bind the gates to what they weigh", async () => {
  const { graph, x, layer } = small();
  const wide = relu(layer("wide", x, 6));
  const gates = sigmoid(layer("excite", relu(layer("squeeze", globalAveragePool(wide), 4)), 6));
  graph.output(layer("head", mul(wide, gates), 2), "y");
  assert.deepEqual(told(graph).map(([size]) => size), [6, 4]);
  await expectSame(graph);
});

Deno.test("Flatten gives each channel as many columns of the next matrix as it has places", async () => {
  const { graph, x, layer, drawn } = small();
  const flat = flatten(relu(layer("stem", x, 4)));
  const hidden = relu(gemm(flat, drawn("fc1.weight", [5, 64]), drawn("fc1.bias", [5]), { transB: true }));
  graph.output(softmax(gemm(hidden, drawn("fc2.weight", [5, 3]), undefined)), "probabilities");
  assert.deepEqual(told(graph), [
    [4, "fc1.weight/1 stem.bias/0 stem.weight/0"],
    [5, "fc1.bias/0 fc1.weight/0 fc2.weight/0"],
  ]);
  await expectSame(graph);
});

Deno.test("a Reshape to numbers follows; one that cuts channels in parts keeps them", async () => {
  const { graph, x, layer, drawn } = small();
  const flat = reshape(relu(layer("stem", x, 4)), [2, 64]);
  graph.output(gemm(flat, drawn("fc.weight", [64, 3]), undefined), "y");
  graph.output(layer("head", reshape(reshape(layer("cut", x, 4), [2, 2, 2, 16]), [2, 4, 4, 4]), 2), "z");
  assert.deepEqual(told(graph), [[4, "fc.weight/0 stem.bias/0 stem.weight/0"]]);
  await expectSame(graph);
});

Deno.test("what an unknown operator reads, what the graph gives out and what a sigmoid lifts off zero stays", () => {
  const { graph, x, layer } = small();
  graph.output(layer("head", sigmoid(layer("lifted", x, 4)), 2), "y");
  graph.output(graph.node("Foreign", [layer("foreign", x, 4)], {}, { domain: "some.where" })[0]!, "z");
  graph.output(graph.node("DepthToSpace", [layer("deep", x, 4)], { blocksize: 2 })[0]!, "d");
  graph.output(layer("end", transpose(layer("mid", x, 4), [0, 1, 3, 2]), 2), "e");
  assert.deepEqual(told(graph), [[4, "end.weight/1 mid.bias/0 mid.weight/0"]]);
});

Deno.test("shared weights bind the layers that share them; weights that something else reads stay", async () => {
  const { graph, x, drawn, layer } = small();
  const shared = drawn("shared", [4, 3, 1, 1]), seen = drawn("seen", [4, 3, 1, 1]);
  const [a, b] = [relu(conv(x, shared)), conv(x, shared)];
  graph.output(add(layer("a", a, 2), layer("b", b, 2)), "y");
  graph.output(layer("c", conv(x, seen), 2), "z");
  graph.output(mul(seen, 2), "w");
  assert.deepEqual(told(graph), [[4, "a.weight/1 b.weight/1 shared/0"]]);
  await expectSame(graph);
});
