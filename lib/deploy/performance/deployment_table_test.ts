import assert from "node:assert/strict";
import { join } from "node:path";
import { buildSmallData } from "../../../tests/experiment/small_data.ts";
import { openDataset, openModel } from "../../experiment/mod.ts";
import { fromModel } from "../../onnx/mod.ts";
import { smallPackage } from "../targets/export_fixture.ts";
import { deployedModel, openTrained } from "./deployed_model.ts";
import { deploymentTable } from "./deployment_table.ts";
import { deployedForms } from "./forms.ts";

Deno.test("every form of a small model has its size, its answers beside float32's, its times and its counts", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_table_" });
  try {
    const data = await openDataset({ dataFolder: await buildSmallData(folder) });
    await using opened = await openModel(await smallPackage(folder));
    const model = await deployedModel(opened);
    const { rows, k210 } = await deploymentTable({
      ...{ models: [model, { ...model, name: "untrained", judged: false }], data, split: "validation" },
      ...{ calibration: 16, runs: 1, seconds: 0.1, memory: false },
    });
    const own = rows.filter(({ model }) => model === "small");
    assert.deepEqual(own.map(({ form }) => form), [
      "as it ships",
      "float32",
      "float16 weights",
      "int8 weights",
      "int8",
    ]);
    const [shipped, float, half, , int8] = own;
    assert.equal(shipped!.bytes, opened.card.file.bytes);
    assert.ok(half!.bytes < float!.bytes);
    // A file that ships float32 says what float32 says, and nothing is compared with itself.
    assert.deepEqual([shipped!.agreement!.share, float!.agreement], [1, undefined]);
    assert.equal(shipped!.accuracy!.correct, float!.accuracy!.correct);
    assert.ok(own.every(({ accuracy }) => accuracy!.n === float!.accuracy!.n));
    // By hand: 12 x 12 places x 32 filters x 75 weights, and 12 x 32.
    assert.equal(float!.macs, 144 * 32 * 75 + 12 * 32);
    assert.equal(float!.bytesMoved, 4 * int8!.bytesMoved);
    assert.deepEqual([float!.int8Share, int8!.int8Share > 0.9], [0, true]);
    assert.deepEqual([int8!.computes, half!.computes], ["int8", "float"]);
    assert.ok(
      own.every(({ latency: { one, all, batch } }) => one.threads === 1 && all.batch === 1 && batch.batch === 16),
    );
    assert.ok(rows.filter(({ model }) => model === "untrained").every(({ accuracy }) => accuracy === undefined));
    // A 5 x 5 kernel is none of the chip's.
    assert.match(k210[0]!.problem!, /expected a kernel 1x1 or 3x3, found 5x5/);
    assert.equal(k210[0]!.estimate, undefined);
    await assert.rejects(
      deploymentTable({ models: [model], data, forms: ["int8"], calibration: 16 }),
      /small: expected the form float32, to compare the others with, found none/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("weights that are kept smaller are turned back when the file is opened: float32 computing, smaller tensors", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_forms_" });
  try {
    await using opened = await openModel(await smallPackage(folder));
    const { graph } = await deployedModel(opened);
    const { forms } = await deployedForms(graph); // without a calibration and a file
    assert.deepEqual(forms.map(({ form }) => form), ["float32", "float16 weights", "int8 weights"]);
    const largest = (model: Uint8Array) =>
      fromModel(model).initialisers.reduce((most, value) =>
        value.tensor!.data.length > most.tensor!.data.length ? value : most
      ).dtype;
    assert.deepEqual(forms.map(({ model }) => largest(model)), ["float32", "float16", "int8"]);
    await using found = await openTrained("small", { name: "k210" }, { models: folder, runs: join(folder, "none") });
    assert.equal(found!.card.name, "small");
    assert.equal(
      await openTrained("other", { name: "k210" }, { models: folder, runs: join(folder, "none") }),
      undefined,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
