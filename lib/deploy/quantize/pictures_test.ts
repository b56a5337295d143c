import assert from "node:assert/strict";
import { gather, Graph, tensor, toModel } from "../../onnx/mod.ts";
import { agreementJudge, overlapJudge, type PictureBatch } from "./pictures.ts";

/** A model that gives picture i the distribution of row i, whose number is its only pixel. */
function fixedAnswers(rows: readonly (readonly number[])[]): Uint8Array {
  const graph = new Graph("fixed"), images = graph.input("images", "int64", ["N"]);
  const table = tensor("float32", [rows.length, rows[0]!.length], rows.flat());
  graph.output(gather(graph.constant(table, { name: "table" }), images), "probabilities");
  return toModel(graph);
}

Deno.test("the overlap of distributions falls before an answer turns, and is 1 only for the same", async () => {
  const batches: PictureBatch[] = [[0, 1], [2]].map((numbers) => ({
    images: tensor("int64", [numbers.length], BigInt64Array.from(numbers, BigInt)),
    labels: numbers.map(() => 0),
  }));
  const reference = fixedAnswers([[1, 0], [0.75, 0.25], [0.5, 0.5]]);
  const other = fixedAnswers([[1, 0], [0.625, 0.375], [1, 0]]);
  const judge = await overlapJudge(reference, batches);
  assert.equal(await judge(reference), 1);
  // 1, then 0.625 + 0.25, then 0.5.
  assert.equal(await judge(other), (1 + 0.875 + 0.5) / 3);
  assert.equal(await (await agreementJudge(reference, batches))(other), 1);
});
