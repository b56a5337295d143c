/** A private Python with nncase 1.x, which has packages for Python 3.7 to 3.10 only: an interpreter of the machine or an older Debian's. */

import { join, resolve } from "node:path";
import { exists } from "../../lib/runtime/mod.ts";
import { command, PeerMissing } from "./python.ts";

const PACKAGES = ["nncase==1.9.0.20230322", "numpy<2"];

/** Debian's release with Python 3.9, and the packages of its interpreter. */
const DEBIAN = {
  source: "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bullseye main",
  packages: ["python3.9-minimal", "libpython3.9-minimal", "libpython3.9-stdlib", "libssl1.1", "libffi7"],
  version: "3.9",
} as const;

/** Settings of `nncasePython`. */
export interface NncasePythonOptions {
  /** Where the environment is made. Default: `.venv-k210` of the project. */
  readonly folder?: string;
  /** Programs that are tried. Default: POKEDEX_NNCASE_PYTHON, then python3.10 down to python3.7. */
  readonly interpreters?: readonly string[];
  /** Where none is there: a source that apt-get takes an interpreter from, without installing it. Undefined: no source. */
  readonly debian?: typeof DEBIAN | undefined;
}

/**
 * The Python, with nncase in it. Throws PeerMissing, in one line, where there is no interpreter that nncase 1.x has a package for, or no
 * package index.
 */
export async function nncasePython(options: NncasePythonOptions = {}): Promise<string> {
  const { folder = join(import.meta.dirname!, "..", "..", ".venv-k210"), interpreters = usualInterpreters() } = options;
  const debian = "debian" in options ? options.debian : DEBIAN;
  const python = join(resolve(folder), "bin", "python");
  if (await exists(python)) return python;
  const tried: string[] = [];
  for (const program of interpreters) {
    const found = await command(program, ["-c", "import sys; print(*sys.version_info[:2])"], "expected Python").catch(
      () => "",
    );
    tried.push(program);
    const [major, minor] = found.split(" ").map(Number);
    if (major !== 3 || !(minor! >= 7 && minor! <= 10)) continue;
    return await made(folder, async () => {
      await command(program, ["-m", "venv", folder], "expected Python 3 with venv");
      await command(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...PACKAGES], INDEX);
    });
  }
  const what = `expected Python 3.7 to 3.10, for which nncase 1.x has packages, found none (${tried.join(", ")})`;
  const change = "name one in POKEDEX_NNCASE_PYTHON, or compile elsewhere with compile.py of the exported folder";
  if (!debian) throw new PeerMissing(`${what}; ${change}`);
  try {
    return await made(folder, () => fromDebian(folder, debian));
  } catch (error) {
    if (!(error instanceof PeerMissing)) throw error;
    throw new PeerMissing(`${what}, nor in Debian's archive (${error.message}); ${change}`, { cause: error });
  }

  async function made(folder: string, work: () => Promise<void>): Promise<string> {
    console.error(`installing ${PACKAGES.join(", ")} into ${folder} …`);
    try {
      await work();
    } catch (error) {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
      throw error;
    }
    return python;
  }
}

const INDEX = "expected a package index with nncase 1.9";

function usualInterpreters(): string[] {
  const named = Deno.env.get("POKEDEX_NNCASE_PYTHON");
  return [...(named ? [named] : []), "python3.10", "python3.9", "python3.8", "python3.7"];
}

/** Downloads and unpacks the interpreter below the folder, and nncase beside it with the machine's own pip. */
async function fromDebian(folder: string, { source, packages, version }: typeof DEBIAN): Promise<void> {
  const place = resolve(folder), apt = join(place, "apt"), debs = join(place, "debs"), root = join(place, "root");
  for (
    const each of [join(apt, "lists", "partial"), join(apt, "cache", "archives", "partial"), debs, join(place, "bin")]
  ) {
    await Deno.mkdir(each, { recursive: true });
  }
  await Deno.writeTextFile(join(apt, "sources.list"), source + "\n");
  const config = [
    `Dir::Etc::sourcelist "${join(apt, "sources.list")}";`,
    'Dir::Etc::sourceparts "/dev/null";',
    `Dir::State::lists "${join(apt, "lists")}";`,
    `Dir::Cache "${join(apt, "cache")}";`,
    "",
  ].join("\n");
  await Deno.writeTextFile(join(apt, "apt.conf"), config);
  const options = ["-c", join(apt, "apt.conf")], expectation = "expected apt-get with Debian's archive";
  await command("apt-get", [...options, "--quiet=2", "update"], expectation);
  await command(
    "sh",
    ["-c", 'cd "$0" && exec apt-get "$@"', debs, ...options, "--quiet=2", "download", ...packages],
    expectation,
  );
  for await (const { name } of Deno.readDir(debs)) {
    if (name.endsWith(".deb")) await command("dpkg", ["--extract", join(debs, name), root], "expected dpkg");
  }
  const abi = `cp${version.replace(".", "")}`, site = join(place, "site");
  const platforms = ["manylinux_2_24_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"];
  await command("python3", [
    ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"],
    ...["--python-version", version, "--implementation", "cp", "--abi", abi],
    ...platforms.flatMap((platform) => ["--platform", platform]),
    ...["--target", site, ...PACKAGES],
  ], INDEX);
  const script = [
    "#!/bin/sh",
    `export PYTHONHOME='${root}/usr' PYTHONPATH='${site}' LD_LIBRARY_PATH='${root}/usr/lib/x86_64-linux-gnu'`,
    `exec '${root}/usr/bin/python${version}' "$@"`,
    "",
  ].join("\n");
  await Deno.writeTextFile(join(place, "bin", "python"), script, { mode: 0o755 });
}
