/** The npm packages that a machine without a network needs, taken from Deno's cache by deno.lock. */

import { join } from "node:path";
import { exists, InputError, readJson } from "../../lib/runtime/mod.ts";

/** A package of deno.lock. */
interface LockedPackage {
  readonly dependencies?: readonly string[];
  readonly optionalDependencies?: readonly string[];
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

/** The part of deno.lock that is read. */
export interface Lock {
  readonly version: string;
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

/** What of deno.json and deno.lock goes along, and the packages by key of the lock. */
export interface PackageChoice {
  readonly imports: Readonly<Record<string, string>>;
  readonly lock: Lock & { readonly workspace: { readonly dependencies: readonly string[] } };
  /** Keys of the packages that the target machine loads. */
  readonly packages: readonly string[];
}

/** The machine packed for. */
const TARGET = { os: "linux", cpu: "x64" } as const;

/** Chooses packages by name and all that they depend on. Throws InputError for a name that deno.json or the lock lacks. */
export function choosePackages(
  imports: Readonly<Record<string, string>>,
  lock: Lock,
  names: readonly string[],
): PackageChoice {
  const chosen = Object.fromEntries(
    Object.entries(imports).filter(([, specifier]) => names.includes(nameOf(specifier.replace(/^npm:\/?/, "")))),
  );
  const roots = names.map((name) => {
    const found = Object.entries(lock.specifiers).find(([specifier]) =>
      specifier.startsWith(`npm:${name}@`) &&
      Object.values(chosen).some((own) => own.replace("npm:/", "npm:").startsWith(specifier))
    );
    if (!found) {
      throw new InputError(`deno.lock: expected the package ${name} of deno.json, found none; run deno install`);
    }
    return { specifier: found[0], key: `${name}@${found[1]}` };
  });
  const kept: Record<string, LockedPackage> = {};
  const loaded = new Set<string>();
  const visit = (key: string, wanted: boolean) => {
    const entry = lock.npm[key];
    if (!entry) throw new InputError(`deno.lock: expected an entry "${key}", found none`);
    const fits = wanted && (entry.os?.includes(TARGET.os) ?? true) && (entry.cpu?.includes(TARGET.cpu) ?? true);
    if (kept[key] && (!fits || loaded.has(key))) return;
    kept[key] = entry;
    if (fits) loaded.add(key);
    for (const next of [...entry.dependencies ?? [], ...entry.optionalDependencies ?? []]) {
      visit(resolve(lock, next), fits);
    }
  };
  for (const { key } of roots) visit(key, true);
  const sorted = Object.fromEntries(Object.keys(lock.npm).filter((key) => kept[key]).map((key) => [key, kept[key]!]));
  const specifiers = Object.fromEntries(roots.map(({ specifier }) => [specifier, lock.specifiers[specifier]!]));
  return {
    imports: chosen,
    lock: { version: lock.version, specifiers, npm: sorted, workspace: { dependencies: Object.keys(specifiers) } },
    packages: [...loaded].sort(),
  };
}

/** `@scope/name` of `@scope/name@1.2.3_peer@1.0.0/path`. */
export function nameOf(key: string): string {
  return key.slice(0, key.indexOf("@", 1));
}

/** `1.2.3` of the same. */
export function versionOf(key: string): string {
  return /^[^_/]*/.exec(key.slice(nameOf(key).length + 1))![0];
}

/** A dependency in a lock's entry: a whole key, or the name alone where there is one version only. */
function resolve(lock: Lock, dependency: string): string {
  if (lock.npm[dependency]) return dependency;
  const found = Object.keys(lock.npm).find((key) => nameOf(key) === dependency);
  if (found) return found;
  throw new InputError(`deno.lock: expected an entry for "${dependency}", found none`);
}

/** The folder of a cache in which a package lies; there is one a registry. Throws InputError when it is in none. */
export async function registryFolder(cache: string, name: string): Promise<string> {
  const folder = join(cache, "npm");
  for (const entry of await Array.fromAsync(Deno.readDir(folder)).catch(() => [])) {
    if (entry.isDirectory && await exists(join(folder, entry.name, name))) return join(folder, entry.name);
  }
  throw new InputError(`${folder}: expected the package ${name}, found none; run deno install`);
}

/**
 * Copies the packages from one cache to another: the files of the target machine, and of the registry's answer the version
 * in use. Throws InputError for a package that is not in the cache.
 */
export async function copyPackages(keys: readonly string[], from: string, to: string): Promise<void> {
  const versions = new Map<string, Set<string>>();
  for (const key of keys) {
    const name = nameOf(key), version = versionOf(key);
    const source = join(from, name, version);
    if (!await exists(source)) throw new InputError(`${source}: expected the package, found nothing; run deno install`);
    await copyFolder(source, join(to, name, version), (path) => !isForeign(path));
    versions.set(name, (versions.get(name) ?? new Set()).add(version));
  }
  for (const [name, used] of versions) {
    const answer = await readJson(join(from, name, "registry.json")) as { versions?: Record<string, unknown> };
    const kept = [...used].sort().map((version) => [version, answer.versions?.[version] ?? { version }]);
    const short = { name, "dist-tags": { latest: kept[0]![0] }, versions: Object.fromEntries(kept) };
    await Deno.writeTextFile(join(to, name, "registry.json"), JSON.stringify(short));
  }
}

/**
 * Native libraries of other machines, source maps and types: nothing that runs there. Of packages for musl, which deno.lock does not tell
 * from those for glibc, the manifest alone stays, since Deno looks for it.
 */
function isForeign(path: string): boolean {
  if (path.includes("-linuxmusl-")) return !path.endsWith("/package.json");
  const machine = /\/bin\/napi-v\d+\/([^/]+)\/([^/]+)/.exec(path);
  if (machine) return machine[1] !== TARGET.os || machine[2] !== TARGET.cpu;
  return /\.(map|d\.ts|d\.cts|d\.mts|md)$/.test(path) || /\/zod\/[^/]+\/src\//.test(path);
}

/** Copies the files of a folder for which `wanted` holds; links become what they point at. */
export async function copyFolder(from: string, to: string, wanted: (path: string) => boolean): Promise<void> {
  for await (const { name } of Deno.readDir(from)) {
    const source = join(from, name), target = join(to, name);
    if ((await Deno.stat(source)).isDirectory) await copyFolder(source, target, wanted);
    else if (wanted(source)) {
      await Deno.mkdir(to, { recursive: true });
      await Deno.copyFile(source, target);
    }
  }
}
