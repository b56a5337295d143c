/** `deno task species`: writes the table of `lib/species/` anew from the package @pkmn/dex. */

import { join } from "node:path";
import { Dex } from "@pkmn/dex";
import { runCommand, WorkError, writeAtomic } from "../lib/runtime/mod.ts";

/** Names that the package spells without the symbols of the games. */
const spelling: Readonly<Record<string, string>> = { "Nidoran-F": "Nidoran♀", "Nidoran-M": "Nidoran♂" };

await runCommand({
  usage: "deno task species",
  about: "Writes lib/species/species.tsv: dex number, English name, types, generation of all 1,025 species.",
  flags: {},
  async run(values) {
    const rows = Dex.species.all()
      .filter((form) => form.num >= 1 && form.num <= 1025 && form.forme === "")
      .sort((a, b) => a.num - b.num)
      .map((form) => [form.num, (spelling[form.name] ?? form.name).normalize("NFC"), form.types.join("/"), form.gen]);
    if (rows.length !== 1025 || rows.some(([dex], index) => dex !== index + 1)) {
      throw new WorkError(`@pkmn/dex: expected the species 1 … 1025 once each, found ${rows.length} rows`);
    }
    const path = join(import.meta.dirname!, "..", "lib", "species", "species.tsv");
    await writeAtomic(path, ["dex\tname\ttypes\tgeneration", ...rows.map((row) => row.join("\t"))].join("\n") + "\n");
    if (!values.json) console.error(`${rows.length} species → lib/species/species.tsv`);
    return { species: rows.length };
  },
});
