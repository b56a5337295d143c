/** Downloads against a server on this machine that breaks off, stalls, lies and changes its files. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { downloadFile, type DownloadOptions, exists, InputError, Random, sha256, WorkError } from "./mod.ts";
import { FileServer } from "./test_server.ts";

const random = Random.seeded("download");
const content = Uint8Array.from({ length: 300_000 }, () => random.int(256));
const digest = sha256(content);
const quick = { attempts: 3, firstPauseMs: 1, longestPauseMs: 2 };

/** Runs a test with a server that has /file and a folder for it. */
function served(name: string, test: (server: FileServer, path: string) => Promise<void>): void {
  Deno.test(name, async () => {
    await using server = new FileServer();
    server.files.set("/file", { content, etag: '"v1"' });
    const folder = await Deno.makeTempDir({ prefix: "pokedex_download_" });
    try {
      await test(server, join(folder, "deep", "file"));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

const get = (server: FileServer, path: string, options: DownloadOptions = {}) =>
  downloadFile(server.url("/file"), path, { retry: quick, ...options });
const sound = async (path: string) => sha256(await Deno.readFile(path)) === digest;

/** Whether nothing but the file is left. */
async function alone(path: string): Promise<boolean> {
  const names = await Array.fromAsync(Deno.readDir(join(path, "..")), ({ name }) => name);
  return names.join() === "file";
}

served("a file comes whole, tells its progress, and is not asked for twice", async (server, path) => {
  let last = 0;
  await get(server, path, { sha256: digest, bytes: content.length, onProgress: ({ done }) => last = done });
  assert.ok(await sound(path) && await alone(path));
  assert.equal(last, content.length);
  await get(server, path, { sha256: digest });
  assert.equal(server.asked.length, 1);
});

served(
  "broken connections: each attempt goes on where the last ended, however many there are",
  async (server, path) => {
    for (let i = 0; i < 5; i++) server.faults.push({ kind: "break", after: 50_000 });
    await get(server, path);
    assert.ok(await sound(path) && await alone(path));
    const starts = server.asked.map(({ range }) => Number(/\d+/.exec(range ?? "0")![0]));
    assert.equal(starts.length, 6); // five that broke and the last, though an attempt without progress counts to 3
    assert.ok(starts.every((start, i) => i === 0 || start > starts[i - 1]!), String(starts));
    assert.ok(server.asked.slice(1).every(({ ifRange }) => ifRange === '"v1"'));
  },
);

served("a part left by a killed process is gone on with", async (server, path) => {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeFile(`${path}.part`, content.subarray(0, 100_000));
  await Deno.writeTextFile(`${path}.part.etag`, '"v1"');
  await get(server, path);
  assert.ok(await sound(path) && await alone(path));
  assert.deepEqual(server.asked.map(({ range }) => range), ["bytes=100000-"]);
});

served("a whole part that was never checked needs no download", async (server, path) => {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeFile(`${path}.part`, content);
  await get(server, path, { bytes: content.length, sha256: digest });
  assert.ok(await sound(path) && await alone(path));
  assert.equal(server.asked.length, 0);
});

served("when the file on the server has changed since, it begins anew", async (server, path) => {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeFile(`${path}.part`, new Uint8Array(100_000));
  await Deno.writeTextFile(`${path}.part.etag`, '"v0"');
  await get(server, path);
  assert.ok(await sound(path));
  assert.deepEqual(server.asked[0], { path: "/file", range: "bytes=100000-", ifRange: '"v0"' });
});

served("a part of unknown origin is trusted only where a checksum will tell", async (server, path) => {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeFile(`${path}.part`, new Uint8Array(100_000));
  await get(server, path);
  assert.equal(server.asked[0]!.range, undefined);
  assert.ok(await sound(path));
});

served("a server without ranges sends all again", async (server, path) => {
  server.faults.push({ kind: "break", after: 50_000 }, { kind: "ignore range" });
  await get(server, path);
  assert.ok(await sound(path));
});

served("a part that is longer than the server's file begins anew", async (server, path) => {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeFile(`${path}.part`, new Uint8Array(content.length + 5));
  await Deno.writeTextFile(`${path}.part.etag`, '"v1"');
  await get(server, path);
  assert.ok(await sound(path));
});

served("a busy server (503, 429) is asked again, a missing file (404) is not", async (server, path) => {
  server.faults.push({ kind: "status", status: 503 }, { kind: "status", status: 429 });
  await get(server, path);
  assert.ok(await sound(path));
  await assert.rejects(
    downloadFile(server.url("/nothing"), `${path}2`, { retry: quick }),
    (error) =>
      error instanceof WorkError &&
      /nothing: expected to download .*file2, found status 404 Not Found$/.test(error.message),
  );
  assert.equal(server.asked.filter((asked) => asked.path === "/nothing").length, 1);
});

served("a server that stays down ends the attempts, and keeps what came", async (server, path) => {
  server.faults.push({ kind: "break", after: 50_000 });
  for (let i = 0; i < 9; i++) server.faults.push({ kind: "status", status: 500 });
  await assert.rejects(get(server, path), /found status 500 Internal Server Error$/);
  assert.ok(!await exists(path));
  const { size } = await Deno.stat(`${path}.part`);
  assert.ok(size > 0 && size <= 50_000, `${size}`);
  server.faults.length = 0;
  await get(server, path);
  assert.ok(await sound(path));
});

served("a stalled connection is given up and gone on with", async (server, path) => {
  server.faults.push({ kind: "stall", after: 50_000 });
  await get(server, path, { stallMs: 100 });
  assert.ok(await sound(path));
  assert.equal(server.asked.length, 2);
});

served("a wrong content is refused, not kept and not asked for again", async (server, path) => {
  const wrong = sha256("another");
  await assert.rejects(
    get(server, path, { sha256: wrong }),
    new RegExp(`found a file that is not the one: expected SHA-256 ${wrong}, found ${digest}$`),
  );
  assert.equal(server.asked.length, 1);
  assert.ok(!await exists(path));
  assert.equal((await Deno.stat(`${path}.part`)).size, 0);
  await assert.rejects(get(server, path, { bytes: 10 }), /found 300000 bytes offered where 10 were expected$/);
  const check = () => Promise.resolve("expected a picture, found noise");
  await assert.rejects(get(server, path, { check }), /is not the one: expected a picture, found noise$/);
});

served("a corrupted file that is there is removed and fetched again", async (server, path) => {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeFile(path, content.subarray(1));
  await get(server, path, { bytes: content.length });
  assert.ok(await sound(path));
});

served("two at once: one downloads, the other waits for it", async (server, path) => {
  await Promise.all([get(server, path, { sha256: digest }), get(server, path, { sha256: digest })]);
  assert.ok(await sound(path) && await alone(path));
  assert.equal(server.asked.length, 1);
});

served("an abort ends it at once", async (server, path) => {
  server.faults.push({ kind: "stall", after: 10 });
  const signal = AbortSignal.timeout(50);
  await assert.rejects(get(server, path, { signal }), (error) => (error as Error).name === "TimeoutError");
});

Deno.test("what is no http URL, and a server that is not there, are one line", async () => {
  await assert.rejects(downloadFile("file:///somewhere/weights", "never"), InputError);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const folder = await Deno.makeTempDir();
  const url = `http://127.0.0.1:${port}/x`;
  await assert.rejects(downloadFile(url, join(folder, "x"), { retry: quick }), (error) => {
    assert.ok(error instanceof WorkError);
    assert.ok(error.message.startsWith(`${url}: expected to download`) && !error.message.includes("\n"), error.message);
    return true;
  });
  await Deno.remove(folder, { recursive: true });
});
