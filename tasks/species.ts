/** `deno task species`: writes the tables of `lib/species/` anew from the package @pkmn/sim. */

import { join } from "node:path";
import { Dex, type Species } from "@pkmn/sim";
import { runCommand, WorkError, writeAtomic } from "../lib/runtime/mod.ts";

/** Names that the package spells without the symbols of the games. */
const spelling: Readonly<Record<string, string>> = { "Nidoran-F": "Nidoran♀", "Nidoran-M": "Nidoran♂" };

/** Dex numbers of what a species evolves from, the nearest first; of a regional form its species'. */
function ancestors({ prevo }: Species): number[] {
  if (!prevo) return [];
  const form = Dex.species.get(prevo);
  return [form.num, ...ancestors(form)];
}

await runCommand({
  usage: "deno task species",
  about:
    "Writes lib/species/species.tsv (dex number, English name, types, generation) and attributes.tsv (colour, egg groups, " +
    "height, weight, evolution) of all 1,025 species.",
  flags: {},
  async run(values) {
    const forms = Dex.species.all()
      .filter((form) => form.num >= 1 && form.num <= 1025 && form.forme === "")
      .sort((a, b) => a.num - b.num);
    if (forms.length !== 1025 || forms.some(({ num }, index) => num !== index + 1)) {
      throw new WorkError(`@pkmn/sim: expected the species 1 … 1025 once each, found ${forms.length} rows`);
    }
    const table = (name: string, head: string, row: (form: Species) => readonly (string | number)[]) =>
      writeAtomic(
        join(import.meta.dirname!, "..", "lib", "species", name),
        [head, ...forms.map((form) => row(form).join("\t"))].join("\n") + "\n",
      );
    await table("species.tsv", "dex\tname\ttypes\tgeneration", ({ num, name, types, gen }) => [
      num,
      (spelling[name] ?? name).normalize("NFC"),
      types.join("/"),
      gen,
    ]);
    await table("attributes.tsv", "dex\tcolour\teggGroups\theight\tweight\tevolvesFrom\tstage", (form) => {
      const before = ancestors(form);
      const groups = form.eggGroups.filter((group) => group !== "Undiscovered");
      return [form.num, form.color, groups.join("/"), form.heightm, form.weightkg, before[0] ?? "", before.length + 1];
    });
    if (!values.json) console.error(`${forms.length} species → lib/species/species.tsv, attributes.tsv`);
    return { species: forms.length };
  },
});
