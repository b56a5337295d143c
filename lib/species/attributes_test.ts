import assert from "node:assert/strict";
import * as speciesData from "pokemon-species-data";
import { attributesByDex, colours, eggGroups, evolutionsOf, speciesByDex, speciesByName, SpeciesError } from "./mod.ts";

const of = (name: string) => attributesByDex(speciesByName(name).dex);

Deno.test("attributes that everyone knows: Pikachu is yellow, 0.4 m, 6 kg, and evolves from Pichu", () => {
  assert.deepEqual(of("Pikachu"), {
    dex: 25,
    colour: "Yellow",
    eggGroups: ["Field", "Fairy"],
    height: 0.4,
    weight: 6,
    evolvesFrom: 172,
    stage: 2,
  });
  assert.equal(of("Pichu").stage, 1);
  assert.equal(of("Raichu").stage, 3);
  assert.equal(of("Charizard").colour, "Red");
  assert.equal(of("Snorlax").weight, 460);
  assert.equal(of("Wailord").height, 14.5);
  assert.deepEqual(of("Ditto").eggGroups, ["Ditto"]);
  assert.deepEqual(of("Mewtwo").eggGroups, []);
});

Deno.test("a species of a regional form evolves from the form's species", () => {
  assert.equal(of("Obstagoon").evolvesFrom, speciesByName("Linoone").dex);
  assert.equal(of("Obstagoon").stage, 3);
});

Deno.test("Eevee has eight evolutions, and the last of a line none", () => {
  const names = evolutionsOf(133).map(({ name }) => name);
  assert.deepEqual(names, [
    "Vaporeon",
    "Jolteon",
    "Flareon",
    "Espeon",
    "Umbreon",
    "Leafeon",
    "Glaceon",
    "Sylveon",
  ]);
  assert.deepEqual(evolutionsOf(6), []);
});

interface Peer {
  readonly nationalDex: number;
  readonly formes: readonly {
    readonly isBaseForme: boolean;
    readonly height: number;
    readonly weight: number;
    readonly eggGroups: readonly string[];
  }[];
}

Deno.test("heights, weights and egg groups agree with pokemon-species-data for nearly all species", () => {
  const isPeer = (value: unknown): value is Peer =>
    typeof value === "object" && value !== null && "nationalDex" in value;
  const peers = Object.values(speciesData).flatMap((module) => Object.values(module)).filter(isPeer);
  const different = new Set<string>();
  for (const { nationalDex, formes } of peers) {
    const base = formes.find((form) => form.isBaseForme) ?? formes[0]!, ours = attributesByDex(nationalDex);
    const groups = base.eggGroups.filter((group) => group !== "Undiscovered");
    const same = base.height === ours.height && base.weight === ours.weight &&
      JSON.stringify(groups) === JSON.stringify(ours.eggGroups);
    if (!same) different.add(speciesByDex(nationalDex).name);
  }
  assert.ok(different.size <= 10, [...different].join(", "));
});

Deno.test("all attributes are in their lists, stages follow the evolutions, and a wrong number is refused", () => {
  for (let dex = 1; dex <= 1025; dex++) {
    const { colour, eggGroups: groups, height, weight, evolvesFrom, stage } = attributesByDex(dex);
    assert.ok(colours.includes(colour) && height > 0 && weight > 0, String(dex));
    assert.ok(groups.length <= 2 && groups.every((group) => eggGroups.includes(group)), String(dex));
    assert.equal(stage, evolvesFrom === undefined ? 1 : attributesByDex(evolvesFrom).stage + 1);
  }
  assert.throws(() => attributesByDex(0), SpeciesError);
  assert.throws(() => evolutionsOf(1026), SpeciesError);
});
