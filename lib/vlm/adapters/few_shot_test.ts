/** Tests of few_shot.ts and cells.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { InputError } from "../../runtime/mod.ts";
import { type Adapter, fewShot, type FewShotOptions, gda, nearestPrototype, zeroShot } from "./mod.ts";
import { smallFeatures } from "./small_features.ts";

/** The nearest prototype, which counts how often it is fitted and remembers with what. */
function counted(name = "counted"): Adapter & { fits: Parameters<Adapter["fit"]>[0][] } {
  const inner = nearestPrototype(), fits: Parameters<Adapter["fit"]>[0][] = [];
  return { ...inner, name, fits, fit: (input) => (fits.push(input), inner.fit(input)) };
}

const { classes: _, ...data } = smallFeatures(7, { classes: 6, pictures: 8 });
const options = (more: Partial<FewShotOptions> = {}): FewShotOptions => ({
  ...data,
  adapters: [zeroShot(), nearestPrototype()],
  shots: [1, 4, "all"],
  seeds: 3,
  threads: 1,
  ...more,
});

async function inFolder(body: (file: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(join(folder, "cells.jsonl"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the table has a cell for each number of shots and seed, one for what cannot differ, and a point for each curve's place", async () => {
  const { cells, points } = await fewShot(options());
  assert.deepEqual(cells.map(({ shots, seed }) => [shots, seed]), [
    [0, 0],
    [1, 0],
    [1, 1],
    [1, 2],
    [4, 0],
    [4, 1],
    [4, 2],
    ["all", 0],
  ]);
  const finished = cells.flatMap((cell) => cell.status === "finished" ? [cell] : []);
  assert.deepEqual(finished.map(({ pictures }) => pictures), [0, 6, 6, 6, 24, 24, 24, 48]);
  assert.deepEqual(finished.map(({ validationPictures }) => validationPictures), [0, 6, 6, 6, 24, 24, 24, 48]);
  assert.deepEqual(points.map(({ adapter, shots, seeds }) => `${adapter} ${shots} ${seeds}`), [
    "zero-shot 0 1",
    "nearest prototype 1 3",
    "nearest prototype 4 3",
    "nearest prototype all 1",
  ]);
  const ones = finished.slice(1, 4).map(({ top1 }) => top1.share), mean = (ones[0]! + ones[1]! + ones[2]!) / 3;
  const deviation = Math.sqrt(ones.reduce((sum, share) => sum + (share - mean) ** 2, 0) / 2), { top1 } = points[1]!;
  assert.ok(Math.abs(top1.mean - mean) < 1e-12 && Math.abs(top1.deviation - deviation) < 1e-12);
  assert.deepEqual([top1.low, top1.high], [Math.min(...ones), Math.max(...ones)]);
  for (const { top1, top5 } of finished) {
    assert.ok(top1.ci95[0] <= top1.share && top1.share <= top1.ci95[1] && top1.share <= top5.share && top1.n === 48);
  }
});

Deno.test("all adapters get the same pictures, of the training split only; the full validation set is given when asked for", async () => {
  const a = counted("a"), b = counted("b");
  await fewShot(options({ adapters: [a, b], shots: [2], validationPictures: "full" }));
  assert.equal(a.fits.length, 3);
  for (const [i, { train, validation }] of a.fits.entries()) {
    assert.deepEqual(train, b.fits[i]!.train);
    assert.equal(validation!.labels.length, 48);
    const known = new Set(rowsOf(data.train.features.data));
    assert.ok(rowsOf(train.features.data).every((row) => known.has(row)));
  }
  assert.notDeepEqual(a.fits[0]!.train, a.fits[1]!.train);
});

function rowsOf(features: Float32Array): string[] {
  return Array.from({ length: features.length / 16 }, (_, i) => features.subarray(16 * i, 16 * (i + 1)).join());
}

Deno.test("finished cells are found again; other features, settings or texts are other cells", async () => {
  await inFolder(async (file) => {
    const first = counted();
    const table = await fewShot(options({ adapters: [first], file }));
    assert.equal(first.fits.length, 7);
    const again = counted();
    assert.deepEqual(await fewShot(options({ adapters: [again], file })), table);
    assert.equal(again.fits.length, 0);
    const more = counted(); // two seeds more for two numbers of shots
    await fewShot(options({ adapters: [more], seeds: 5, file }));
    assert.equal(more.fits.length, 4);
    const features = { ...data.test.features, data: data.test.features.data.map((value) => -value) };
    const other = counted();
    await fewShot(options({ adapters: [other], test: { ...data.test, features }, file }));
    assert.equal(other.fits.length, 7);
    const set = { ...counted(), settings: { other: 1 } };
    await fewShot(options({ adapters: [set], file }));
    assert.equal(set.fits.length, 7);
  });
});

Deno.test("after an abort, and half a line, the work goes on where it was", async () => {
  const whole = await fewShot(options({ adapters: [counted()] }));
  await inFolder(async (file) => {
    const controller = new AbortController(), stopped = counted();
    const onProgress = ({ done }: { done: number }) => {
      if (done === 3) controller.abort(new Error("stop"));
    };
    await assert.rejects(
      fewShot(options({ adapters: [stopped], file, signal: controller.signal, onProgress })),
      /stop/,
    );
    await Deno.writeTextFile(file, '{"key": "ab', { append: true });
    const rest = counted();
    const table = await fewShot(options({ adapters: [rest], file }));
    assert.equal(rest.fits.length, 4);
    const judged = (cells: typeof table.cells) => cells.map((cell) => ({ ...cell, seconds: 0 }));
    assert.deepEqual(judged(table.cells), judged(whole.cells));
    assert.equal((await Deno.readTextFile(file)).trim().split("\n").length, 7);
  });
});

Deno.test("an adapter that throws marks its cells, is tried again, and does not stop the others", async () => {
  await inFolder(async (file) => {
    let broken = true;
    const inner = gda();
    const failing: Adapter = {
      ...inner,
      fit: (input) => broken ? Promise.reject(new Error("no\nluck")) : inner.fit(input),
    };
    const adapters = [failing, nearestPrototype()];
    const first = await fewShot(options({ adapters, file }));
    assert.deepEqual(first.cells.map(({ status }) => status), [
      ...Array(7).fill("failed"),
      ...Array(7).fill("finished"),
    ]);
    const cell = first.cells[0]!;
    assert.equal(cell.status === "failed" && cell.problem, "no; luck");
    assert.deepEqual(first.points.map(({ adapter }) => adapter), Array(3).fill("nearest prototype"));
    broken = false;
    const second = await fewShot(options({ adapters, file }));
    assert.ok(second.cells.every(({ status }) => status === "finished"));
  });
});

Deno.test("what does not go together is refused before anything is fitted", async () => {
  const adapter = counted(), adapters = [adapter];
  const wrong: [Partial<FewShotOptions>, RegExp][] = [
    [{ adapters: [adapter, counted()] }, /expected adapters of different names, found two of counted/],
    [{ shots: [0] }, /expected shots from 1 or "all", found 0/],
    [{ seeds: 0 }, /expected seeds from 1, found 0/],
    [{ groups: [1, 2] }, /groups: expected 48, one a picture, found 2/],
    [
      { test: { ...data.test, labels: data.test.labels.map(() => 9) } },
      /test labels: expected 0 … 5, found 9 in row 0/,
    ],
  ];
  for (const [more, message] of wrong) {
    await assert.rejects(fewShot(options({ adapters, ...more })), (error) => {
      assert.ok(error instanceof InputError);
      return message.test(error.message);
    });
  }
  assert.equal(adapter.fits.length, 0);
});
