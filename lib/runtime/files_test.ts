import assert from "node:assert/strict";
import { join } from "node:path";
import { WorkError } from "./errors.ts";
import { exists, isLocked, lockFolder, readJson, removeTemporary, sha256, sha256File, writeAtomic } from "./files.ts";

async function inTemporaryFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("writeAtomic() replaces a file and leaves no temporary file", () =>
  inTemporaryFolder(async (folder) => {
    const path = join(folder, "a.txt");
    await writeAtomic(path, "old");
    await writeAtomic(path, new TextEncoder().encode("new"), { durable: true });
    assert.equal(await Deno.readTextFile(path), "new");
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), ["a.txt"]);
  }));

Deno.test("a failed writeAtomic() keeps the old content and cleans up", () =>
  inTemporaryFolder(async (folder) => {
    const path = join(folder, "taken");
    await Deno.mkdir(join(path, "child"), { recursive: true }); // a file cannot be renamed over a full folder
    await assert.rejects(writeAtomic(path, "x"));
    assert.ok(await exists(join(path, "child")));
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), ["taken"]);
  }));

Deno.test({
  name: "a full disk is a WorkError that says so",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    // /dev/full answers every write with ENOSPC; the link stands where the temporary file would be made.
    const { diskError } = await import("./files.ts");
    let caught: unknown;
    try {
      using file = await Deno.open("/dev/full", { write: true });
      await file.write(new Uint8Array(10));
    } catch (error) {
      caught = error;
    }
    const error = diskError(caught, "data/x.jpg");
    assert.ok(error instanceof WorkError);
    assert.match(error.message, /^data\/x\.jpg: no space left on the disk/);
  },
});

Deno.test("removeTemporary() clears what a killed writer left, at any depth, and nothing else", () =>
  inTemporaryFolder(async (folder) => {
    await Deno.mkdir(join(folder, "deep"));
    await Deno.writeTextFile(join(folder, "deep", "x.jpg.123.0.tmp~"), "half");
    await Deno.writeTextFile(join(folder, "deep", "x.jpg"), "whole");
    assert.equal(await removeTemporary(folder), 1);
    assert.ok(await exists(join(folder, "deep", "x.jpg")));
    assert.equal(await removeTemporary(join(folder, "nothing")), 0);
  }));

Deno.test("a locked folder refuses a second process and is free again when the first is killed", () =>
  inTemporaryFolder(async (folder) => {
    const module = new URL("./files.ts", import.meta.url).href;
    const script = `const { lockFolder } = await import(${JSON.stringify(module)});
      await lockFolder(${
      JSON.stringify(folder)
    }); console.log("locked"); await new Promise((r) => setTimeout(r, 60000));`;
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", script], stdout: "piped", stderr: "null" })
      .spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    await assert.rejects(lockFolder(folder), new RegExp(`found process ${child.pid} at work`));
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    const lock = await lockFolder(folder);
    assert.equal(await isLocked(folder), true);
    lock.release();
    assert.equal(await isLocked(folder), false);
    assert.equal(await isLocked(join(folder, "none")), false);
  }));

Deno.test("readJson() names a missing and a broken file", () =>
  inTemporaryFolder(async (folder) => {
    await assert.rejects(readJson(join(folder, "none.json")), /none\.json: expected a JSON file, found nothing there/);
    await Deno.writeTextFile(join(folder, "half.json"), '{"a": [1,');
    await assert.rejects(readJson(join(folder, "half.json")), /half\.json: expected JSON, found /);
  }));

Deno.test("sha256 gives FIPS 180-4's vector for abc, from memory and from a file", () =>
  inTemporaryFolder(async (folder) => {
    const expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert.equal(sha256("abc"), expected);
    await Deno.writeTextFile(join(folder, "abc"), "abc");
    assert.equal(await sha256File(join(folder, "abc")), expected);
  }));
