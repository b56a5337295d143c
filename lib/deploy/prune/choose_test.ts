/** Which channels are chosen, against importances and multiplications worked out by hand. */

import assert from "node:assert/strict";
import { countOperations } from "../../evaluate/mod.ts";
import { conv, globalAveragePool, Graph, reshape, softmax } from "../../onnx/mod.ts";
import { tensor, toNumbers } from "../../runtime/mod.ts";
import { findChannels } from "./channels.ts";
import { chooseChannels } from "./choose.ts";
import { drawnNetwork, FAMILIES, outputsOf } from "./fixture.ts";
import { channelImportance, defaultImportance } from "./importance.ts";
import { pruneGraph } from "./prune_graph.ts";
import { taylorImportance } from "./taylor.ts";

/** Three convolutions 1x1 on a map of 2 x 2: 2 → 4 → 8 → 2 channels; filters of the first two have the lengths 1, 2, 3, … */
function chain() {
  const graph = new Graph("chain"), x = graph.input("images", "float32", [1, 2, 2, 2]);
  const filters = (name: string, [out, inputs]: readonly [number, number]) =>
    graph.parameter(`${name}.weight`, {
      shape: [out, inputs, 1, 1],
      init: () =>
        Float32Array.from({ length: out * inputs }, (_, i) => i % inputs === 0 ? 1 + Math.floor(i / inputs) : 0),
    });
  const first = conv(x, filters("first", [4, 2])), second = conv(first, filters("second", [8, 4]));
  const logits = reshape(globalAveragePool(conv(second, filters("last", [2, 8]))), [1, 2]);
  graph.output(softmax(logits, { axis: 1 }), "probabilities");
  return graph;
}

Deno.test("norms of filters are those of their elements, as shares of their layer", () => {
  const channels = findChannels(chain());
  assert.equal(defaultImportance(channels), "l2");
  for (const importance of ["l1", "l2"] as const) {
    const [first, second] = [...channelImportance(channels, importance).values()];
    assert.deepEqual([...first!], [1, 2, 3, 4].map((each) => each / 10));
    assert.deepEqual([...second!], [1, 2, 3, 4, 5, 6, 7, 8].map((each) => each / 36));
  }
});

Deno.test("the scales of a residual stage are summed over its layers", () => {
  const graph = drawnNetwork("residual", 1), channels = findChannels(graph);
  assert.equal(defaultImportance(channels), "batchNorm");
  const importance = channelImportance(channels, "batchNorm");
  const [group, found] = [...importance].find(([{ name }]) => name === "stage0.enter.weight")!;
  const scales = ["stage0.enter", "stage0.block0.wide"].map((name) => toNumbers(graph.value(`${name}.scale`).tensor!));
  assert.equal(group.channels.length, scales[0]!.length);
  found.forEach((each, c) => assert.ok(Math.abs(each - scales[0]![c]! - scales[1]![c]!) < 1e-6));
});

Deno.test("the least important channels go, in multiples, until the share is reached; the count is that of the graph", async () => {
  const graph = chain(), channels = findChannels(graph);
  // 4 places: 4·(2·4 + 4·8 + 8·2) = 224 multiplications; with 4 of 8 channels in the second layer 4·(8 + 16 + 8) = 128.
  const options = { share: 0.6, multiple: 4, least: 4 };
  const chosen = chooseChannels(channels, channelImportance(channels, "l2"), options);
  const second = channels.groups.find(({ name }) => name === "second.weight")!;
  assert.deepEqual([...chosen.removed].sort(), second.channels.slice(0, 4));
  assert.deepEqual([chosen.macs, chosen.left], [224, 128]);
  const { graph: pruned, left } = await pruneGraph(graph, options);
  assert.equal(countOperations(pruned).macs, left);
});

Deno.test("every family loses three tenths of its multiplications, in multiples of 4, as the counter counts them", async () => {
  for (const family of Object.keys(FAMILIES)) {
    const graph = drawnNetwork(family, 1);
    const { graph: pruned, macs, left, groups } = await pruneGraph(graph, {
      share: 0.7,
      multiple: 4,
      least: 4,
      leastShare: 0.1,
    });
    assert.equal(countOperations(graph).macs, macs, family);
    assert.ok(Math.abs(countOperations(pruned).macs - left) < 1e-6 * left, family);
    assert.ok(left <= 0.7 * macs, `${family}: ${left / macs}`);
    for (const { channels, left } of groups) assert.ok(left === channels || left % 4 === 0, family);
  }
});

Deno.test("the slope of taylor is the derivative of the loss while a channel's weights shrink", async () => {
  const graph = chain(), channels = findChannels(graph), labels = [1];
  const images = tensor("float32", [1, 2, 2, 2], [0.1, 0.2, -0.1, 0.3, 0, 0.1, 0.2, 0.5]);
  const found = await taylorImportance(channels, [{ images, labels }]);
  const lossOf = async (network: Graph) =>
    -Math.log(toNumbers((await outputsOf(network, images)).probabilities!)[labels[0]!]!);
  assert.ok(Math.max(...[...found.values()].flatMap((each) => [...each])) > 1e-3);
  const group = channels.groups[0]!, weight = graph.value("first.weight"), { data, shape } = weight.tensor!;
  for (const [place] of group.channels.entries()) {
    const scaled = async (factor: number) => {
      const content = Float32Array.from(
        data as Float32Array,
        (each, i) => Math.floor(i / 2) === place ? factor * each : each,
      );
      graph.setTensor(weight, tensor("float32", shape, content));
      return await lossOf(graph);
    };
    const slope = (await scaled(1.05) - await scaled(0.95)) / 0.1;
    graph.setTensor(weight, tensor("float32", shape, data as Float32Array));
    const own = found.get(group)![place]!;
    assert.ok(Math.abs(own - slope ** 2) <= 0.03 * slope ** 2 + 1e-7, `${own} and ${slope ** 2}`);
  }
  await assert.rejects(taylorImportance(channels, []), /expected pictures/);
});
