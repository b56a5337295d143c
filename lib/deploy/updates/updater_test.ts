import assert from "node:assert/strict";
import { join } from "node:path";
import { readState, rollBack, rolloutPlace, RUNNER_VERSION, verifiedManifest } from "../targets/assets/rpi/updater.mjs";
import {
  brokenOff,
  device,
  endFixture,
  faults,
  key,
  link,
  makePackage,
  otherKey,
  partial,
  publish,
  ranges,
  run,
  served,
  update,
} from "./updater_fixture.ts";

Deno.test.afterAll(endFixture);

Deno.test("a signed version is fetched, tested, run, confirmed; the one before stays, and older ones go", async () => {
  const root = await device();
  assert.equal(await run(root), "version 1 works");
  for (const version of [2, 3]) {
    await publish({ version });
    assert.deepEqual(await update(root), { status: "updated", version });
    assert.equal((await readState(root)).confirmed, version - 1);
    assert.equal(await run(root), `version ${version} works`);
    const { confirmed, previous, trial } = await readState(root);
    assert.deepEqual([confirmed, previous, trial], [version, version - 1, null]);
    assert.deepEqual(await update(root), { status: "current", version });
  }
  assert.equal(await link(root), "versions/3");
  assert.deepEqual((await Array.fromAsync(Deno.readDir(join(root, "versions")), ({ name }) => name)).sort(), [
    "2",
    "3",
  ]);
  assert.equal(await rollBack(root), 2);
  assert.equal(await run(root), "version 2 works");
  assert.deepEqual(await update(root), { status: "failed before", version: 3 }); // given up by hand
});

Deno.test("a version that fails its self-test or its first run leaves the last good one, and is not taken again", async () => {
  const root = await device();
  await publish({ version: 2, says: "answers wrong" });
  await assert.rejects(update(root), /version 2: the self-test failed, 1 stays: another answer/);
  assert.equal(await run(root), "version 1 works");
  assert.deepEqual(await update(root), { status: "failed before", version: 2 });
  await publish({ version: 3, says: "breaks" });
  assert.deepEqual(await update(root), { status: "updated", version: 3 });
  assert.equal(await run(root), "version 1 works");
  assert.equal(await link(root), "versions/1");
  await publish({ version: 4 });
  await update(root);
  assert.equal(await run(root), "version 4 works");
});

Deno.test("a tampered, foreign or old manifest is refused, and nothing changes", async () => {
  const root = await device();
  const refused = async (message: RegExp) => {
    const before = await Deno.readTextFile(join(root, "state.json"));
    await assert.rejects(update(root), (error: Error) => message.test(error.message) && !error.message.includes("\n"));
    assert.equal(await Deno.readTextFile(join(root, "state.json")), before);
    assert.equal(await run(root), before.includes('"confirmed":3') ? "version 3 works" : "version 1 works");
  };
  await publish({ version: 2, signedBy: otherKey });
  await refused(/manifest\.json: expected a signature by the key in update\.json, found another/);
  await publish({ version: 2 });
  const text = new TextDecoder().decode(served.get("manifest.json"));
  served.set("manifest.json", new TextEncoder().encode(text.replace('"version": 2', '"version": 9')));
  await refused(/expected a signature by the key/);
  await publish({ version: 2, model: "other" });
  await refused(/expected tiny for rpi, found other for rpi/);
  await publish({ version: 2, minimum: RUNNER_VERSION + 1 });
  await refused(/version 2 needs runner 2, found 1; copy a new package here/);
  served.delete("manifest.sig");
  await refused(/manifest\.sig: expected a file, found status 404/);

  await publish({ version: 2 });
  const old = new Map(served);
  await publish({ version: 3 });
  await update(root);
  assert.equal(await run(root), "version 3 works");
  served.clear();
  for (const [path, content] of old) served.set(path, content);
  await refused(/expected version 3 or later, found 2: no older one is taken/);
});

Deno.test("a tampered, longer or shorter file is not taken", async () => {
  const root = await device();
  await publish({ version: 2 });
  const model = served.get("model.onnx")!;
  served.set("model.onnx", model.map((byte, i) => i === 7 ? byte ^ 1 : byte));
  await assert.rejects(update(root), /model\.onnx: expected \d+ bytes with SHA-256 .*, found others/);
  served.set("model.onnx", new Uint8Array([...model, 33]));
  await assert.rejects(update(root), /model\.onnx: expected \d+ bytes, found more/);
  served.set("model.onnx", model.slice(0, -9));
  await assert.rejects(update(root), /model\.onnx: expected/);
  assert.equal(await run(root), "version 1 works");
});

Deno.test("broken and stalled downloads go on where they stood, and a server that lies about ranges is caught", async () => {
  // Broken off, then stalled: each goes on where the last one stood.
  const root = await device();
  await publish({ version: 2 });
  faults.push({ path: "model.onnx", answer: (content, from) => brokenOff(content, from, 1000) });
  faults.push({
    path: "model.onnx",
    answer: (content, from) =>
      new Response(new ReadableStream({ start: (controller) => controller.enqueue(content.slice(from, from + 500)) }), {
        status: 206,
        headers: { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` },
      }),
  });
  assert.deepEqual(await update(root, 1000), { status: "updated", version: 2 });
  assert.equal(ranges.length, 2);
  assert.ok(ranges.every((each) => /^model\.onnx bytes=[1-9]\d*-$/.test(each)), ranges.join());
  assert.equal(await run(root), "version 2 works");

  // Other bytes than were asked for: said so, or under the right header; or the whole file for a part.
  let version = 3;
  for (
    const lie of [
      (content: Uint8Array, from: number) => partial(content, 0, 0 * from),
      (content: Uint8Array, from: number) => partial(content, from - 3, from),
      (content: Uint8Array, from: number) =>
        partial(new Uint8Array([...content.slice(0, from), ...content.slice(from).fill(65)]), from),
      (content: Uint8Array) => new Response(content.slice()),
      () => new Response(null, { status: 416 }),
    ]
  ) {
    await publish({ version });
    faults.push({ path: "model.onnx", answer: (content, from) => brokenOff(content, from, 1000) });
    faults.push({ path: "model.onnx", answer: lie });
    assert.deepEqual(await update(root), { status: "updated", version });
    assert.equal(await run(root), `version ${version++} works`);
  }
});

Deno.test("a version reaches the share of devices that its manifest names, and a device takes it once the share rises", async () => {
  // The place is uniform in 0 … 1: of 4,000 devices 25 % are below a quarter, to four standard deviations.
  const places = Array.from({ length: 4000 }, (_, n) => rolloutPlace("tiny", 2, `device-${n}`));
  const share = places.filter((place) => place < 0.25).length / places.length;
  assert.ok(Math.abs(share - 0.25) < 4 * Math.sqrt(0.25 * 0.75 / places.length), String(share));
  const root = await device();
  await Deno.writeTextFile(join(root, "device-id"), "board-7\n");
  const place = rolloutPlace("tiny", 2, "board-7");
  await publish({ version: 2, rollout: place });
  assert.deepEqual(await update(root), { status: "waiting for its share", version: 2 });
  await publish({ version: 2, rollout: Math.min(1, place + 1e-6) });
  assert.deepEqual(await update(root), { status: "updated", version: 2 });
});

Deno.test("two updates do not run at once, and the lock of a process that is gone counts for nothing", async () => {
  const root = await device();
  await publish({ version: 2 });
  const boot = (await Deno.readTextFile("/proc/sys/kernel/random/boot_id")).trim();
  await Deno.writeTextFile(join(root, "update.lock"), `${Deno.pid} ${boot}`);
  await assert.rejects(update(root), /update\.lock: expected no other process at work, found \d+/);
  assert.equal(await run(root), "version 1 works");
  await Deno.writeTextFile(join(root, "update.lock"), `${Deno.pid} another-boot`);
  assert.deepEqual(await update(root), { status: "updated", version: 2 });
});

Deno.test("a signature is checked over the very bytes", async () => {
  const from = await makePackage({ version: 5 });
  const bytes = await Deno.readFile(join(from, "manifest.json")),
    text = await Deno.readTextFile(join(from, "manifest.sig"));
  assert.equal(verifiedManifest(bytes, text, key.publicKey).version, 5);
  assert.throws(() => verifiedManifest(new Uint8Array([...bytes, 32]), text, key.publicKey), /expected a signature/);
  assert.throws(() => verifiedManifest(bytes, text, otherKey.publicKey), /expected a signature/);
});
