/** The kernelspec by which Jupyter and VS Code find the Deno kernel (https://jupyter-client.readthedocs.io/en/stable/kernels.html). */
// deno-lint-ignore-file camelcase -- the kernelspec's own names

import { join } from "node:path";
import { homedir } from "node:os";
import { z } from "zod";
import { exists, InputError, readJson, WorkError, writeAtomic } from "../runtime/mod.ts";

/** What was written or removed. */
export interface InstalledKernel {
  /** The kernelspec's folder. */
  readonly path: string;
  /** The Deno that the kernel is. */
  readonly deno: string;
  /** Why the path of Deno may not last; undefined when it will. */
  readonly warning?: string;
}

/** The user's Jupyter data folder: JUPYTER_DATA_DIR, else the system's usual place. */
export function jupyterDataFolder(
  env: (name: string) => string | undefined = (name) => Deno.env.get(name),
  system: typeof Deno.build.os = Deno.build.os,
): string {
  const chosen = env("JUPYTER_DATA_DIR");
  if (chosen) return chosen;
  const home = env("HOME") ?? homedir();
  if (system === "windows") return join(env("APPDATA") ?? join(home, "AppData", "Roaming"), "jupyter");
  if (system === "darwin") return join(home, "Library", "Jupyter");
  return join(env("XDG_DATA_HOME") || join(home, ".local", "share"), "jupyter");
}

const specSchema = z.object({ argv: z.array(z.string()), language: z.string() });

/**
 * Writes `kernels/deno/kernel.json`, over an older one. The kernel is the Deno that runs this: where it came through npx it
 * lies in npm's cache, and the kernel works until that cache is emptied; `warning` then says so.
 */
export async function installKernel(
  dataFolder: string = jupyterDataFolder(),
  deno: string = Deno.execPath(),
): Promise<InstalledKernel> {
  const path = join(dataFolder, "kernels", "deno");
  const spec = {
    argv: [deno, "jupyter", "--kernel", "--conn", "{connection_file}"],
    display_name: "Deno",
    language: "typescript",
  };
  try {
    await Deno.mkdir(path, { recursive: true });
    await writeAtomic(join(path, "kernel.json"), JSON.stringify(spec, null, 2) + "\n");
  } catch (error) {
    throw new WorkError(`${path}: cannot write the kernelspec: ${(error as Error).message}`, { cause: error });
  }
  const temporary = /[\\/]_npx[\\/]/.test(deno);
  const warning = `Deno stands in npm's cache (${deno}); should that be emptied, run this command again`;
  return { path, deno, ...(temporary ? { warning } : {}) };
}

/** Removes the kernelspec; false when none was there. Throws InputError for one that is not Deno's. */
export async function removeKernel(dataFolder: string = jupyterDataFolder()): Promise<boolean> {
  const path = join(dataFolder, "kernels", "deno");
  const file = join(path, "kernel.json");
  if (!await exists(file)) return false;
  const spec = specSchema.safeParse(await readJson(file));
  if (!spec.success || !spec.data.argv.includes("jupyter") || spec.data.language !== "typescript") {
    throw new InputError(`${file}: expected the kernelspec of Deno, found another; it was left alone`);
  }
  await Deno.remove(path, { recursive: true });
  return true;
}
