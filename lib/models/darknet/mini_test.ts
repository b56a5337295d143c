/** The importer against Darknet itself: mini.cfg, run by Darknet's CPU build (tests/fixtures/darknet). */

import assert from "node:assert/strict";
import { openSession, Random, tensor } from "../../runtime/mod.ts";
import { type Graph, toModel } from "../../onnx/mod.ts";
import { exportDarknet, importDarknet, type ImportOptions, type YoloHead } from "../mod.ts";

const folder = new URL("../../../tests/fixtures/darknet/", import.meta.url);
const bytes = (name: string) => Deno.readFileSync(new URL(name, folder));
const cfg = bytes("mini.cfg"), weights = bytes("mini.weights");
const input = tensor("float32", [1, 3, 64, 96], new Float32Array(bytes("input.f32").buffer));
const expected = new Float32Array(bytes("output.f32").buffer);

async function outputs(graph: Graph): Promise<Float32Array[]> {
  await using session = await openSession(toModel(graph), { threads: 1 });
  return Object.values(await session.run({ images: input })).map(({ data }) => data as Float32Array);
}

function assertClose(found: ArrayLike<number>, wanted: ArrayLike<number>, tolerance: number): void {
  assert.equal(found.length, wanted.length);
  for (let i = 0; i < found.length; i++) {
    assert.ok(Math.abs(found[i]! - wanted[i]!) <= tolerance, `${i}: ${found[i]}, expected ${wanted[i]}`);
  }
}

const variants: Record<string, Partial<ImportOptions>> = {
  "as it is": {},
  "with batch normalisation folded": { fold: true },
  "with the epsilon of training": { epsilon: 1e-5 },
};
for (const [name, options] of Object.entries(variants)) {
  Deno.test(`mini.cfg imported ${name} computes Darknet's own outputs to 1e-4`, async () => {
    const { graph, heads } = importDarknet({ cfg, weights, ...options });
    assert.deepEqual(graph.outputs.map((output) => [output.name, ...output.shape]), [
      ["yolo10", "N", 36, 8, 12],
      ["yolo17", "N", 36, 16, 24],
    ]);
    assert.deepEqual(heads.map(({ stride, anchors }) => [stride, anchors]), [
      [8, [[81, 82], [135, 169], [344, 319]]],
      [4, [[10, 14], [23, 27], [37, 58]]],
    ]);
    const [coarse, fine] = await outputs(graph);
    assertClose(new Float32Array([...coarse!, ...fine!]), expected, 1e-4);
  });
}

Deno.test("raw heads are the activated ones before their sigmoids", async () => {
  const raw = await outputs(importDarknet({ cfg, weights, activated: false }).graph);
  const places = [8 * 12, 16 * 24];
  const activated = raw.map((data, head) =>
    data.map((value, i) => {
      const entry = Math.floor(i / places[head]!) % 12;
      return entry === 2 || entry === 3 ? value : 1 / (1 + Math.exp(-value));
    })
  );
  assertClose(activated.flatMap((data) => [...data]), expected, 1e-4);
});

/** A box relative to the picture, centre first. */
type Found = readonly [x: number, y: number, w: number, h: number, objectness: number, ...classes: number[]];

/** Darknet's `get_yolo_detections` and `correct_yolo_boxes` for a picture letter-boxed into the input. */
function boxes(data: Float32Array, { stride, anchors }: YoloHead, picture: readonly [number, number]): Found[] {
  const [netW, netH] = [96, 64], [columns, rows] = [netW / stride, netH / stride], threshold = 0.3;
  const wide = netW / picture[0] < netH / picture[1];
  const newW = wide ? netW : Math.floor(picture[0] * netH / picture[1]);
  const newH = wide ? Math.floor(picture[1] * netW / picture[0]) : netH;
  const result: Found[] = [];
  for (let place = 0; place < rows * columns; place++) {
    for (const [n, [anchorW, anchorH]] of anchors.entries()) {
      const at = (entry: number) => data[(n * 12 + entry) * rows * columns + place]!;
      if (at(4) <= threshold) continue;
      const x = (place % columns + at(0)) / columns, y = (Math.floor(place / columns) + at(1)) / rows;
      const scores = Array.from({ length: 7 }, (_, c) => at(4) * at(5 + c)).map((p) => p > threshold ? p : 0);
      result.push([
        (x - (netW - newW) / 2 / netW) / (newW / netW),
        (y - (netH - newH) / 2 / netH) / (newH / netH),
        Math.exp(at(2)) * anchorW / netW * (netW / newW),
        Math.exp(at(3)) * anchorH / netH * (netH / newH),
        at(4),
        ...scores,
      ]);
    }
  }
  return result;
}

Deno.test("the heads' strides and anchors turn the outputs into the boxes that Darknet found", async () => {
  const { graph, heads } = importDarknet({ cfg, weights });
  const data = await outputs(graph);
  const found = heads.flatMap((head, i) => boxes(data[i]!, head, [640, 480]));
  const wanted = new TextDecoder().decode(bytes("boxes.txt")).trim().split("\n").map((line) =>
    line.split(" ").map(Number)
  );
  assert.equal(found.length, wanted.length);
  wanted.forEach((box, i) => {
    // Widths grow as e^t up to the hundreds; the file has six decimals.
    box.forEach((value, j) => {
      const difference = Math.abs(found[i]![j]! - value) / Math.max(1, Math.abs(value));
      assert.ok(difference < 1e-4, `box ${i}, number ${j}: ${found[i]![j]}, expected ${value}`);
    });
  });
});

for (const activated of [true, false]) {
  Deno.test(`${activated ? "activated" : "raw"}: exported again, mini.weights has the same bytes, and the cfg the same network`, async () => {
    const { graph, header, heads } = importDarknet({ cfg, weights, activated });
    const files = exportDarknet(graph, { spec: { classes: 7, heads }, header: header! });
    assert.deepEqual(files.weights, weights);
    const again = importDarknet({ ...files, random: Random.seeded(1) });
    assert.equal(again.header!.seen, 777n);
    const [coarse, fine] = await outputs(again.graph);
    assertClose(new Float32Array([...coarse!, ...fine!]), expected, 1e-4);
  });
}

Deno.test("a folded graph is exported as convolutions without batch normalisation that compute the same", async () => {
  const { graph, heads } = importDarknet({ cfg, weights, fold: true });
  const files = exportDarknet(graph, { spec: { classes: 7, heads } });
  assert.doesNotMatch(files.cfg, /batch_normalize/);
  // Scale, mean and variance of 120 channels are gone; the heads had none.
  assert.equal(files.weights.length, weights.length - 4 * 3 * 120);
  const [coarse, fine] = await outputs(importDarknet(files).graph);
  assertClose(new Float32Array([...coarse!, ...fine!]), expected, 1e-4);
});
