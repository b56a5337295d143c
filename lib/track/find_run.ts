/** A run by its folder, its id or a part of its id. */

import { join } from "node:path";
import { exists, InputError } from "../runtime/mod.ts";
import { listRunFolders } from "./list_runs.ts";

/** The folder of the run that a person means. Throws InputError when there is none, or when several have that part in their id. */
export async function findRun(folder: string, text: string): Promise<string> {
  if (/[\\/]/.test(text) && await exists(join(text, "log.jsonl"))) return text;
  const ids = await listRunFolders(folder);
  if (ids.includes(text)) return join(folder, text);
  const found = ids.filter((id) => id.includes(text));
  if (found.length === 1) return join(folder, found[0]!);
  const count = found.length === 0
    ? `none among ${ids.length}`
    : `${found.length}: ${found.slice(0, 4).join(", ")}${found.length > 4 ? ", …" : ""}`;
  throw new InputError(`${folder}: expected one run "${text}", found ${count}`);
}
