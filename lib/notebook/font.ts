/** The font of static pictures: one TrueType family from npm, so that a machine without fonts draws the same letters. */

import { dirname, join } from "node:path";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { exists, writeAtomic } from "../runtime/mod.ts";

/** For `font-family`: the bundled family first, what the reader's machine has after it. */
export const textFont = "DejaVu Sans, Verdana, sans-serif";

let ready: Promise<void> | undefined;

/**
 * Points fontconfig (which draws texts inside sharp) at the bundled family besides the system's own fonts. It must run
 * before the process draws its first text, as fontconfig reads its settings once; later calls do nothing.
 */
export function useBundledFont(): Promise<void> {
  return ready ??= configure();
}

async function configure(): Promise<void> {
  if (Deno.env.get("FONTCONFIG_FILE")) return;
  // the literal import makes Deno fetch the package; its TrueType files then lie beside package.json
  await import("dejavu-fonts-ttf/package.json", { with: { type: "json" } });
  const folder = join(dirname(fileURLToPath(import.meta.resolve("dejavu-fonts-ttf/package.json"))), "ttf");
  if (!await exists(folder)) return;
  const settings = join(tmpdir(), `pokedex-fontconfig-${Deno.uid() ?? "user"}.conf`);
  const written = await writeAtomic(
    settings,
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${folder.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`,
  ).then(() => true, () => false);
  if (!written) return; // the system's own fonts then serve
  Deno.env.set("FONTCONFIG_FILE", settings);
}
