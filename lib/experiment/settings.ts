/** What is to be run: the profile and the seed, given by the runner or by the reader's own choice. */

import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { InputError, readConfig } from "../runtime/mod.ts";

const sourcePattern = /^(sprites|folder:.+|hub:[^/\s]+\/[^/\s]+)$/;

/** How much to run; the files in `configs/profiles/` say what each field is for. */
export const profileSchema = z.strictObject({
  /** The profile's name: that of its file. */
  name: z.string().regex(/^[a-z][a-z0-9-]*$/),
  /** One sentence. */
  description: z.string().min(1),
  /** Species taken: the first of the National Dex, 1 … this number. */
  species: z.int().min(1).max(1025),
  /** Where raw pictures come from: `sprites`, `folder:PATH` or `hub:OWNER/NAME`. */
  source: z.string().regex(sourcePattern, { error: "sprites, folder:PATH or hub:OWNER/NAME" }),
  /** Start of all random numbers. */
  seed: z.int().min(0).max(4294967295),
  /** Longest time for one cell and for one notebook, minutes: beyond, the kernel is killed. */
  cellMinutes: z.number().positive(),
  notebookMinutes: z.number().positive(),
});

export type Profile = z.output<typeof profileSchema>;

/** The profile used where none is named. */
export const defaultProfile = "quick";

/** The folder of this project. */
export const projectFolder = fileURLToPath(new URL("../../", import.meta.url));
const profileFolder = join(projectFolder, "configs", "profiles");

/** Reads a profile of `configs/profiles/`. Throws InputError for an unknown name or a wrong file. */
export async function readProfile(name: string, folder = profileFolder): Promise<Profile> {
  const names = await profileNames(folder);
  if (!names.includes(name)) {
    throw new InputError(`--profile: expected ${names.join(", ") || `files in ${folder}`}, found "${name}"`);
  }
  const profile = await readConfig(join(folder, `${name}.yaml`), profileSchema);
  if (profile.name !== name) {
    throw new InputError(`${join(folder, name)}.yaml: name: expected "${name}", found "${profile.name}"`);
  }
  return profile;
}

async function profileNames(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.name.endsWith(".yaml")) names.push(basename(entry.name, ".yaml"));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

/** What a notebook works with. */
export interface Settings {
  readonly profile: Profile;
  /** POKEDEX_SEED where it is set, else the profile's. */
  readonly seed: number;
  /** POKEDEX_SOURCE where it is set, else the profile's; a relative path in it starts at the project's folder. */
  readonly source: string;
  /** Where this profile's dataset stands: `data/PROFILE/` in the project's folder. */
  readonly dataFolder: string;
}

/**
 * The settings of this run: the profile named by POKEDEX_PROFILE (`deno task reproduce --profile` sets it; else "quick") and
 * the seed by POKEDEX_SEED, the source of raw pictures by POKEDEX_SOURCE. Throws InputError for an unknown profile or source, or a seed that is no whole number.
 */
export async function settings(): Promise<Settings> {
  const profile = await readProfile(Deno.env.get("POKEDEX_PROFILE") || defaultProfile);
  const text = Deno.env.get("POKEDEX_SEED");
  return {
    profile,
    seed: text ? parseSeed(text, "POKEDEX_SEED") : profile.seed,
    source: parseSource(Deno.env.get("POKEDEX_SOURCE") || profile.source, "POKEDEX_SOURCE"),
    dataFolder: join(projectFolder, "data", profile.name),
  };
}

/** A source's name with its path, which starts at `base`, made absolute; `name` is where it came from. */
export function parseSource(text: string, name: string, base = projectFolder): string {
  if (!sourcePattern.test(text)) {
    throw new InputError(`${name}: expected sprites, folder:PATH or hub:OWNER/NAME, found "${text}"`);
  }
  return text.startsWith("folder:") ? `folder:${resolve(base, text.slice("folder:".length))}` : text;
}

/** A seed from text; `name` is where it came from. */
export function parseSeed(text: string, name: string): number {
  const seed = Number(text);
  if (!/^\d+$/.test(text) || seed > 4294967295) {
    throw new InputError(`${name}: expected a whole number in 0 … 4294967295, found "${text}"`);
  }
  return seed;
}
