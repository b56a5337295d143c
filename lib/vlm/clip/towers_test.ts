import assert from "node:assert/strict";
import { toModel } from "../../onnx/mod.ts";
import { openSession, Random, tensor } from "../../runtime/mod.ts";
import { smallClip } from "./fixture.ts";
import { textGraph, visionGraph } from "./towers.ts";

const shape = { ...smallClip().model, vocabulary: 560 };

Deno.test("a text's embedding depends on what stands up to its end, not on what fills up nor on its neighbours", async () => {
  const graph = textGraph(shape, Random.seeded("text"));
  await using session = await openSession(toModel(graph), { threads: 1 });
  const embed = async (rows: number[][], mask: number[][]) => {
    const size = [rows.length, rows[0]!.length];
    const { text_embeds: found } = await session.run({
      input_ids: tensor("int64", size, rows.flat()),
      attention_mask: tensor("int64", size, mask.flat()),
    });
    return [...found!.data as Float32Array];
  };
  const close = (a: number[], b: number[]) => a.every((x, i) => Math.abs(x - b[i]!) < 1e-5);
  const alone = await embed([[558, 7, 8, 559]], [[1, 1, 1, 1]]);
  assert.equal(alone.length, 16);
  assert.ok(close(alone, await embed([[558, 7, 8, 559, 33, 44]], [[1, 1, 1, 1, 0, 0]])));
  const two = await embed([[558, 9, 9, 9, 559], [558, 7, 8, 559, 0]], [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]);
  assert.ok(close(alone, two.slice(16)));
  assert.ok(!close(alone, await embed([[558, 8, 7, 559]], [[1, 1, 1, 1]])), "order counts");
});

Deno.test("the towers' weights have names that a pattern can select", () => {
  const random = Random.seeded("names");
  const text = textGraph(shape, random).parameters.map(({ name }) => name);
  const vision = visionGraph(shape, random).parameters.map(({ name }) => name);
  assert.ok(text.includes("text.block0.attention.query.weight") && text.every((name) => name.startsWith("text.")));
  assert.ok(vision.includes("image.stage1.block0.wide.weight") && vision.every((name) => name.startsWith("image.")));
});
