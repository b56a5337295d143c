import assert from "node:assert/strict";
import { join } from "node:path";
import { writeTarget } from "../targets/manifest.ts";
import { writeNewKey } from "./keys.ts";
import { tryTampering, verifyPackage } from "./verify.ts";

Deno.test("a package is taken as it was written; a bit, a number, a missing signature and another key are each refused by name", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_verify_" });
  try {
    const key = await writeNewKey(join(folder, "key.pem")), other = await writeNewKey(join(folder, "other.pem"));
    const out = join(folder, "package");
    await writeTarget(out, {
      ...{ target: "rpi", model: "tiny", version: 3, created: "2026-01-01", source: { sha256: "0".repeat(64) } },
      ...{ runner: { minimum: 1 }, rollout: 1, key },
      files: [{ path: "model.onnx", content: "x".repeat(2000), update: true }, { path: "parts/a.txt", content: "a" }],
    });
    assert.equal((await verifyPackage(out, key.publicKey)).version, 3);
    const trials = await tryTampering(out, { publicKey: key.publicKey, otherKey: other.publicKey });
    assert.deepEqual(trials.map(({ isAccepted }) => isAccepted), [true, false, false, false, false]);
    const reasons = [
      /^$/,
      /^model\.onnx: expected 2000 bytes with SHA-256 [0-9a-f]{12}…, found 2000 with/,
      /^manifest\.json: expected a signature by the key/,
      /^manifest\.sig: expected a file, found nothing there$/,
      /^manifest\.json: expected a signature by the key/,
    ];
    for (const [i, { why }] of trials.entries()) assert.match(why, reasons[i]!);
    assert.equal((await verifyPackage(out, key.publicKey)).version, 3); // the trials were done to copies
    await Deno.writeTextFile(join(out, "parts", "a.txt"), "b");
    await assert.rejects(verifyPackage(out, key.publicKey), /parts\/a\.txt: expected 1 bytes/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
