/** Tests of packing on a small payload; `deno task pack` itself trains from what it packed. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { unpackArchive, writeArchive } from "./archive.ts";
import { choosePackages, copyPackages, type Lock, nameOf, versionOf } from "./packages.ts";
import { verifyArchive } from "./verify.ts";

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function write(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await Deno.mkdir(join(path, ".."), { recursive: true });
    await Deno.writeTextFile(path, content);
    if (name.endsWith(".sh")) await Deno.chmod(path, 0o755);
  }
}

for (const ending of [".tar.xz", ".tgz"]) {
  Deno.test(`the same files give the same ${ending}, whenever and in whatever order they were written`, async () => {
    await inFolder(async (folder) => {
      const files = Object.entries({ "b/one": "1".repeat(5000), "a two": "2", "run.sh": "#!/bin/sh\n" });
      const found: string[] = [];
      for (const [i, order] of [files, files.toReversed()].entries()) {
        const stage = join(folder, `stage${i}`);
        await write(stage, Object.fromEntries(order));
        await Deno.utime(join(stage, "a two"), i * 1e8, i * 1e8);
        found.push((await writeArchive(stage, join(folder, `out${i}${ending}`), { limit: 2 ** 20 })).sha256);
      }
      assert.equal(found[0], found[1]);
      const back = join(folder, "back");
      await Deno.mkdir(back);
      await unpackArchive(join(folder, `out1${ending}`), back);
      assert.equal(await Deno.readTextFile(join(back, "b/one")), "1".repeat(5000));
      assert.equal((await Deno.stat(join(back, "run.sh"))).mode! & 0o777, 0o755);
    });
  });
}

Deno.test("an archive above the limit is not left behind, and the error names the largest files", async () => {
  await inFolder(async (folder) => {
    const stage = join(folder, "stage"), out = join(folder, "pack.tgz");
    await Deno.mkdir(stage);
    await Deno.writeFile(join(stage, "noise"), crypto.getRandomValues(new Uint8Array(40_000)));
    await write(stage, { small: "1" });
    await assert.rejects(
      writeArchive(stage, out, { limit: 1024 }),
      /^WorkError: .*pack\.tgz: expected at most 0\.0 MiB, found 0\.0 MiB; the largest files: noise 0\.0 MiB, small 0\.0 MiB$/,
    );
    assert.deepEqual((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["stage"]);
  });
});

Deno.test("an ending that no program here writes is refused", async () => {
  await assert.rejects(
    writeArchive("/nowhere", "pack.zip", { limit: 1 }),
    /InputError: --out: expected .*found "pack\.zip"/,
  );
});

const LOCK: Lock = {
  version: "5",
  specifiers: { "npm:engine@1.0.0": "1.0.0", "npm:pictures@2.0.0": "2.0.0_peer@3.0.0", "npm:notebook@1.0.0": "1.0.0" },
  npm: {
    "engine@1.0.0": { dependencies: ["common"] },
    "common@1.5.0": {},
    "notebook@1.0.0": { dependencies: ["common"] },
    "peer@3.0.0": {},
    "pictures@2.0.0_peer@3.0.0": { optionalDependencies: ["@img/linux", "@img/windows"] },
    "@img/linux@2.0.0": { os: ["linux"], cpu: ["x64"] },
    "@img/windows@2.0.0": { dependencies: ["peer"], os: ["win32"] },
  },
};
const IMPORTS = { engine: "npm:engine@1.0.0", "pictures/": "npm:/pictures@2.0.0/", notebook: "npm:notebook@1.0.0" };

Deno.test("packages chosen by name bring what they depend on, loaded only where it is for Linux x64", () => {
  const { imports, lock, packages } = choosePackages(IMPORTS, LOCK, ["engine", "pictures"]);
  assert.deepEqual(Object.keys(imports), ["engine", "pictures/"]);
  assert.deepEqual(packages, ["@img/linux@2.0.0", "common@1.5.0", "engine@1.0.0", "pictures@2.0.0_peer@3.0.0"]);
  // The lock keeps the rest of the graph, or Deno would ask the registry for it.
  assert.deepEqual(Object.keys(lock.npm).sort(), [...packages, "@img/windows@2.0.0", "peer@3.0.0"].sort());
  assert.deepEqual(lock.workspace.dependencies, ["npm:engine@1.0.0", "npm:pictures@2.0.0"]);
  assert.throws(
    () => choosePackages(IMPORTS, LOCK, ["missing"]),
    /InputError: deno\.lock: expected the package missing/,
  );
  assert.deepEqual([nameOf("@img/linux@2.0.0"), versionOf("pictures@2.0.0_peer@3.0.0")], ["@img/linux", "2.0.0"]);
});

Deno.test("of a package go along the files of Linux x64 and the version in use", async () => {
  await inFolder(async (folder) => {
    const from = join(folder, "from"), to = join(folder, "to");
    await write(from, {
      "engine/registry.json": JSON.stringify({ versions: { "0.9.0": {}, "1.0.0": { dist: 7 } }, time: {} }),
      "engine/1.0.0/package.json": "{}",
      "engine/1.0.0/index.js": "1",
      "engine/1.0.0/index.js.map": "2",
      "engine/1.0.0/bin/napi-v6/linux/x64/engine.node": "3",
      "engine/1.0.0/bin/napi-v6/win32/x64/engine.node": "4",
    });
    await copyPackages(["engine@1.0.0"], from, to);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(join(to, "engine/registry.json"))), {
      name: "engine",
      "dist-tags": { latest: "1.0.0" },
      versions: { "1.0.0": { dist: 7 } },
    });
    const names = async (path: string) =>
      (await Array.fromAsync(Deno.readDir(join(to, path)))).map(({ name }) => name).sort();
    assert.deepEqual(await names("engine/1.0.0"), ["bin", "index.js", "package.json"]);
    assert.deepEqual(await names("engine/1.0.0/bin/napi-v6"), ["linux"]);
    await assert.rejects(
      copyPackages(["lost@1.0.0"], from, to),
      /InputError: .*lost\/1\.0\.0: expected the package, found nothing/,
    );
  });
});

Deno.test("an archive whose training fails is reported with what it printed", async () => {
  await inFolder(async (folder) => {
    const run = async (script: string) => {
      const stage = await Deno.makeTempDir({ dir: folder }), out = join(folder, "pack.tgz");
      await write(stage, { "run.sh": `#!/bin/sh\n${script}\n` });
      await writeArchive(stage, out, { limit: 2 ** 20 });
      return await verifyArchive(out);
    };
    await assert.rejects(run("echo no engine >&2; exit 3"), /WorkError: .*found exit status 3: no engine/);
    await assert.rejects(run(`echo '{"ok": false, "first": 1, "last": 2}'`), /WorkError: .*expected a loss that falls/);
    const { first, last } = await run(`[ -z "$(ls "$HOME")" ] && echo '{"ok": true, "first": 2, "last": 1}'`);
    assert.deepEqual([first, last], [2, 1]);
  });
});
