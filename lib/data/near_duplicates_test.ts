/** Tests of fingerprint.ts and near_duplicates.ts, on drawn pictures. */

import assert from "node:assert/strict";
import { InputError } from "../runtime/mod.ts";
import { decodeFile } from "./decode.ts";
import { countBits, fingerprint, fingerprintDistance, parseFingerprint } from "./fingerprint.ts";
import {
  findCrossSpecies,
  groupNearDuplicates,
  nearDuplicateScore,
  nearDuplicateThreshold,
} from "./near_duplicates.ts";
import { figure, figurePixels } from "./test_pictures.ts";

const seeds = Array.from({ length: 24 }, (_, index) => index);

async function scoreOf(seed: number, changed: Uint8Array): Promise<number> {
  const original = fingerprint(await figurePixels(seed));
  const other = fingerprint((await decodeFile(changed)).pictures[0]!);
  return nearDuplicateScore(parseFingerprint(original), parseFingerprint(other));
}

const changes: Record<string, (seed: number) => Promise<Uint8Array>> = {
  "turned to other hues": (seed) => figure(seed, { hue: 120 }).png().toBuffer(),
  "mirrored": (seed) => figure(seed, { mirrored: true }).png().toBuffer(),
  "enlarged fourfold": (seed) => figure(seed, { size: 384 }).png().toBuffer(),
  "reduced to 48 px": (seed) => figure(seed, { size: 48 }).png().toBuffer(),
  "re-encoded as WebP of quality 40": (seed) => figure(seed).webp({ quality: 40 }).toBuffer(),
  "re-encoded as JPEG on white": (seed) => figure(seed, { background: "#fff" }).jpeg({ quality: 60 }).toBuffer(),
  "padded by a third": (seed) => figure(seed, { padding: 0.34, size: 160 }).png().toBuffer(),
  "padded with grey": (seed) =>
    figure(seed, { padding: 0.2, size: 140, background: "rgb(114,114,114)" }).png().toBuffer(),
  "mirrored, padded and in other hues": (seed) =>
    figure(seed, { mirrored: true, padding: 0.1, hue: 200 }).webp({ quality: 80 }).toBuffer(),
};

for (const [change, make] of Object.entries(changes)) {
  Deno.test(`a picture ${change} stays a near-duplicate`, async () => {
    for (const seed of seeds) {
      const score = await scoreOf(seed, await make(seed));
      assert.ok(score <= nearDuplicateThreshold, `figure ${seed}: ${score} bits`);
    }
  });
}

Deno.test("different figures are no near-duplicates", async () => {
  const prints = await Promise.all(seeds.map(async (seed) => parseFingerprint(fingerprint(await figurePixels(seed)))));
  for (const [i, a] of prints.entries()) {
    for (const b of prints.slice(i + 1)) {
      const score = nearDuplicateScore(a, b);
      assert.ok(score > nearDuplicateThreshold, `${score} bits`);
    }
  }
});

Deno.test("a fingerprint is at distance 0 from itself and from its mirror image", async () => {
  for (const seed of seeds) {
    const print = parseFingerprint(fingerprint(await figurePixels(seed)));
    assert.deepEqual(fingerprintDistance(print, print), { gradient: 0, outline: 0 });
    assert.deepEqual(fingerprintDistance(print, { words: print.mirrored, mirrored: print.words }), {
      gradient: 0,
      outline: 0,
    });
  }
});

Deno.test("a ramp from black to white has all its bits in the plane 'brighter'", () => {
  const width = 130, height = 120;
  const data = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const grey = Math.floor((i % width) / 10) * 20;
    data.set([grey, grey, grey, 255], i * 4);
  }
  assert.equal(fingerprint({ data, width, height }), "f".repeat(36) + "0".repeat(36) + "f".repeat(36));
});

Deno.test("countBits() counts as a loop does", () => {
  for (const word of [0, 1, -1, 0x80000000, 0x12345678, 0xf0f0f0f0]) {
    let expected = 0;
    for (let bit = 0; bit < 32; bit++) expected += (word >>> bit) & 1;
    assert.equal(countBits(word), expected);
  }
});

Deno.test("parseFingerprint() refuses a text that is none", () => {
  assert.throws(() => parseFingerprint("xyz"), InputError);
  assert.throws(() => parseFingerprint("0".repeat(107)), /108 hexadecimal digits/);
});

async function pictures() {
  const rows = [];
  for (const dex of [1, 2]) {
    for (let k = 0; k < 4; k++) {
      for (const hue of [0, 150]) {
        const print = fingerprint(await figurePixels(dex * 100 + k, { hue }));
        rows.push({ id: `000${dex}_00${1 + 2 * k + (hue ? 1 : 0)}`, dex, fingerprint: print });
      }
    }
  }
  return rows;
}

Deno.test("regular and shiny pictures of a figure form a group, other figures another one", async () => {
  const groups = groupNearDuplicates(await pictures());
  assert.equal(new Set(groups.values()).size, 8);
  assert.equal(groups.get("0001_001"), "0001-g01");
  assert.equal(groups.get("0001_002"), "0001-g01");
  assert.equal(groups.get("0001_003"), "0001-g02");
  assert.equal(groups.get("0002_008"), "0002-g04");
});

Deno.test("groups do not depend on the order of the pictures", async () => {
  const rows = await pictures();
  const groups = groupNearDuplicates(rows);
  const reversed = groupNearDuplicates(rows.toReversed());
  for (const row of rows) assert.equal(reversed.get(row.id), groups.get(row.id));
});

Deno.test("a common lineage joins pictures that look different, but not those of two species", async () => {
  const rows = (await pictures()).map((row) => ({ ...row, lineage: "animation" }));
  assert.deepEqual(new Set(groupNearDuplicates(rows).values()), new Set(["0001-g01", "0002-g01"]));
});

Deno.test("findCrossSpecies() finds every pair that comparing all with all finds", async () => {
  const rows = [];
  for (let k = 0; k < 90; k++) {
    // Every third figure stands under two species, once mirrored.
    for (const dex of k % 3 === 0 ? [1, 2] : [1 + k % 2]) {
      const print = fingerprint(await figurePixels(k, { mirrored: dex === 2, hue: dex === 2 ? 10 : 0 }));
      rows.push({ id: `000${dex}_${String(k).padStart(3, "0")}`, dex, fingerprint: print });
    }
  }
  for (const threshold of [20, 40, 100]) {
    const expected = new Set<string>();
    for (const a of rows) {
      for (const b of rows) {
        const score = nearDuplicateScore(parseFingerprint(a.fingerprint), parseFingerprint(b.fingerprint));
        if (a.dex !== b.dex && a.id < b.id && score <= threshold) expected.add(`${a.id} ${b.id} ${score}`);
      }
    }
    const found = findCrossSpecies(rows, { threshold });
    assert.deepEqual(new Set(found.map(({ a, b, score }) => `${a} ${b} ${score}`)), expected);
    assert.ok(expected.size >= 25, `${expected.size} pairs within ${threshold}`);
    assert.deepEqual(found.map((pair) => pair.score), found.map((pair) => pair.score).toSorted((x, y) => x - y));
  }
});
