import assert from "node:assert/strict";
import englishNames from "pokemon/data/en.json" with { type: "json" };
import * as speciesData from "pokemon-species-data";
import {
  species,
  speciesByClassId,
  speciesByDex,
  speciesByName,
  SpeciesError,
  speciesOfGeneration,
  types,
} from "./mod.ts";

interface Peer {
  readonly name: string;
  readonly nationalDex: number;
  readonly formes: readonly {
    readonly isBaseForme: boolean;
    readonly types: readonly string[];
    readonly gen: number;
  }[];
}

Deno.test("the names agree with the package pokemon for all 1,025 species", () => {
  const flat = (name: string) => name.replaceAll("’", "'").normalize("NFC");
  assert.equal(species.length, 1025);
  assert.deepEqual(species.map((row) => flat(row.name)), englishNames.map(flat));
});

Deno.test("types and generations agree with pokemon-species-data for all 1,025 species", () => {
  const isPeer = (value: unknown): value is Peer =>
    typeof value === "object" && value !== null && "nationalDex" in value && "formes" in value;
  const peers = Object.values(speciesData).flatMap((module) => Object.values(module)).filter(isPeer);
  const seen = new Set<number>();
  for (const peer of peers) {
    const base = peer.formes.find((form) => form.isBaseForme) ?? peer.formes[0]!;
    const ours = speciesByDex(peer.nationalDex);
    assert.deepEqual([...ours.types], [...base.types], ours.name);
    assert.equal(ours.generation, base.gen, ours.name);
    seen.add(peer.nationalDex);
  }
  assert.equal(seen.size, 1025);
});

Deno.test("class id is dex number − 1 and every type is one of the eighteen", () => {
  for (const row of species) {
    assert.equal(row.classId, row.dex - 1);
    assert.equal(speciesByClassId(row.classId), row);
    for (const type of row.types) assert.ok(types.includes(type), type);
  }
});

Deno.test("the generations have the sizes that the games had: 151, 100, 135, 107, 156, 72, 88, 96, 120", () => {
  const sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((generation) => speciesOfGeneration(generation).length);
  assert.deepEqual(sizes, [151, 100, 135, 107, 156, 72, 88, 96, 120]);
});

Deno.test("a name is found however it is written, and no two species share a key", () => {
  for (const row of species) assert.equal(speciesByName(row.name.toUpperCase()), row);
  assert.equal(speciesByName("mr mime").dex, 122);
  assert.equal(speciesByName("nidoran-m").dex, 32);
  assert.equal(speciesByName("flabebe").dex, 669);
});

Deno.test("an unknown name or number is one line with what was expected", () => {
  assert.throws(() => speciesByName("Pikachuu"), (error: Error) => {
    assert.ok(error instanceof SpeciesError);
    assert.match(error.message, /found "Pikachuu"; did you mean Pikachu\?/);
    return true;
  });
  for (const dex of [0, 1026, 2.5, NaN]) assert.throws(() => speciesByDex(dex), /expected 1 … 1025/);
  assert.throws(() => speciesByClassId(-1), /expected 0 … 1024/);
});
