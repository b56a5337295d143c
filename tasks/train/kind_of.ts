/** What a settings file trains. */

import { z } from "zod";
import { readConfig } from "../../lib/runtime/mod.ts";

/** The `kind` of a settings file; undefined for a network that learns from species alone. Throws InputError as `readConfig`. */
export async function kindOf(path: string): Promise<string | undefined> {
  return (await readConfig(path, z.looseObject({ kind: z.string().optional() }))).kind;
}
