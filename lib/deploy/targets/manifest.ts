/** What a package for a device says of itself, and how its folder comes to be: whole or not at all, the same for the same model. */

import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { InputError, readJson, sha256 } from "../../runtime/mod.ts";
import { signBytes, type SigningKey } from "../updates/keys.ts";

/** Devices that packages are made for. */
export const TARGETS = ["tensorrt", "rpi", "web", "triton"] as const;

/** See `TARGETS`. */
export type Target = typeof TARGETS[number];

/** The schema of `manifest.json`. */
export const manifestSchema = z.strictObject({
  format: z.literal("pokedex-target-1"),
  target: z.enum([...TARGETS, "k210", "edgetpu"]),
  /** The model's name. */
  model: z.string().min(1),
  /** Rises with every release; a device takes no smaller one. */
  version: z.int().min(1),
  /** The day on which the model was trained: the same model gives the same bytes. */
  created: z.string().regex(/^\d{4}-\d\d-\d\d/, "a date"),
  /** The model file that the package was made of. */
  source: z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  /** The oldest runner that can run these files, where there is one. */
  runner: z.strictObject({ minimum: z.int().min(0) }),
  /** The share of devices that may take this version, 0 … 1. */
  rollout: z.number().min(0).max(1),
  /** All files but this one, its signature and SHA256SUMS. `update`: an update brings it; the others stay as installed. */
  files: z.array(z.strictObject({
    path: z.string().regex(/^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/, "a path within the package"),
    bytes: z.int().min(0),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    update: z.boolean(),
  })),
});

/** What `manifest.json` holds. */
export type TargetManifest = z.output<typeof manifestSchema>;

/** A file of a package. */
export interface TargetFile {
  /** Within the package, with "/". */
  readonly path: string;
  readonly content: Uint8Array | string;
  /** Whether an update brings it. */
  readonly update?: boolean;
}

/** Reads and checks the manifest of a package's folder. Throws InputError that names the place. */
export async function readManifest(folder: string): Promise<TargetManifest> {
  const path = join(folder, "manifest.json"), parsed = manifestSchema.safeParse(await readJson(path));
  if (parsed.success) return parsed.data;
  const { path: place, message } = parsed.error.issues[0]!;
  throw new InputError(`${path}: ${place.join(".") || "the manifest"}: ${message}`);
}

/** Throws InputError, in one line, where a package cannot be written: something else stands there. */
export async function expectFree(folder: string): Promise<void> {
  let found = "";
  try {
    for await (const _ of Deno.readDir(folder)) {
      found = "one that is not empty";
      break;
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    found = error instanceof Deno.errors.NotADirectory ? "a file" : String(error);
  }
  if (found) throw new InputError(`${folder}: expected no folder or an empty one, found ${found}`);
}

/**
 * Writes a package: its files, `manifest.json`, with a key `manifest.sig`, and `SHA256SUMS`. The folder appears when all is written.
 * Throws InputError where it is there and not empty.
 */
export async function writeTarget(
  folder: string,
  { files, key, ...facts }: Omit<TargetManifest, "format" | "files"> & {
    readonly files: readonly TargetFile[];
    readonly key?: SigningKey | undefined;
  },
): Promise<TargetManifest> {
  await expectFree(folder);
  const bytesOf = (content: Uint8Array | string) =>
    typeof content === "string" ? new TextEncoder().encode(content) : content;
  const all = files.map(({ path, content, update = false }) => ({ path, update, content: bytesOf(content) }))
    .sort((a, b) => a.path < b.path ? -1 : 1);
  const manifest = manifestSchema.parse({
    format: "pokedex-target-1",
    ...facts,
    files: all.map(({ path, content, update }) => ({ path, bytes: content.length, sha256: sha256(content), update })),
  });
  const text = bytesOf(JSON.stringify(manifest, null, 2) + "\n");
  const more = [
    { path: "manifest.json", content: text },
    ...(key ? [{ path: "manifest.sig", content: bytesOf(signBytes(text, key) + "\n") }] : []),
  ];
  const sums = [...all, ...more].map(({ path, content }) => `${sha256(content)}  ${path}\n`).join("");
  const target = resolve(folder);
  await Deno.mkdir(dirname(target), { recursive: true });
  const made = await Deno.makeTempDir({ dir: dirname(target), prefix: `.${basename(target)}-`, suffix: ".tmp~" });
  try {
    for (const { path, content } of [...all, ...more, { path: "SHA256SUMS", content: bytesOf(sums) }]) {
      await Deno.mkdir(dirname(join(made, path)), { recursive: true });
      await Deno.writeFile(join(made, path), content);
    }
    await Deno.chmod(made, 0o755); // a temporary folder is for its owner alone
    await Deno.rename(made, target);
  } catch (error) {
    await Deno.remove(made, { recursive: true }).catch(() => {});
    throw error;
  }
  return manifest;
}
