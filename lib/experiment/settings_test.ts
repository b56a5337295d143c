/** Tests of profiles and of what notebooks are given. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSeed, readProfile, settings } from "./settings.ts";

Deno.test("the four profiles are valid, and named as in the design", async () => {
  const species = [];
  for (const name of ["smoke", "quick", "national", "blog"]) species.push((await readProfile(name)).species);
  assert.deepEqual(species, [12, 151, 1025, 1025]);
});

Deno.test("an unknown profile is refused with the known ones, and no path leads out of the folder", async () => {
  await assert.rejects(
    readProfile("huge"),
    /InputError: --profile: expected blog, national, quick, smoke, found "huge"/,
  );
  await assert.rejects(readProfile("../profiles/quick"), /found "..\/profiles\/quick"/);
});

Deno.test("a profile with a wrong value is refused with file, line and column", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const good = await Deno.readTextFile(new URL("../../configs/profiles/smoke.yaml", import.meta.url));
    const path = join(folder, "smoke.yaml");
    const cases = [
      [good.replace("species: 12", "species: 1026"), /smoke\.yaml:\d+:1: species: expected at most 1025, found 1026/],
      [good + "specis: 3\n", /smoke\.yaml:\d+:1: specis: expected a known key, found "specis"/],
      [good.replace("source: sprites", "source: web"), /source: expected sprites, folder:PATH or hub:OWNER\/NAME/],
      [good.replace("name: smoke", "name: other"), /name: expected "smoke", found "other"/],
    ] as const;
    for (const [text, message] of cases) {
      assert.notEqual(text, good);
      await Deno.writeTextFile(path, text);
      await assert.rejects(readProfile("smoke", folder), message);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("settings() follows POKEDEX_PROFILE and POKEDEX_SEED", async () => {
  const before = ["POKEDEX_PROFILE", "POKEDEX_SEED"].map((name) => [name, Deno.env.get(name)] as const);
  try {
    Deno.env.delete("POKEDEX_PROFILE");
    Deno.env.delete("POKEDEX_SEED");
    assert.equal((await settings()).profile.name, "quick");
    Deno.env.set("POKEDEX_PROFILE", "smoke");
    Deno.env.set("POKEDEX_SEED", "7");
    const { profile, seed } = await settings();
    assert.deepEqual([profile.name, seed], ["smoke", 7]);
  } finally {
    for (const [name, value] of before) value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  }
});

Deno.test("the source of the profile gives way to POKEDEX_SOURCE, and a relative folder starts at the project", async () => {
  const before = ["POKEDEX_PROFILE", "POKEDEX_SOURCE"].map((name) => [name, Deno.env.get(name)] as const);
  const project = fileURLToPath(new URL("../..", import.meta.url));
  try {
    Deno.env.set("POKEDEX_PROFILE", "smoke");
    Deno.env.delete("POKEDEX_SOURCE");
    assert.deepEqual([(await settings()).source, (await settings()).dataFolder], [
      "sprites",
      join(project, "data", "smoke"),
    ]);
    Deno.env.set("POKEDEX_SOURCE", "folder:../my pictures");
    assert.equal((await settings()).source, `folder:${join(project, "..", "my pictures")}`);
    Deno.env.set("POKEDEX_SOURCE", "web:everything");
    await assert.rejects(settings(), /POKEDEX_SOURCE: expected sprites, folder:PATH or hub:OWNER\/NAME, found/);
  } finally {
    for (const [name, value] of before) value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  }
});

Deno.test("a seed that is no whole number is refused", () => {
  for (const text of ["1.5", "-1", "x", "4294967296"]) {
    assert.throws(() => parseSeed(text, "--seed"), /--seed: expected/);
  }
});
