/** Rows of the leaderboard: what is refused, what is collected, and what stands together in a ranking. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { jupyterDisplay, mime } from "./display.ts";
import { type ApproachFigures, makeApproach, ranked, rankingKey, splitOf, splitOfCard } from "./leaderboard.ts";
import { leaderboardHtml } from "./leaderboard_page.ts";
import type { Notebook } from "./notebook_file.ts";
import { paretoFront, paretoPicture } from "./pareto_picture.ts";
import type { Provenance } from "./provenance.ts";
import { collectApproaches } from "./report.ts";
import { renderIndex } from "./report_index.ts";
import { makeResult, mergeResults, readResults, writeResults } from "./results.ts";
import { table } from "./table.ts";

const split = { name: "test", n: 40, species: 151, hash: "a".repeat(64) } as const;
const figures = { name: "net", family: "classifier", top1: 0.5, top1_ci95: [0.35, 0.65] } satisfies ApproachFigures;
const versions = { library: "0.1.0", deno: "2.9.6", packages: {} };
const provenance: Provenance = { profile: "smoke", seed: 1, commit: null, versions, machine: "m", date: "2026-11-24" };
const result = (approaches: readonly ReturnType<typeof makeApproach>[], report = "x.html") =>
  makeResult({ title: "T", seconds: 1, report, figures: [], approaches, provenance });

Deno.test("figures that cannot be are refused in one line that names the row", () => {
  const refused = (change: Partial<ApproachFigures>, message: RegExp, where: Partial<typeof split> | object = {}) =>
    assert.throws(() => makeApproach({ ...split, ...where }, { ...figures, ...change }), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(!error.message.includes("\n"));
      return true;
    });
  refused({}, /^leaderboard, "net": split\.n: expected a number of pictures from 1, found 0$/, { n: 0 });
  refused({}, /split\.species: expected a number of species from 2, found 1/, { species: 1 });
  refused({}, /split\.hash: expected a SHA-256, found "abc"/, { hash: "abc" });
  refused({ top1: NaN }, /top1: expected a share in 0 … 1, found NaN/);
  refused({ top1: 50 }, /top1: expected a share in 0 … 1, found 50/);
  refused({ top1_ci95: [0.3, 1.2] }, /top1_ci95: expected an interval in 0 … 1 that holds 0\.5, found 0\.3 … 1\.2/);
  refused({ top1_ci95: [0.6, 0.7] }, /that holds 0\.5, found 0\.6 … 0\.7/);
  refused({ top5: 0.4 }, /top5: expected a share from top-1's 0\.5 to 1, found 0\.4/);
  refused({ ece: -0.1 }, /ece: expected a share/);
  refused({ bytes: 0 }, /bytes: expected a number above 0, found 0/);
  refused({ latencyMs: Infinity }, /latencyMs: expected a number above 0, found Infinity/);
  refused({ name: " " }, /expected a name, found none/);
  assert.deepEqual(makeApproach(split, { ...figures, ece: undefined }), { ...figures, split });
});

Deno.test("rows of cells are collected, a later one of the same name on the same split in the place of the first", async () => {
  const first = makeApproach(split, figures), again = makeApproach(split, { ...figures, top1: 0.6 });
  const elsewhere = makeApproach({ ...split, n: 41 }, figures);
  const bundle = await table([{ a: 1 }])[jupyterDisplay]();
  const output = (rows: unknown) => ({
    ...{ output_type: "display_data", metadata: {} },
    data: { ...bundle, [mime.leaderboard]: rows },
  });
  const cell = (rows: unknown) => ({
    ...{ cell_type: "code", id: "c", metadata: {}, execution_count: null, source: "", outputs: [output(rows)] },
  });
  const notebook = { cells: [cell([first, elsewhere]), cell([again, { ...first, top1: 7 }]), cell("nothing")] };
  assert.deepEqual(collectApproaches(notebook as unknown as Notebook), [again, elsewhere]);
});

Deno.test("results.json holds rows; one of an older version has none, and one with nonsense is refused in one line", async () => {
  const folder = await Deno.makeTempDir(), path = join(folder, "results.json");
  try {
    const row = makeApproach({ ...split, part: "some" }, { ...figures, latencyMs: 3 });
    await writeResults(folder, mergeResults({}, { "02": result([row]) }, provenance));
    assert.deepEqual((await readResults(folder))["02"]!.approaches, [row]);
    const written = JSON.parse(await Deno.readTextFile(path));
    const { approaches: _, ...older } = written.notebooks["02"];
    await Deno.writeTextFile(path, JSON.stringify({ ...written, notebooks: { "02": older } }));
    const read = await readResults(folder);
    assert.deepEqual(read["02"]!.approaches, []);
    assert.equal(leaderboardHtml({ notebooks: read }), "");
    written.notebooks["02"].approaches[0].split.n = 0;
    await Deno.writeTextFile(path, JSON.stringify(written));
    await assert.rejects(readResults(folder), (error: Error) => {
      assert.match(
        error.message,
        /results\.json: notebooks\.02\.approaches\.0: .*found: net: split\.n: expected .* found 0/,
      );
      return !error.message.includes("\n");
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a ranking holds one split, its species and its part; the best comes first", async () => {
  const on = (change: object, name: string, top1: number, bytes?: number) =>
    makeApproach({ ...split, ...change }, { name, family: "adapter", top1, top1_ci95: [0, 1], bytes });
  const rows = [
    ...[on({}, "low", 0.2, 2e6), on({}, "<high>", 0.8, 9e6), on({ species: 1025 }, "wide", 0.9)],
    ...[on({ hash: "b".repeat(64) }, "other", 0.99), on({ part: "unseen" }, "part", 0.7), on({ n: 39 }, "fewer", 0.6)],
  ];
  const html = await renderIndex(
    mergeResults({}, { "02": result(rows.slice(0, 1)), "03": result(rows.slice(1)) }, provenance),
  );
  const tables = html.split("<tbody>").slice(1).map((part) =>
    Array.from(part.split("</tbody>")[0]!.matchAll(/<th scope="row">(.*?)<\/th>/g), ([, name]) => name)
  );
  assert.deepEqual(tables[0], ["&#60;high&#62;", "low"]);
  assert.deepEqual(tables.slice(1).map(({ length }) => length), [1, 1, 1, 1]);
  assert.equal((html.match(/class="interval"/g) ?? []).length, 6);
  assert.match(html, /test: 151 species, 40 pictures, unseen/);
  assert.equal(
    (html.match(/Accuracy against size/g) ?? []).length,
    2,
    "a title and a label, of the only pair with sizes",
  );
  assert.ok(!html.includes("Accuracy against latency"));
  const equal = [on({}, "b", 0.5), on({}, "a", 0.5), on({}, "small", 0.5, 1)];
  assert.deepEqual(ranked(equal).map(({ name }) => name), ["small", "a", "b"]);
});

Deno.test("the front of Pareto is what none beats in both, by hand", () => {
  const point = (cost: number, value: number) => ({ cost, value });
  // (2, .5) is beaten by (1, .5), (4, .6) by (3, .7); of the two at cost 5 the better one is left, and it is the best of all.
  const points = [point(3, 0.7), point(1, 0.5), point(2, 0.5), point(5, 0.8), point(4, 0.6), point(5, 0.9)];
  assert.deepEqual(paretoFront(points), [1, 0, 5]);
  assert.deepEqual(paretoFront([]), []);
  const rows = [0.9, 0.5].map((top1, i) =>
    makeApproach(split, { ...figures, name: `n${i}`, top1, top1_ci95: [0.4, 1] })
  );
  const cost = (costs: readonly (number | undefined)[]) =>
    paretoPicture(rows, { of: (row) => costs[rows.indexOf(row)], title: "T", unit: "MB" });
  assert.equal(cost([1, undefined]), "", "one point says nothing");
  assert.match(cost([10, 1]), /on the front 2\. n1; 1\. n0"/);
  assert.match(cost([1, 10]), /on the front 1\. n0"/);
});

Deno.test("a data set's split is known by its pictures, a card's by what it was trained on", () => {
  const rows = (test: string) => ({
    train: [{ sha256: "1", split: "train" }],
    validation: [],
    test: [{ sha256: test, split: "test" }],
  });
  const data = (test: string) => ({ rows: rows(test), classes: [1, 2, 3] }) as unknown as Parameters<typeof splitOf>[0];
  const key = (test: string, options = {}) => rankingKey(splitOf(data(test), "test", options));
  assert.deepEqual([splitOf(data("2"), "test").n, splitOf(data("2"), "test").species], [1, 3]);
  assert.equal(key("2"), key("2"));
  assert.equal(new Set([key("2"), key("3"), key("2", { species: 1025 }), key("2", { part: "unseen" })]).size, 4);
  const trainedOn = {
    ...{ profile: "national", seed: 1, sources: ["folder:x"], split: "as built" },
    pictures: { train: 3, validation: 2, test: 1 },
  };
  const card = splitOfCard(trainedOn, { n: 1, species: 3 });
  assert.deepEqual(splitOfCard(structuredClone(trainedOn), { n: 1, species: 3 }), card);
  assert.notEqual(splitOfCard({ ...trainedOn, seed: 2 }, { n: 1, species: 3 }).hash, card.hash);
  const { hash } = splitOf(data("2"), "test");
  const known = splitOfCard({ ...trainedOn, splitHash: hash }, { n: 1, species: 3 });
  assert.equal(rankingKey(known), key("2")); // a card that knows its split stands with what was measured on it
});
