/** Prototypes by hand: where they lie, what is nearest, what a file keeps. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { tensor } from "../../runtime/mod.ts";
import { OpenSpecies } from "./open_species.ts";

const rows = (...vectors: readonly (readonly number[])[]) =>
  tensor("float32", [vectors.length, vectors[0]!.length], vectors.flat());
const close = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) < 1e-6, `${found}, ${expected}`);

Deno.test("a prototype is the direction of the text, so many pictures strong, and the pictures; none of them need be of length 1", () => {
  const species = new OpenSpecies({ dimension: 2, scale: 1 });
  species.add({ name: "text", texts: rows([5, 0]) });
  species.add({ name: "picture", pictures: rows([0, 0.1]) });
  // 4 · (1, 0) + 3 · (0, 1), of length 5.
  species.add({ name: "both", texts: rows([1, 0]), pictures: rows([0, 1], [0, 7], [0, 2]) });
  species.add({ name: "weak text", texts: rows([1, 0], [3, 0]), pictures: rows([0, 1]) }, { textPictures: 1 });
  const { data, shape } = species.prototypes;
  assert.deepEqual(shape, [4, 2]);
  [1, 0, 0, 1, 0.8, 0.6, Math.SQRT1_2, Math.SQRT1_2].forEach((x, i) => close(data[i]!, x));
});

Deno.test("guesses come by cosine, their scores are a softmax over all species", () => {
  const species = new OpenSpecies({ dimension: 2, scale: 2 });
  species.add({ name: "east", texts: rows([1, 0]) });
  species.add({ name: "north", texts: rows([0, 1]) });
  species.add({ name: "west", texts: rows([-1, 0]) });
  const [[first, second], guesses] = species.classify(rows([9, 0], [0, 2]), 2) as [
    [{ name: string; cosine: number; score: number }, { name: string }],
    { name: string }[],
  ];
  assert.deepEqual([first.name, second.name, guesses[0]!.name, guesses.length], ["east", "north", "north", 2]);
  close(first.cosine, 1);
  close(first.score, Math.exp(2) / (Math.exp(2) + 1 + Math.exp(-2)));
});

Deno.test("species come and go; a file gives back names, prototypes and scale to the bit", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const species = new OpenSpecies({ dimension: 3, scale: 12.5 }),
      path = join(folder, "new", "prototypes.safetensors");
    species.add({ name: "Farfetch’d", texts: rows([1, 2, 3]) });
    species.add({ name: "Mr. Mime", texts: rows([0, 0, 1]) });
    species.add({ name: "Ho-Oh", pictures: rows([1, 0, 1]) });
    species.remove("Mr. Mime");
    await species.save(path);
    const loaded = await OpenSpecies.load(path);
    assert.deepEqual(loaded.names, ["Farfetch’d", "Ho-Oh"]);
    assert.equal(loaded.scale, 12.5);
    const [before, after] = [species.prototypes.data, loaded.prototypes.data];
    before.forEach((x, i) => close(after[i]!, x));
    assert.throws(() => loaded.remove("Mr. Mime"), /"Mr\. Mime": expected one of 2, found none of that name/);
    loaded.add({ name: "Mr. Mime", texts: rows([0, 0, 1]) });
    assert.equal(loaded.classify(rows([0, 0, 1]), 1)[0]![0]!.name, "Mr. Mime");
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 5));
    await assert.rejects(OpenSpecies.load(path), { name: "InputError", message: /prototypes\.safetensors: expected / });
    await assert.rejects(OpenSpecies.load(join(folder, "none")), /none: expected a safetensors file, found /);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what cannot be a species is refused in one line", () => {
  const species = new OpenSpecies({ dimension: 2, scale: 1 });
  species.add({ name: "Mew", texts: rows([1, 0]) });
  const refused = (given: Parameters<OpenSpecies["add"]>[0], expected: RegExp) => {
    assert.throws(() => species.add(given), { name: "InputError", message: expected });
    assert.deepEqual(species.names, ["Mew"]);
  };
  refused({ name: "Mew", texts: rows([0, 1]) }, /"Mew": expected a new name, found it taken/);
  refused({ name: " ", texts: rows([0, 1]) }, /expected a name, found none/);
  refused({ name: "Muk" }, /"Muk": expected a text or a picture, found neither/);
  refused({ name: "Muk", pictures: rows([1, 2, 3]) }, /pictures: expected embeddings \[N, 2\], found \[1, 3\]/);
  refused(
    { name: "Muk", pictures: rows([1, 0], [-1, 0]) },
    /expected a vector with a direction, found one of length 0/,
  );
  refused({ name: "Muk", pictures: rows([NaN, 0]) }, /pictures 0: expected a vector with a direction/);
  assert.throws(() => new OpenSpecies({ dimension: 2, scale: 1 }).classify(rows([1, 0])), /at least one species/);
});
