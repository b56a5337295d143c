/** Tests of latency.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { conv, type Dim, gather, Graph, matMul, toFile, toModel } from "../onnx/mod.ts";
import { measureLatency, modelFileSize, peakMemory } from "./latency.ts";

function network(batch: Dim): Uint8Array {
  const graph = new Graph("small");
  const x = graph.input("images", "float32", [batch, 3, "S", "S"]);
  const w = graph.parameter("w", { shape: [8, 3, 3, 3], init: () => new Float32Array(216).fill(0.1) });
  graph.output(conv(x, w, { pads: 1 }), "y");
  return toModel(graph);
}

Deno.test("latency is measured at batch 1 and 16, with the threads said", async () => {
  const rows = await measureLatency(network("N"), { threads: 1, runs: 8, sizes: { S: 32 } });
  assert.deepEqual(rows.map(({ batch, runs, threads, device }) => [batch, runs, threads, device]), [
    [1, 8, 1, "cpu"],
    [16, 8, 1, "cpu"],
  ]);
  for (const { p50, p95 } of rows) assert.ok(0 < p50 && p50 <= p95);
});

Deno.test("of a single run both percentiles are its time, and the rate is the batch over it", async () => {
  const [row] = await measureLatency(network("N"), { batches: [16], runs: 1, sizes: { S: 16 } });
  assert.equal(row!.p50, row!.p95);
  assert.ok(Math.abs(row!.imagesPerSecond * row!.p50 / 16_000 - 1) < 1e-9);
});

Deno.test("a model's fixed batch is the only one that is measured", async () => {
  const [row, ...others] = await measureLatency(network(4), { runs: 2, warmUp: 0, sizes: { S: 8 } });
  assert.deepEqual([row!.batch, row!.runs, others.length], [4, 2, 0]);
  await assert.rejects(
    measureLatency(network(4), { batches: [1], sizes: { S: 8 } }),
    /EvaluateError: model: input "images": expected a batch of 4, which the model fixes, found 1$/,
  );
});

Deno.test("an open size has to be given", async () => {
  await assert.rejects(measureLatency(network("N")), /input "images": expected a size for "S", found none$/);
});

Deno.test("a slow model is run no longer than asked, but five times", async () => {
  const [row] = await measureLatency(network("N"), { batches: [1], seconds: 0, sizes: { S: 16 } });
  assert.equal(row!.runs, 5);
});

Deno.test("integer inputs are fed zeros", async () => {
  const graph = new Graph("words");
  const w = graph.parameter("w", { shape: [5, 2], init: () => new Float32Array(10) });
  graph.output(gather(w, graph.input("ids", "int64", ["N", 3])), "y");
  assert.equal((await measureLatency(toModel(graph), { runs: 2 })).length, 2);
});

Deno.test("a model file's size is that of its bytes, and a process that runs it needs more memory than its weights", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_latency_" });
  try {
    const side = 3000, path = join(folder, "wide.onnx");
    const graph = new Graph("wide");
    const w = graph.parameter("w", { shape: [side, side], init: () => new Float32Array(side * side).fill(0.5) });
    graph.output(matMul(graph.input("x", "float32", ["N", side]), w), "y");
    await toFile(graph, path);
    assert.equal(await modelFileSize(path), (await Deno.stat(path)).size);
    const memory = await peakMemory(path, { threads: 1 });
    if (Deno.build.os === "linux") assert.ok(memory!.peak - memory!.before > 4 * side * side, JSON.stringify(memory));
    else assert.equal(memory, undefined);
    const broken = join(folder, "broken.onnx");
    await Deno.writeTextFile(broken, "no model");
    if (Deno.build.os === "linux") {
      await assert.rejects(
        peakMemory(broken),
        /WorkError: .*broken.onnx: expected a run whose memory can be measured, found: /,
      );
    }
    await assert.rejects(modelFileSize(broken), /broken.onnx: expected/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
