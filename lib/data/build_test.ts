/** Tests of build.ts: what a build makes, keeps, removes, and survives. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { InputError, sha256, WorkError } from "../runtime/mod.ts";
import { runBuild, treeHash } from "../../tests/data/kill_build.ts";
import { buildDataset, type BuildOptions, type BuildReport } from "./build.ts";
import { datasetPaths, type ManifestRow, readManifest } from "./manifest.ts";
import { openSource } from "./source.ts";
import { figure, writeRawFolder } from "./test_pictures.ts";

const names = Array.from({ length: 1025 }, (_, index) => `Species "${index + 1}": x`);

interface Place {
  readonly raw: string;
  readonly out: string;
  build(options?: Partial<BuildOptions>): Promise<BuildReport>;
  rows(): Promise<ManifestRow[]>;
}

/** A raw folder of 3 species with 4 figures each, regular and shiny, and a place to build in. */
async function withRaw(work: (place: Place) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex-build-" });
  const raw = join(folder, "raw"), out = join(folder, "out");
  try {
    await writeRawFolder(raw, [1, 25, 1025], 4);
    await work({
      raw,
      out,
      build: async (options) =>
        await buildDataset({ source: await openSource(`folder:${raw}`), out, names, workers: 2, ...options }),
      rows: () => readManifest(datasetPaths(out).manifest),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const listed = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name).sort();

Deno.test("a build writes JPEGs, labels, data.yaml and a manifest that agree", () =>
  withRaw(async ({ build, rows, out, raw }) => {
    const report = await build();
    const paths = datasetPaths(out);
    const manifest = await rows();
    assert.deepEqual([report.images, report.classes, report.groups, report.made], [24, 3, 12, 24]);
    assert.equal(manifest.length, 24);
    assert.deepEqual(manifest.slice(0, 2).map((row) => [row.id, row.path]), [
      ["0001_001", "0001/art0-shiny.png"],
      ["0001_002", "0001/art0.webp"],
    ]);
    for (const row of manifest) {
      const jpeg = await Deno.readFile(paths.yoloImage(row));
      assert.equal(sha256(jpeg), row.jpegSha256);
      const { format, width, height } = await sharp(jpeg).metadata();
      assert.deepEqual([format, width, height], ["jpeg", 416, 416]);
      assert.equal(await Deno.readTextFile(paths.yoloLabel(row)), `${row.dex - 1} 0.5 0.5 1.0 1.0\n`);
      // Small plain pictures are stored as they came, alpha and all.
      assert.equal(sha256(await Deno.readFile(join(paths.processed, row.image))), row.sha256);
      assert.equal(sha256(await Deno.readFile(join(raw, row.path))), row.sha256);
      assert.equal(row.transparent, true);
    }
    for (const group of Map.groupBy(manifest, (row) => row.group).values()) {
      assert.equal(group.length, 2, "regular and shiny");
      assert.equal(new Set(group.map((row) => row.split)).size, 1);
    }
    for (const members of Map.groupBy(manifest, (row) => row.dex).values()) {
      assert.deepEqual(new Set(members.map((row) => row.split)).size, 3);
    }
    const yaml = await Deno.readTextFile(paths.dataYaml);
    assert.match(yaml, /\nnc: 1025\nnames:\n {2}0: "Species \\"1\\": x"\n/);
  }));

Deno.test("the number of workers and the order of building do not change a byte", () =>
  withRaw(async ({ build, out }) => {
    await build({ workers: 1 });
    const one = await treeHash(out);
    await Deno.remove(out, { recursive: true });
    await build({ species: [25] });
    await build({ species: 25 });
    await build({ workers: 3 });
    assert.equal(await treeHash(out), one);
  }));

Deno.test("a second build decodes nothing and changes nothing; another seed makes other backgrounds", () =>
  withRaw(async ({ build, out, rows }) => {
    await build();
    const hash = await treeHash(out);
    const again = await build();
    assert.deepEqual([again.made, again.reused], [0, 24]);
    assert.equal(await treeHash(out), hash);
    const before = await rows();
    await build({ seed: 1 });
    const after = await rows();
    assert.ok(after.filter((row, index) => row.jpegSha256 !== before[index]!.jpegSha256).length > 18);
    assert.deepEqual(after.map((row) => row.imageSha256), before.map((row) => row.imageSha256));
    await build({ seed: 0 });
    assert.equal(await treeHash(out), hash, "nothing of the other seed is left");
  }));

Deno.test("--split naive moves pictures without decoding any", () =>
  withRaw(async ({ build, rows }) => {
    await build();
    const report = await build({ split: "naive" });
    assert.equal(report.made, 0);
    const divided = [...Map.groupBy(await rows(), (row) => row.group).values()]
      .filter((group) => new Set(group.map((row) => row.split)).size > 1);
    assert.ok(divided.length > 0);
  }));

Deno.test("a picture that is removed, renamed or changed is so in the dataset, and nothing stale stays", () =>
  withRaw(async ({ build, raw, out, rows }) => {
    await build();
    await Deno.remove(join(raw, "0001", "art0.webp"));
    await Deno.rename(join(raw, "0025", "art1.webp"), join(raw, "0025", "zz with space#.webp"));
    await Deno.writeFile(join(raw, "1025", "art2.webp"), await figure(777).webp().toBuffer());
    const report = await build();
    assert.deepEqual([report.images, report.made], [23, 1]);
    const updated = await treeHash(out);
    const manifest = await rows();
    assert.ok(manifest.some((row) => row.path === "0025/zz with space#.webp"));
    assert.ok(!manifest.some((row) => row.path === "0001/art0.webp"));
    await Deno.remove(out, { recursive: true });
    await build();
    assert.equal(await treeHash(out), updated, "as if built from nothing");
  }));

Deno.test("what is missing or damaged in the dataset is put right by the next build", () =>
  withRaw(async ({ build, out, rows }) => {
    await build();
    const hash = await treeHash(out);
    const paths = datasetPaths(out);
    const [a, b, c, d] = await rows() as [ManifestRow, ManifestRow, ManifestRow, ManifestRow];
    await Deno.remove(paths.yoloImage(a));
    await Deno.writeTextFile(paths.yoloLabel(b), "7 0.5 0.5 1.0 1.0\n");
    await Deno.remove(join(paths.processed, c.image));
    await Deno.writeTextFile(join(paths.images, "stranger.png"), "?");
    await Deno.mkdir(join(paths.yolo, "images", "holdout"));
    // Damage that keeps the size, in a file that is then deleted: the store's copy is the same file and is damaged too.
    const damaged = await Deno.readFile(paths.yoloImage(d));
    damaged[1000]! ^= 255;
    const file = await Deno.open(paths.yoloImage(d), { write: true });
    await file.write(damaged);
    file.close();
    await Deno.remove(paths.yoloImage(d));
    const report = await build();
    assert.equal(report.made, 1, "only the damaged one is made again");
    assert.equal(await treeHash(out), hash);
    assert.deepEqual(await listed(join(paths.yolo, "images")), ["test", "train", "validation"]);
  }));

Deno.test("bad pictures are skipped and listed with the cause, the good ones are all there", () =>
  withRaw(async ({ build, raw, out }) => {
    const folder = join(raw, "0025");
    await Deno.writeFile(join(folder, "empty.png"), new Uint8Array());
    await Deno.writeFile(join(folder, "cut.png"), (await figure(5).png().toBuffer()).subarray(0, 700));
    await Deno.writeTextFile(join(folder, "notes.txt"), "hello");
    await Deno.symlink(join(folder, "nowhere"), join(folder, "dangling.png"));
    await Deno.writeFile(join(folder, "really-png.jpg"), await figure(6).png().toBuffer());
    await Deno.mkdir(join(raw, "9999"));
    const report = await build();
    assert.equal(report.images, 25);
    const causes = Object.fromEntries(report.skipped.map(({ path, cause }) => [path, cause]));
    assert.deepEqual(Object.keys(causes).sort(), [
      "0025/cut.png",
      "0025/dangling.png",
      "0025/empty.png",
      "0025/notes.txt",
      "9999",
    ]);
    assert.match(causes["0025/empty.png"]!, /empty file/);
    assert.match(causes["0025/dangling.png"]!, /found nothing there/);
    const lines = (await Deno.readTextFile(join(datasetPaths(out).metadata, "skipped.jsonl"))).trim().split("\n");
    assert.deepEqual(lines.map((line) => JSON.parse(line)), report.skipped);
    const again = await build();
    assert.deepEqual([again.made, again.skipped], [0, report.skipped], "nothing is decoded again");
  }));

Deno.test({
  name: "a file that may not be read is skipped with the cause",
  ignore: Deno.uid() === 0 || Deno.build.os === "windows",
  fn: () =>
    withRaw(async ({ build, raw }) => {
      await Deno.chmod(join(raw, "0025", "art0.webp"), 0);
      const report = await build();
      assert.deepEqual(report.skipped, [
        { path: "0025/art0.webp", cause: "expected a file that can be read, found a file that may not be read" },
      ]);
    }),
});

Deno.test("a source in which no file is a picture is one error that names the first cause", () =>
  withRaw(async ({ raw, out }) => {
    await Deno.remove(raw, { recursive: true });
    await Deno.mkdir(join(raw, "0001"), { recursive: true });
    await Deno.writeTextFile(join(raw, "0001", "a.png"), "text");
    const source = await openSource(`folder:${raw}`);
    await assert.rejects(buildDataset({ source, out, names, workers: 1 }), (error: Error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, /expected pictures, found none in 1 files: expected a picture, found "text"/);
      return true;
    });
    await assert.rejects(
      buildDataset({ source, out, names, species: [7] }),
      /pictures of the chosen species, found none/,
    );
  }));

Deno.test("of two builds at once in one folder one is refused and the other is not harmed", () =>
  withRaw(async ({ build, rows }) => {
    const results = await Promise.allSettled([build(), build()]);
    const [refused] = results.filter((result) => result.status === "rejected");
    assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
    assert.ok(refused!.reason instanceof WorkError);
    assert.match(refused!.reason.message, /expected no other writer, found process (\d+|unknown) at work/);
    assert.equal((await rows()).length, 24);
    assert.equal((await build()).made, 0, "the lock is free again");
  }));

Deno.test("killed with SIGKILL at ten random moments, a build goes on to the same bytes", () =>
  withRaw(async ({ raw, out }) => {
    await writeRawFolder(raw, [3, 6, 9, 12], 20);
    const { killAndCompare } = await import("../../tests/data/kill_build.ts");
    const report = await killAndCompare({ source: `folder:${raw}`, folder: out, kills: 10, seed: 3 });
    assert.equal(report.disturbedHash, report.hash);
    assert.ok(report.kills >= 8, `${report.kills} of 10 kills met a running build`);
  }));

/** Mounting needs a namespace of its own, which some machines do not allow. */
const canMount = Deno.build.os === "linux" &&
  await new Deno.Command("unshare", { args: ["-rm", "true"], stdout: "null", stderr: "null" }).output()
    .then((result) => result.success, () => false);

Deno.test({
  name: "on a full disk a build ends with one line, loses nothing, and goes on when there is room",
  ignore: !canMount,
  fn: () =>
    withRaw(async ({ raw, out }) => {
      await writeRawFolder(raw, [3, 6], 60);
      await runBuild(["--source", `folder:${raw}`, "--out", out]);
      const undisturbed = await treeHash(out);
      const disk = join(dirname(out), "disk");
      await Deno.mkdir(disk);
      const root = join(import.meta.dirname!, "..", "..");
      const script = `
        mount -t tmpfs -o size=5m tmpfs '${disk}' || exit 99
        build() { '${Deno.execPath()}' run -A --no-check '${root}/tasks/data.ts' build --source 'folder:${raw}' --out '${disk}' --workers 2; }
        build 2> '${disk}.first'; echo "first $?"
        mount -o remount,size=200m '${disk}'
        build 2> '${disk}.second'; echo "second $?"
        '${Deno.execPath()}' eval "import { treeHash } from '${root}/tests/data/kill_build.ts'; console.log(await treeHash('${disk}'))"`;
      const { stdout } = await new Deno.Command("unshare", {
        args: ["-rm", "sh", "-c", script],
        env: { NO_COLOR: "1" },
      })
        .output();
      const lines = new TextDecoder().decode(stdout).trim().split("\n");
      const first = (await Deno.readTextFile(`${disk}.first`)).trim().split("\n");
      assert.equal(lines[0], "first 1", first.join("\n"));
      const errors = first.filter((line) => line.startsWith("error:"));
      assert.equal(errors.length, 1);
      assert.match(errors[0]!, /no space left on the disk; free some and run the same command again$/);
      const second = await Deno.readTextFile(`${disk}.second`);
      assert.equal(lines[1], "second 0", second);
      const reused = Number(/(\d+) finished before/.exec(second)![1]);
      assert.ok(reused >= 100, `${reused} were kept`); // all but the last batch, for whose journal there was no room
      assert.equal(lines[2], undisturbed);
    }),
});

Deno.test("an unknown source and flag end with status 2, and say why in one line", async () => {
  for (
    const args of [["--source", "nowhere"], ["--split", "x"], ["--species", "9-1"], ["--nope"], ["--workers", "0"]]
  ) {
    const { code, stderr } = await runBuild(args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /^error: .*\n$/);
  }
});
