import assert from "node:assert/strict";
import { join } from "node:path";
import { checkEdgeTpu, exportEdgeTpu, prepareForEdgeTpu, readManifest, readTflite } from "../../lib/deploy/mod.ts";
import { openDataset, openModel } from "../../lib/experiment/mod.ts";
import { yoloV3Tiny } from "../../lib/models/mod.ts";
import { exists, Random, readJson, sha256 } from "../../lib/runtime/mod.ts";
import { buildSmallData } from "../experiment/small_data.ts";
import { makeStudent } from "./k210_student.ts";

Deno.test("a folder for the Edge TPU is whole, hashed and the same each time", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_edgetpu_" });
  try {
    const dataFolder = await buildSmallData(folder), dataset = () => openDataset({ dataFolder });
    const settings = { dataset, count: 16, judged: 2 };
    const student = join(folder, "student"), out = join(folder, "edgetpu");
    await makeStudent(student, { size: 32, classes: 12, mean: 0.4, std: 0.3 });
    await using opened = await openModel(student);
    const made = await exportEdgeTpu(opened, { ...settings, out });

    const { files, target, source } = await readManifest(out);
    assert.deepEqual([target, source.sha256, files], ["edgetpu", opened.card.file.sha256, made.manifest.files]);
    for (const { path, bytes, sha256: hash } of files) {
      const content = await Deno.readFile(join(out, path));
      assert.deepEqual([content.length, sha256(content)], [bytes, hash], path);
    }
    for (const path of ["model.tflite", "classes.txt", "runner.py", "preprocess.py", "selftest.json", "README.md"]) {
      assert.ok(files.some((file) => file.path === path), path);
    }
    assert.ok(!await exists(join(out, "model_edgetpu.tflite"))); // only the compiler makes one

    const model = readTflite(await Deno.readFile(join(out, "model.tflite")));
    const [input, output] = [model.tensors[model.inputs[0]!]!, model.tensors[model.outputs[0]!]!];
    assert.deepEqual([input.type, input.shape, output.type, output.shape], ["INT8", [1, 32, 32, 3], "INT8", [1, 12]]);
    assert.equal(checkEdgeTpu(model).fits, true);
    // The runner quantizes by these two: pictures of 0 … 1 after (x − 0.4) / 0.3 are about −1.3 … 2.
    const { scale, zeroPoint } = (await readJson(join(out, "edgetpu.json")) as typeof made.settings).input;
    assert.deepEqual([scale, zeroPoint], [input.quantization!.scales[0], input.quantization!.zeroPoints[0]]);
    assert.ok((127 - zeroPoint) * scale <= 2.01 && (-128 - zeroPoint) * scale >= -1.35, `${scale} ${zeroPoint}`);
    // Stem and 9 separable layers, their zeros where stride 2 wants them, the mean, the linear layer, the row of answers.
    const counts = Object.fromEntries(made.report.operators);
    assert.deepEqual([counts.CONV_2D, counts.DEPTHWISE_CONV_2D, counts.MEAN, counts.RESHAPE], [11, 9, 1, 1]);

    const again = join(folder, "again");
    await exportEdgeTpu(opened, { ...settings, out: again });
    const sums = (place: string) => Deno.readTextFile(join(place, "SHA256SUMS"));
    assert.equal(await sums(again), await sums(out));
    await assert.rejects(() => exportEdgeTpu(opened, { ...settings, out }), /expected no folder or an empty one/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
Deno.test("a detector is refused", async () => {
  const { graph } = yoloV3Tiny({ classes: 3, size: 64, width: 0.1, random: Random.seeded("detector", 1) });
  await assert.rejects(() => prepareForEdgeTpu(graph), /expected a classifier .*, found no linear layer/);
});
