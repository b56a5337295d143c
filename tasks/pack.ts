/** `deno task pack`: all that a bare Linux machine needs to train without a network, in one archive. */

import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { exists, InputError, integerFlag, readJson, runCommand } from "../lib/runtime/mod.ts";
import { compressorOf, mebibytes, writeArchive } from "./pack/archive.ts";
import { choosePackages, copyFolder, copyPackages, type Lock, registryFolder } from "./pack/packages.ts";
import { verifyArchive } from "./pack/verify.ts";

/** What training needs. What else the project imports (notebooks, reports, TensorFlow.js) stays behind. */
const PACKAGES = ["@bufbuild/protobuf", "onnxruntime-node", "sharp", "yaml", "zod"] as const;

const RUN = `#!/bin/sh
# Runs a file of the project without a network: ./run.sh tasks/train.ts --config configs/...
# WebGPU needs a Vulkan driver; CUDA its libraries beside ONNX Runtime's in cache/npm.
set -e
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
DENO_DIR="$here/cache" DENO_NO_UPDATE_CHECK=1
export DENO_DIR DENO_NO_UPDATE_CHECK
unset NPM_CONFIG_REGISTRY
cd "$here/project"
exec "$here/bin/deno" run -A --cached-only --no-check "$@"
`;

const root = fileURLToPath(new URL("..", import.meta.url));

await runCommand({
  usage: "deno task pack",
  about:
    "Packs Deno, ONNX Runtime and the project for a Linux x64 machine without a network, and trains once from the archive.",
  flags: {
    out: { type: "string", value: "FILE", default: "runs/pack.tar.xz", help: ".tar.xz, .tar.zst or .tgz" },
    "with-pictures": { type: "string", value: "DIR", help: "a folder of data to take along" },
    limit: { type: "string", value: "MIB", default: "64", help: "the largest size allowed" },
    "skip-check": { type: "boolean", help: "do not unpack and train" },
  },
  async run({ out, "with-pictures": pictures, limit, "skip-check": skip, json }) {
    compressorOf(out);
    const bytes = integerFlag("limit", limit, 1) * 2 ** 20;
    if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
      throw new InputError(`deno task pack: expected Linux x86_64, found ${Deno.build.os} ${Deno.build.arch}`);
    }
    const stage = await Deno.makeTempDir({ prefix: "pack-" });
    try {
      await collect(stage, pictures);
      const archive = await writeArchive(stage, out, { limit: bytes });
      if (!json) console.error(`${archive.path}: ${mebibytes(archive.bytes)}, sha256 ${archive.sha256}`);
      if (skip) return archive;
      const verified = await verifyArchive(resolve(out));
      if (!json) {
        console.error(
          `unpacked and trained without a network (${verified.isolation}): loss ${verified.first} to ${verified.last}`,
        );
      }
      return { ...archive, verified };
    } finally {
      await Deno.remove(stage, { recursive: true });
    }
  },
});

async function collect(stage: string, pictures: string | undefined): Promise<void> {
  const project = join(stage, "project");
  const settings = await readJson(join(root, "deno.json")) as { imports: Record<string, string> };
  const lock = await readJson(join(root, "deno.lock")) as Lock;
  const choice = choosePackages(settings.imports, lock, PACKAGES);
  await Deno.mkdir(join(stage, "bin"), { recursive: true });
  await Deno.copyFile(await Deno.realPath(Deno.execPath()), join(stage, "bin/deno"));
  await Deno.chmod(join(stage, "bin/deno"), 0o755);
  await Deno.writeTextFile(join(stage, "run.sh"), RUN, { mode: 0o755 });
  const registry = await registryFolder(await cacheFolder(), "onnxruntime-node");
  await copyPackages(choice.packages, registry, join(stage, "cache", "npm", basename(registry)));
  for (const folder of ["lib", "tasks", "configs"]) {
    if (!await exists(join(root, folder))) continue;
    await copyFolder(join(root, folder), join(project, folder), (path) => !/_test\.ts$|\.tmp~$/.test(path));
  }
  await Deno.writeTextFile(
    join(project, "deno.json"),
    JSON.stringify({ ...settings, imports: choice.imports }, null, 2),
  );
  await Deno.writeTextFile(join(project, "deno.lock"), JSON.stringify(choice.lock, null, 2));
  if (pictures === undefined) return;
  if (!await exists(pictures)) throw new InputError(`--with-pictures: expected a folder, found nothing at ${pictures}`);
  const place = relative(root, resolve(pictures));
  await copyFolder(pictures, join(project, place.startsWith("..") ? join("data", basename(place)) : place), () => true);
}

/** Deno's cache on this machine. */
async function cacheFolder(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"], stderr: "null" }).output();
  return (JSON.parse(new TextDecoder().decode(stdout)) as { denoDir: string }).denoDir;
}
