/** Tests of verify.ts: a good dataset has no problem, and each kind of fault that is planted is found. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { InputError, sha256 } from "../runtime/mod.ts";
import { buildDataset } from "./build.ts";
import { datasetPaths, type ManifestRow, readManifest } from "./manifest.ts";
import { openSource } from "./source.ts";
import { figure, writeRawFolder } from "./test_pictures.ts";
import { type Problem, verifyDataset, type VerifyReport } from "./verify.ts";
import { checkLabel } from "./verify_label.ts";

const names = Array.from({ length: 1025 }, (_, index) => `Species ${index + 1}`);

interface Built {
  readonly folder: string;
  readonly paths: ReturnType<typeof datasetPaths>;
  readonly rows: readonly ManifestRow[];
  verify(): Promise<VerifyReport>;
  writeRows(rows: readonly ManifestRow[]): Promise<void>;
}

/** One dataset for all tests: two species with four figures each, regular and shiny; each test works on a copy. */
const template = await (async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex-verify-" });
  const raw = join(folder, "raw");
  await writeRawFolder(raw, [4, 7], 4);
  await buildDataset({ source: await openSource(`folder:${raw}`), out: join(folder, "data"), names, workers: 1 });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  return join(folder, "data");
})();

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    if (entry.isDirectory) await copyFolder(join(from, entry.name), join(to, entry.name));
    else await Deno.copyFile(join(from, entry.name), join(to, entry.name));
  }
}

async function withBuilt(work: (built: Built) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex-verify-" });
  try {
    await copyFolder(template, folder);
    const paths = datasetPaths(folder);
    await work({
      folder,
      paths,
      rows: await readManifest(paths.manifest),
      verify: () => verifyDataset({ folder, workers: 1 }),
      writeRows: (rows) => Deno.writeTextFile(paths.manifest, rows.map((row) => JSON.stringify(row) + "\n").join("")),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a good dataset has no problem and is counted right", () =>
  withBuilt(async ({ verify, rows }) => {
    const report = await verify();
    assert.deepEqual(report.problems, []);
    assert.deepEqual([report.ok, report.classes, report.images], [true, 2, 16]);
    assert.equal(report.splits.train + report.splits.validation + report.splits.test, rows.length);
  }));

/** Plants a fault; returns the kinds that must be found, and part of the file or cause of the first of them. */
type Plant = (built: Built) => Promise<readonly [kinds: readonly string[], where: string]>;

const jpeg = (width: number, height: number) =>
  figure(1, { size: width }).resize(width, height, { fit: "fill" }).flatten().jpeg();

const faults: Record<string, Plant> = {
  "a picture that is missing": async ({ paths, rows }) => {
    await Deno.remove(paths.yoloImage(rows[3]!));
    return [["image-missing", "pair"], rows[3]!.id];
  },
  "a picture of another size": async ({ paths, rows, writeRows }) => {
    const bytes = await jpeg(320, 416).toBuffer();
    await Deno.writeFile(paths.yoloImage(rows[0]!), bytes);
    await writeRows(rows.with(0, { ...rows[0]!, jpegSha256: sha256(bytes) }));
    return [["image-size"], "expected 416 x 416 pixels, found 320 x 416"];
  },
  "a picture cut short": async ({ paths, rows, writeRows }) => {
    const bytes = (await Deno.readFile(paths.yoloImage(rows[0]!))).subarray(0, 3000);
    await Deno.writeFile(paths.yoloImage(rows[0]!), bytes);
    await writeRows(rows.with(0, { ...rows[0]!, jpegSha256: sha256(bytes) }));
    return [["image-damaged"], rows[0]!.id];
  },
  "a PNG named .jpg": async ({ paths, rows, writeRows }) => {
    const bytes = await figure(1, { size: 416 }).png().toBuffer();
    await Deno.writeFile(paths.yoloImage(rows[0]!), bytes);
    await writeRows(rows.with(0, { ...rows[0]!, jpegSha256: sha256(bytes) }));
    return [["image-format"], "expected JPEG, found png"];
  },
  "a picture that is not the manifest's": async ({ paths, rows }) => {
    await Deno.copyFile(paths.yoloImage(rows[1]!), paths.yoloImage(rows[4]!));
    return [["image-hash"], rows[4]!.id];
  },
  "a stored picture that is missing": async ({ paths, rows }) => {
    await Deno.remove(join(paths.processed, rows[2]!.image));
    return [["stored-missing"], rows[2]!.image];
  },
  "a stored picture that lost its alpha, its size and its subject": async ({ paths, rows, writeRows }) => {
    const bytes = await figure(999, { size: 200, background: "#fff" }).removeAlpha().webp().toBuffer();
    await Deno.writeFile(join(paths.processed, rows[2]!.image), bytes);
    await writeRows(rows.with(2, { ...rows[2]!, imageSha256: sha256(bytes) }));
    return [["stored-size", "stored-alpha", "fingerprint"], "expected 96 x 96 pixels, found 200 x 200"];
  },
  "a stored picture with a damaged middle": async ({ paths, rows }) => {
    const bytes = await Deno.readFile(join(paths.processed, rows[0]!.image));
    await Deno.writeFile(join(paths.processed, rows[0]!.image), bytes.fill(0x55, 200, 900));
    return [["stored-hash", "stored-damaged"], rows[0]!.image];
  },
  "a label that is missing": async ({ paths, rows }) => {
    await Deno.remove(paths.yoloLabel(rows[3]!));
    return [["label-missing", "pair"], rows[3]!.id];
  },
  "a label of another class": async ({ paths, rows }) => {
    await Deno.writeTextFile(paths.yoloLabel(rows[3]!), "1024 0.5 0.5 1.0 1.0\n");
    return [["label-class"], `expected class ${rows[3]!.classId}, found 1024`];
  },
  "a label that is no label": async ({ paths, rows }) => {
    await Deno.writeTextFile(paths.yoloLabel(rows[3]!), "pikachu\n");
    return [["label-format"], `line 1: expected five numbers, found "pikachu"`];
  },
  "an empty label": async ({ paths, rows }) => {
    await Deno.writeTextFile(paths.yoloLabel(rows[3]!), "\n");
    return [["label-format"], "expected at least one box"];
  },
  "a box beyond the picture": async ({ paths, rows }) => {
    await Deno.writeTextFile(paths.yoloLabel(rows[3]!), `${rows[3]!.classId} 0.8 0.5 0.6 1.0\n`);
    return [["label-box"], "expected a box inside the picture"];
  },
  "a split of an unknown name": async ({ paths }) => {
    await Deno.rename(join(paths.yolo, "labels", "test"), join(paths.yolo, "labels", "testing"));
    return [["split-name", "label-missing", "pair"], "testing"];
  },
  "files that the manifest does not know": async ({ paths }) => {
    await Deno.writeFile(join(paths.yolo, "images", "train", "0004_999.jpg"), await jpeg(416, 416).toBuffer());
    await Deno.writeTextFile(join(paths.yolo, "labels", "train", "0004_998.txt"), "3 0.5 0.5 1.0 1.0\n");
    await Deno.writeTextFile(join(paths.images, "0004_999.png"), "");
    return [["unlisted", "pair"], "0004_999"];
  },
  "a group in two splits": async ({ paths, rows, writeRows }) => {
    const row = rows.find((each) => each.split === "train")!;
    const moved: ManifestRow = { ...row, split: "test" };
    await Deno.rename(paths.yoloImage(row), paths.yoloImage(moved));
    await Deno.rename(paths.yoloLabel(row), paths.yoloLabel(moved));
    await writeRows(rows.map((each) => each === row ? moved : each));
    return [["group-divided"], `${row.group}: expected one split`];
  },
  "a near-duplicate across splits under another group's name": async ({ paths, rows, writeRows }) => {
    const row = rows.find((each) => each.split === "train")!;
    const moved: ManifestRow = { ...row, split: "test", group: "0004-g99" };
    await Deno.rename(paths.yoloImage(row), paths.yoloImage(moved));
    await Deno.rename(paths.yoloLabel(row), paths.yoloLabel(moved));
    await writeRows(rows.map((each) => each === row ? moved : each));
    return [["near-duplicate"], `${row.id} in test`];
  },
  "a group with pictures of two species": async ({ rows, writeRows }) => {
    const row = rows.find((each) => each.dex === 7)!;
    const group = rows.find((each) => each.dex === 4 && each.split === row.split)!.group;
    await writeRows(rows.map((each) => each === row ? { ...each, group } : each));
    return [["group-mixed"], group];
  },
  "a species that is all in one split": async ({ paths, rows, writeRows }) => {
    const moved = rows.map((row): ManifestRow => row.dex === 4 ? { ...row, split: "train" } : row);
    for (const [index, row] of rows.entries()) {
      await Deno.rename(paths.yoloImage(row), paths.yoloImage(moved[index]!));
      await Deno.rename(paths.yoloLabel(row), paths.yoloLabel(moved[index]!));
    }
    await writeRows(moved);
    return [["split-share"], "species 4: expected about"];
  },
  "a species that is gone": async ({ paths, rows, writeRows }) => {
    for (const row of rows.filter((each) => each.dex === 7)) {
      for (const file of [paths.yoloImage(row), paths.yoloLabel(row), join(paths.processed, row.image)]) {
        await Deno.remove(file);
      }
    }
    await writeRows(rows.filter((each) => each.dex !== 7));
    return [["class-count"], "expected 2 classes, found 1"];
  },
  "an id that is listed twice": async ({ rows, writeRows }) => {
    await writeRows([...rows, rows[0]!]);
    return [["manifest-row"], `${rows[0]!.id}: expected an id once`];
  },
  "a class id that is not dex number - 1": async ({ rows, writeRows }) => {
    await writeRows(rows.with(0, { ...rows[0]!, classId: 9 }));
    return [["manifest-row", "label-class"], "expected class 3, found 9"];
  },
  "a dex number that is no species": async ({ rows, writeRows }) => {
    await writeRows(rows.with(0, { ...rows[0]!, dex: 1026, classId: 1025 }));
    return [["manifest-row", "class-count", "label-class"], "expected a dex number 1 … 1025, found 1026"];
  },
  "a fingerprint that is none": async ({ rows, writeRows }) => {
    await writeRows(rows.with(0, { ...rows[0]!, fingerprint: "ab" }));
    return [["manifest-row"], `expected a fingerprint, found "ab"`];
  },
  "a data.yaml that is missing": async ({ paths }) => {
    await Deno.remove(paths.dataYaml);
    return [["data-yaml"], "data.yaml"];
  },
  "a data.yaml with another number of classes": async ({ paths }) => {
    const text = await Deno.readTextFile(paths.dataYaml);
    await Deno.writeTextFile(paths.dataYaml, text.replace("nc: 1025", "nc: 1024"));
    return [["data-yaml"], "nc"];
  },
  "a data.yaml without a name": async ({ paths }) => {
    const text = await Deno.readTextFile(paths.dataYaml);
    await Deno.writeTextFile(paths.dataYaml, text.replace(/ {2}500: .*\n/, ""));
    return [["data-yaml"], "a name for each of the classes"];
  },
};

for (const [name, plant] of Object.entries(faults)) {
  Deno.test(`found: ${name}`, () =>
    withBuilt(async (built) => {
      const [kinds, where] = await plant(built);
      const report = await built.verify();
      assert.equal(report.ok, false);
      const found = new Set(report.problems.map((problem) => problem.kind));
      for (const kind of kinds) assert.ok(found.has(kind), `${kind} not in ${[...found]}`);
      const [first] = kinds;
      const texts = report.problems.filter((problem) => problem.kind === first).map(({ file, cause }) =>
        `${file}: ${cause}`
      );
      assert.ok(texts.some((text) => text.includes(where)), texts.join("\n"));
      assert.ok(texts.every((text) => !text.includes("\n")));
    }));
}

Deno.test("two species with one picture are a warning, not a problem", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex-verify-" });
  try {
    const raw = join(folder, "raw");
    await writeRawFolder(raw, [4, 7], 4);
    await Deno.writeFile(join(raw, "0007", "same.png"), await figure(400, { mirrored: true }).png().toBuffer());
    await buildDataset({ source: await openSource(`folder:${raw}`), out: folder, names, workers: 1 });
    const report = await verifyDataset({ folder, workers: 1 });
    assert.deepEqual(report.problems, []);
    assert.ok(report.warnings.length >= 1);
    assert.ok(
      report.warnings.every((warning) => warning.kind === "cross-species" && /of another species/.test(warning.cause)),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("without a manifest, or with a broken one, there is one line that says what to do", () =>
  withBuilt(async ({ paths, verify }) => {
    await Deno.writeTextFile(paths.manifest, '{"id":"0001_001"}\n');
    await assert.rejects(
      verify(),
      (error: Error) => error instanceof InputError && /manifest\.jsonl:1: /.test(error.message),
    );
    await Deno.remove(paths.manifest);
    await assert.rejects(verify(), /expected a manifest, found nothing there; run "deno task data build"/);
  }));

Deno.test("checkLabel() accepts several boxes inside the picture", () => {
  const good = "3 0.5 0.5 1.0 1.0\n3 0.25 0.25 0.5 0.5\n";
  assert.deepEqual(checkLabel(good, 3, "x"), [] satisfies Problem[]);
  assert.deepEqual(checkLabel("3 0.5 0.5 1 1 1\n", 3, "x").map((problem) => problem.kind), ["label-format"]);
  assert.deepEqual(checkLabel("3.5 0.5 0.5 0 1\n", 3, "x").map((problem) => problem.kind), [
    "label-class",
    "label-box",
  ]);
});
