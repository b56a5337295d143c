/** An archive that is the same for the same files, and its check against a limit of size. */

import { join } from "node:path";
import { describeError, diskError, ensureParent, InputError, sha256File, WorkError } from "../../lib/runtime/mod.ts";

/** How each kind of archive is compressed: a program that any Linux has, with settings that do not depend on the machine. */
const COMPRESSORS: Readonly<Record<string, readonly string[]>> = {
  ".tar.xz": ["xz", "-6", "-T4", "-c"],
  ".tar.zst": ["zstd", "-19", "-T4", "-q", "-c"],
  ".tgz": ["gzip", "-9", "-n", "-c"],
};

/** What was written. */
export interface Archive {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** The compressor for a file's name. Throws InputError for another ending. */
export function compressorOf(path: string): readonly string[] {
  const found = Object.entries(COMPRESSORS).find(([ending]) => path.endsWith(ending));
  if (found) return found[1];
  throw new InputError(`--out: expected a name ending in ${Object.keys(COMPRESSORS).join(", ")}, found "${path}"`);
}

/**
 * Writes all files of a folder: names sorted, times, owners and permissions fixed, so that the same files give the same bytes. Throws
 * WorkError that names the largest files when the archive is larger than `limit` bytes; then none is left.
 */
export async function writeArchive(folder: string, path: string, { limit }: { limit: number }): Promise<Archive> {
  const compressor = compressorOf(path);
  await ensureParent(path);
  const partial = `${path}.tmp~`;
  try {
    const tar = spawn("tar", [
      "--sort=name",
      "--format=ustar",
      "--mtime=@0",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--mode=u+rw,go+r,go-w,a+X",
      "-C",
      folder,
      "-cf",
      "-",
      ".",
    ]);
    const packed = spawn(compressor[0]!, compressor.slice(1), "piped");
    const file = await Deno.open(partial, { write: true, create: true, truncate: true });
    await Promise.all([tar.stdout.pipeTo(packed.stdin), packed.stdout.pipeTo(file.writable)]);
    for (const [name, child] of [["tar", tar], [compressor[0]!, packed]] as const) {
      const { code } = await child.status;
      const said = await new Response(child.stderr).text();
      if (code !== 0) {
        throw new WorkError(`${name}: expected exit status 0, found ${code}: ${describeError(said, 200)}`);
      }
    }
    const { size } = await Deno.stat(partial);
    if (size > limit) {
      throw new WorkError(
        `${path}: expected at most ${mebibytes(limit)}, found ${mebibytes(size)}; the largest files: ${await largest(
          folder,
        )}`,
      );
    }
    await Deno.rename(partial, path);
    return { path, bytes: size, sha256: await sha256File(path) };
  } catch (error) {
    await Deno.remove(partial).catch(() => {});
    throw error instanceof WorkError ? error : diskError(error, path);
  }
}

/** Unpacks an archive into a folder. */
export async function unpackArchive(path: string, folder: string): Promise<void> {
  const program = compressorOf(path)[0]!;
  const { code, stderr } = await new Deno.Command("tar", {
    args: [`--use-compress-program=${program}`, "-xf", path, "-C", folder],
  }).output();
  if (code !== 0) throw new WorkError(`${path}: expected tar to unpack it, found ${new TextDecoder().decode(stderr)}`);
}

/** Bytes in words. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

async function largest(folder: string): Promise<string> {
  const files: { name: string; size: number }[] = [];
  const walk = async (at: string) => {
    for await (const { name, isDirectory } of Deno.readDir(join(folder, at))) {
      const path = join(at, name);
      if (isDirectory) await walk(path);
      else files.push({ name: path, size: (await Deno.stat(join(folder, path))).size });
    }
  };
  await walk("");
  const sorted = files.sort((a, b) => b.size - a.size).slice(0, 5);
  return sorted.map(({ name, size }) => `${name} ${mebibytes(size)}`).join(", ");
}

function spawn(program: string, args: readonly string[], stdin: "piped" | "null" = "null"): Deno.ChildProcess {
  try {
    return new Deno.Command(program, { args: [...args], stdin, stdout: "piped", stderr: "piped" }).spawn();
  } catch (cause) {
    throw new WorkError(`${program}: expected the program to be installed, found ${describeError(cause)}`, { cause });
  }
}
