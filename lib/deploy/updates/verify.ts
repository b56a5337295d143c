/** A signed package checked as a device checks an update: the signature over the manifest, then every file against it. */

import { join } from "node:path";
import { InputError, reason, sha256 } from "../../runtime/mod.ts";
import { manifestSchema, type TargetManifest } from "../targets/manifest.ts";
// The very function that devices have.
import { verifiedManifest } from "../targets/assets/rpi/updater.mjs";

/**
 * Checks a package's folder against a public key (SPKI in DER, base64). Throws InputError in one line for a missing or foreign
 * signature, and for a file that is not what the manifest says.
 */
export async function verifyPackage(folder: string, publicKey: string): Promise<TargetManifest> {
  const bytes = await readFile(folder, "manifest.json");
  const signature = new TextDecoder().decode(await readFile(folder, "manifest.sig"));
  let manifest: TargetManifest;
  try {
    manifest = manifestSchema.parse(verifiedManifest(bytes, signature, publicKey));
  } catch (error) {
    throw new InputError(`${folder}: ${reason(error)}`, { cause: error });
  }
  for (const { path, bytes: size, sha256: expected } of manifest.files) {
    const content = await readFile(folder, path);
    if (content.length === size && sha256(content) === expected) continue;
    throw new InputError(
      `${folder}: ${path}: expected ${size} bytes with SHA-256 ${expected.slice(0, 12)}…, found ` +
        `${content.length} with ${sha256(content).slice(0, 12)}…`,
    );
  }
  return manifest;
}

async function readFile(folder: string, path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(join(folder, path));
  } catch (error) {
    throw new InputError(`${folder}: ${path}: expected a file, found ${reason(error)}`, { cause: error });
  }
}

/** What was tried with a package, and what the check said. */
export interface TamperingTrial {
  readonly what: string;
  readonly isAccepted: boolean;
  /** Why not. */
  readonly why: string;
}

/**
 * Does to copies of a signed package what an attacker or a broken disk may do, and checks each: one bit of the model, another number in
 * the manifest, no signature, and the key of somebody else (`otherKey`, a public one).
 */
export async function tryTampering(
  folder: string,
  { publicKey, otherKey }: { readonly publicKey: string; readonly otherKey: string },
): Promise<TamperingTrial[]> {
  const { version } = await verifyPackage(folder, publicKey);
  const model = await Deno.readFile(join(folder, "model.onnx"));
  const text = await Deno.readTextFile(join(folder, "manifest.json"));
  const trials: readonly { what: string; key?: string; change?: (copy: string) => Promise<void> }[] = [
    { what: "the package as it was written" },
    {
      what: "one bit of the model is another",
      change: (copy) => Deno.writeFile(join(copy, "model.onnx"), model.map((byte, i) => i === 1000 ? byte ^ 1 : byte)),
    },
    {
      what: "the manifest claims another version",
      change: (copy) =>
        Deno.writeTextFile(
          join(copy, "manifest.json"),
          text.replace(`"version": ${version},`, `"version": ${version + 1},`),
        ),
    },
    { what: "the signature is gone", change: (copy) => Deno.remove(join(copy, "manifest.sig")) },
    { what: "the device trusts another key", key: otherKey },
  ];
  const found: TamperingTrial[] = [], parent = await Deno.makeTempDir({ prefix: "pokedex_tamper_" });
  try {
    for (const [i, { what, key = publicKey, change }] of trials.entries()) {
      const copy = join(parent, `trial-${i}`);
      await copyFolder(folder, copy);
      await change?.(copy);
      const why = await verifyPackage(copy, key).then(() => "", (error) => reason(error));
      found.push({ what, isAccepted: why === "", why: why.replace(`${copy}: `, "") });
    }
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
  return found;
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    await (isDirectory ? copyFolder(source, target) : Deno.copyFile(source, target));
  }
}
