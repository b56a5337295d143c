import assert from "node:assert/strict";
import { join } from "node:path";
import { calibrationPictures, expectPictures, exportK210 } from "../../lib/deploy/mod.ts";
import { openDataset } from "../../lib/experiment/mod.ts";
import { exists, readJson, sha256 } from "../../lib/runtime/mod.ts";
import { PeerMissing } from "../../tasks/peers/python.ts";
import { nncasePython } from "../../tasks/peers/k210_python.ts";
import { buildSmallData } from "../experiment/small_data.ts";
import { makeStudent } from "./k210_student.ts";

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_k210_" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a student's folder is whole, hashed, and the same each time; a model that does not fit leaves none", async () => {
  await inFolder(async (folder) => {
    const dataFolder = await buildSmallData(folder), dataset = () => openDataset({ dataFolder });
    const student = await makeStudent(join(folder, "student"));
    const count = 6, out = join(folder, "k210");
    const { manifest: { files }, settings, report, prepared } = await exportK210(student, { out, dataset, count });
    assert.deepEqual([report.fits, prepared.parts], [true, [513, 512]]);
    assert.deepEqual(settings.input.shape, [1, 3, 64, 64]);

    // Hashes: the manifest's, those of SHA256SUMS, and the bytes.
    const manifest = await readJson(join(out, "manifest.json")) as { files: typeof files; source: { sha256: string } };
    assert.deepEqual(manifest.files, files);
    assert.equal(manifest.source.sha256, student.card.file.sha256);
    for (const { path, bytes, sha256: hash } of files) {
      const content = await Deno.readFile(join(out, path));
      assert.deepEqual([content.length, sha256(content)], [bytes, hash], path);
    }
    const sums = (await Deno.readTextFile(join(out, "SHA256SUMS"))).trim().split("\n");
    assert.equal(sums.length, files.length + 1);
    for (const [hash, path] of sums.map((line) => line.split("  "))) {
      assert.equal(sha256(await Deno.readFile(join(out, path!))), hash);
    }
    const names = files.map(({ path }) => path);
    for (const name of ["model.onnx", "classes.txt", "compile.py", "simulate.py", "main.py", "main.c", "layers.csv"]) {
      assert.ok(names.includes(name), name);
    }
    assert.equal(names.filter((name) => name.startsWith("calibration/")).length, count);
    assert.ok(!await exists(join(out, "model.kmodel"))); // only the compiler makes one
    const listed = await readJson(join(out, "calibration.json")) as {
      file: string;
      id: string;
      float: number;
      label: number;
    }[];
    for (const { file, float, label } of listed) {
      assert.equal((await Deno.stat(join(out, file))).size, 3 * 64 * 64);
      assert.ok(float >= 0 && float < 1025 && label < 3);
    }
    assert.equal(
      (await Deno.readTextFile(join(out, "layers.csv"))).trim().split("\n").length,
      1 + report.layers.length,
    );

    // The same bytes; other pictures with another seed.
    const again = await exportK210(student, { out: join(folder, "again"), dataset, count });
    assert.deepEqual(again.manifest.files, files);
    const ids = async (seed: number) =>
      (await calibrationPictures(await dataset(), student.card, { count, seed })).map(({ id }) => id);
    assert.deepEqual(await ids(0), listed.map(({ id }) => id));
    assert.notDeepEqual(await ids(1), await ids(0));

    await assert.rejects(() => exportK210(student, { out, dataset, count }), /expected no folder or an empty one/);
    const more = { out: join(folder, "more"), dataset, count: 100 };
    await assert.rejects(() => exportK210(student, more), /data: expected 100 training pictures .* found \d+$/);
    const large = await makeStudent(join(folder, "large"), { size: 272, classes: 3 });
    await assert.rejects(
      () => exportK210(large, { out: join(folder, "none"), dataset, count }),
      /student: does not fit on a K210: stem: expected a map of at most 256 x 512, found 272 x 272 \(a smaller picture/,
    );
    const detector = await makeStudent(join(folder, "detector"), { family: "yolov3-tiny", size: 96, width: 0.1 });
    await assert.rejects(
      () => exportK210(detector, { out: join(folder, "none"), dataset, count }),
      /expected one head for the region layer, found 2 .*; \S+: expected at most 1024 channels, found 3090/,
    );
    assert.ok(!await exists(join(folder, "none")) && !await exists(more.out));
  });
});

Deno.test("calibration without pictures or with a black one is refused, the picture named", () => {
  const black = { id: "0001_003", bytes: new Uint8Array(3 * 4) };
  const grey = { id: "0002_001", bytes: Uint8Array.from([7, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9]) };
  const real = { id: "0003_001", bytes: Uint8Array.from([7, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 1]) };
  expectPictures("data", [real]);
  assert.throws(
    () => expectPictures("data", []),
    /^InputError: data: expected pictures to calibrate with, found none$/,
  );
  assert.throws(() => expectPictures("data", [real, black]), /data: 0001_003: .* found one that is black all over/);
  assert.throws(() => expectPictures("data", [grey]), /data: 0002_001: .* found one that is 7, 8, 9 all over/);
});

Deno.test("without a Python for nncase 1.x the line says what was looked for and what to run", async () => {
  await assert.rejects(
    () => nncasePython({ folder: "/nowhere/venv", interpreters: ["no-such-python3.10"], debian: undefined }),
    (error) =>
      error instanceof PeerMissing &&
      /^expected Python 3\.7 to 3\.10, for which nncase 1\.x has packages, found none \(no-such-python3\.10\); /.test(
        error.message,
      ) && !error.message.includes("\n"),
  );
});
