/** Tests of other_pictures.ts, and of squares as loader/square.ts makes them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import sharp from "sharp";
import type { ProgressReport } from "../runtime/mod.ts";
import { plainBackground } from "./backgrounds.ts";
import { planesOn, readPictureFile } from "./loader/mod.ts";
import { openOtherPictures, type OtherPicture } from "./other_pictures.ts";

const options = { count: 24, size: 32, view: "picture" } as const;

/** Share of pixels whose neighbour to the right has another colour. */
function roughness({ picture: { data, width } }: OtherPicture): number {
  let changes = 0;
  for (let at = 0; at < data.length - 4; at += 4) {
    if (at / 4 % width !== width - 1 && [0, 1, 2].some((k) => Math.abs(data[at + k]! - data[at + 4 + k]!) > 8)) {
      changes++;
    }
  }
  return changes / (data.length / 4);
}

Deno.test("made pictures are as many of each kind, follow from the seed, and are what their kinds say", async () => {
  const reports: ProgressReport[] = [];
  const found = await openOtherPictures("made", { ...options, onProgress: (report) => void reports.push(report) });
  assert.deepEqual(reports.at(-1), { label: "made", done: 24, total: 24, unit: "pictures" });
  const kinds = Map.groupBy(found, ({ kind }) => kind);
  assert.deepEqual([...kinds].map(([kind, members]) => [kind, members.length]), [
    ...[["random pixels", 4], ["gradient", 4], ["noise", 4], ["scene", 4], ["clutter", 4], ["figure", 4]],
  ]);
  assert.equal(new Set(found.map(({ id }) => id)).size, 24);
  for (const each of found) {
    assert.deepEqual([each.picture.width, each.picture.height, each.picture.data.length], [32, 32, 4096]);
    assert.equal(each.cutOut, each.kind === "figure", each.id);
  }
  const rough = (kind: string) => kinds.get(kind)!.reduce((sum, each) => sum + roughness(each), 0) / 4;
  assert.ok(rough("random pixels") > rough("clutter") && rough("clutter") > rough("gradient"));
  const again = await openOtherPictures("made", options);
  assert.deepEqual(again.map(({ picture }) => picture.data), found.map(({ picture }) => picture.data));
  const other = await openOtherPictures("made", { ...options, seed: 1 });
  assert.ok(other.every(({ picture }, i) => picture.data.some((value, at) => value !== found[i]!.picture.data[at])));
});

Deno.test("a folder's pictures come as readPictureFile() gives them; what is none, or not there, is refused", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(folder, "cups"));
    const svg = `<svg width="60" height="40"><circle cx="20" cy="20" r="15" fill="red"/></svg>`;
    const path = join(folder, "cups", "a.png");
    await sharp(new TextEncoder().encode(svg)).png().toFile(path);
    await sharp({ create: { width: 50, height: 50, channels: 3, background: "blue" } }).jpeg().toFile(
      join(folder, "b.jpg"),
    );
    await Deno.writeTextFile(join(folder, "notes.txt"), "no picture");
    const found = (await openOtherPictures(`folder:${folder}`, options)).sort((a, b) => a.id < b.id ? -1 : 1);
    assert.deepEqual(found.map(({ id, kind, cutOut }) => [id, kind, cutOut]), [
      ["b.jpg", "folder", false],
      ["cups/a.png", "cups", true],
    ]);
    const background = [10, 200, 30] as const, normalisation = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] } as const;
    const { planes } = await readPictureFile(path, { size: 32, background, normalisation });
    assert.deepEqual(planesOn(found[1]!.picture, plainBackground(background, 32, 32), normalisation), planes);
    await Deno.writeTextFile(join(folder, "c.png"), "text");
    await assert.rejects(openOtherPictures(`folder:${folder}`, options), /c\.png: expected a picture, found "text/);
    await assert.rejects(
      openOtherPictures(`folder:${folder}/none`, options),
      /none: expected a folder of pictures, found/,
    );
    await assert.rejects(openOtherPictures("cats", options), /expected made, emoji or folder:PATH, found "cats"/);
    await assert.rejects(openOtherPictures("made", { ...options, count: 0 }), /expected a count of at least one/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

// The package is fetched when it is first wanted; a test must not download.
const installed = new Deno.Command(Deno.execPath(), {
  args: [
    ...["eval", "--cached-only"],
    `await import("@iconify-json/fluent-emoji-flat/icons.json", { with: { type: "json" } })`,
  ],
  ...{ cwd: import.meta.dirname!, stdout: "null", stderr: "null" },
}).outputSync().success;

Deno.test({
  name: "emoji are coloured cut-outs, one a drawing",
  ignore: !installed,
  async fn() {
    const found = await openOtherPictures("emoji", { ...options, count: 40 });
    assert.equal(found.length, 40);
    assert.ok(found.filter(({ cutOut }) => cutOut).length > 30);
    assert.ok(found.every(({ id }) => !/-(light|dark|medium)$/.test(id)));
    const coloured = found.filter(({ picture: { data } }) =>
      data.some((value, at) => at % 4 === 0 && data[at + 3]! > 200 && Math.abs(value - data[at + 2]!) > 40)
    );
    assert.ok(coloured.length > 30, `${coloured.length} of 40 are coloured`);
  },
});
