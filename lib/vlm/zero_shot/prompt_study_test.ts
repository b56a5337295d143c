import assert from "node:assert/strict";
import { tensor } from "../../runtime/mod.ts";
import { species } from "../../species/mod.ts";
import { attributeCaption } from "../captions/mod.ts";
import { findByAttributes, PROMPT_SETS, studyPrompts } from "./prompt_study.ts";

const classes = [species[0]!, species[3]!, species[6]!]; // Bulbasaur, Charmander, Squirtle

/** Knows three words each, as axes, and hears nothing else. */
function listener(words: readonly string[]) {
  return {
    dimension: words.length + 1,
    logitScale: 10,
    embedTexts: (texts: readonly string[]) => {
      const rows = texts.flatMap((text) => {
        const heard = words.map((word) => Number(text.toLowerCase().includes(word)));
        const row = [...heard, 0.1], length = Math.hypot(...row);
        return row.map((value) => value / length);
      });
      return Promise.resolve(tensor("float32", [texts.length, words.length + 1], Float32Array.from(rows)));
    },
  };
}

/** Pictures of the classes, each on its axis. */
const features = {
  features: tensor(
    "float32",
    [6, 4],
    Float32Array.from([0, 1, 2, 0, 1, 2].flatMap((axis) => [0, 1, 2, 3].map((i) => Number(i === axis)))),
  ),
  labels: Int32Array.of(0, 1, 2, 0, 1, 2),
};

Deno.test("the prompt study finds the words that an encoder understands, on validation", async () => {
  const knowsTypes = listener(["grass", "fire", "water"]);
  const { results, best } = await studyPrompts(knowsTypes, { classes, validation: features });
  assert.equal(results.length, PROMPT_SETS.length);
  assert.equal(best.name, "name and types");
  const of = (name: string) => results.find((result) => result.name === name)!.validation.top1.share;
  assert.deepEqual([of("the name alone"), of("name and types"), of("name and description")], [1 / 3, 1, 1]);
  const knowsNames = listener(["bulbasaur", "charmander", "squirtle"]);
  assert.equal((await studyPrompts(knowsNames, { classes, validation: features })).best.name, "the name alone");
  assert.equal(results[0]!.example, "Bulbasaur");
  await assert.rejects(studyPrompts(knowsTypes, { classes, validation: features, sets: [] }), /found none/);
});

Deno.test("every prompt set with the name has it, the last has no species' name", () => {
  const pikachu = species[24]!;
  for (const set of PROMPT_SETS.slice(0, -1)) {
    for (const text of set.texts(pikachu)) assert.match(text, /Pikachu/, set.name);
  }
  assert.ok(PROMPT_SETS.at(-1)!.texts(pikachu).every((text) => !text.includes("Pikachu")));
});

Deno.test("species are found by attributes, and no name is told, not even of what they evolve from", async () => {
  const asked: string[] = [];
  const encoder = listener(["grass", "fire", "water"]);
  const spy = {
    ...encoder,
    embedTexts: (texts: readonly string[]) => (asked.push(...texts), encoder.embedTexts(texts)),
  };
  const found = await findByAttributes(spy, features, classes);
  assert.deepEqual([found.top1.share, found.medianRank, found.among], [1, 0, 3]);
  assert.deepEqual(found.chance, { top1: 1 / 3, top5: 1 });
  assert.ok(asked.every((text) => species.every(({ name }) => !text.includes(name))), String(asked[0]));
  assert.match(attributeCaption(species[24]!), /evolves from Pichu/); // it would be, unless told not to
  const deaf = await findByAttributes(encoder, features, classes, { attributes: ["generation"] });
  assert.equal(deaf.top1.share, 1 / 3); // all of one generation: as good as guessing
});
