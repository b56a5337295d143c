/** Raw pictures for measurements: an even sample of a source. */

import { join } from "node:path";
import { openSource, type RawSource } from "../../lib/data/mod.ts";
import { exists } from "../../lib/runtime/mod.ts";

/** Where the developers' raw pictures lie, if they do. */
const shared = join(import.meta.dirname!, "..", "..", "..", "shared", "pokemon", "all_pokemon");

/** Opens a source ("auto": the developers' pictures if they are there, else the sprites) and keeps about `count` files. */
export async function sampleSource(name: string, count: number): Promise<RawSource> {
  const source = await openSource(name === "auto" ? (await exists(shared) ? `folder:${shared}` : "sprites") : name);
  const { items } = await source.list();
  const step = Math.max(1, items.length / count);
  const sample = Array.from({ length: Math.min(count, items.length) }, (_, index) => items[Math.floor(index * step)]!);
  return { name: source.name, list: () => Promise.resolve({ items: sample, skipped: [] }) };
}
