/** Tests of results.json. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { makeKeyFigure } from "./key_figure.ts";
import type { Provenance } from "./provenance.ts";
import { makeResult, mergeResults, readResults, writeResults } from "./results.ts";

function provenance(seed: number): Provenance {
  const versions = { library: "0.1.0", deno: "2.9.6", packages: {} };
  return { profile: "smoke", seed, commit: null, versions, machine: "m", date: "2026-11-23 10:00 UTC" };
}

function result(seed: number, value: number) {
  const figures = [makeKeyFigure("top-1", value, { unit: "%", n: 10, ci95: [0, 100], split: "test" })];
  return makeResult({ title: "T", seconds: 1.26, report: "x.html", figures, provenance: provenance(seed) });
}

Deno.test("running one notebook again keeps the others' entries, each with its own seed", async () => {
  const folder = await Deno.makeTempDir();
  try {
    assert.deepEqual(await readResults(folder), {});
    await writeResults(folder, mergeResults({}, { "02": result(1, 2), "01": result(1, 1) }, provenance(1)));
    const merged = mergeResults(await readResults(folder), { "01": result(9, 5) }, provenance(9));
    await writeResults(folder, merged);
    const again = await readResults(folder);
    assert.deepEqual(Object.keys(again), ["01", "02"]);
    assert.deepEqual([again["01"]!.seed, again["02"]!.seed, merged.seed], [9, 1, 9]);
    assert.deepEqual(again["01"]!.figures[0], {
      name: "top-1",
      value: 5,
      unit: "%",
      n: 10,
      ci95: [0, 100],
      split: "test",
      decimals: 0,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a results.json that is cut or foreign is refused by name, not overwritten", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const text of ['{"profile": "smo', '{"notebooks": []}']) {
      await Deno.writeTextFile(join(folder, "results.json"), text);
      await assert.rejects(readResults(folder), /InputError: .*results\.json: .*expected/);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
