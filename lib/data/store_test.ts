/** Tests of store.ts: the journal. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { WorkError } from "../runtime/mod.ts";
import { Journal, type JournalRow, settingsHash } from "./store.ts";

const row = (n: number, settings = "s"): JournalRow => ({
  sha256: n.toString(16).padStart(64, "0"),
  frames: 1,
  settings,
  pictures: [],
  cause: `cause ${n}`,
});

async function withJournal(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex-journal-" });
  try {
    await work(join(folder, "journal.jsonl"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a journal writes after every hundredth row and when it is flushed", () =>
  withJournal(async (path) => {
    const journal = await Journal.open(path, "s");
    for (let n = 0; n < 99; n++) await journal.add(row(n));
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
    await journal.add(row(99));
    assert.equal((await Journal.open(path, "s")).size, 100);
    await journal.add(row(100));
    await journal.flush();
    const again = await Journal.open(path, "s");
    assert.equal(again.size, 101);
    assert.deepEqual(again.get(row(100)), row(100));
    assert.equal(again.get({ ...row(100), frames: 2 }), undefined);
  }));

Deno.test("a last line that was cut short is dropped and the next row starts a new line", () =>
  withJournal(async (path) => {
    const lines = [row(1), row(2)].map((each) => JSON.stringify(each) + "\n").join("");
    await Deno.writeTextFile(path, lines.slice(0, -20));
    const journal = await Journal.open(path, "s");
    assert.equal(journal.size, 1);
    await journal.add(row(3));
    await journal.flush();
    const again = await Journal.open(path, "s");
    assert.deepEqual([again.get(row(1)), again.get(row(2)), again.get(row(3))], [row(1), undefined, row(3)]);
  }));

Deno.test("damaged lines and rows of other settings count as not there", () =>
  withJournal(async (path) => {
    await Deno.writeTextFile(
      path,
      [JSON.stringify(row(1, "other")), "{", '{"sha256":1}', JSON.stringify(row(2)), ""].join("\n"),
    );
    const journal = await Journal.open(path, "s");
    assert.equal(journal.size, 1);
    assert.ok(journal.get(row(2)));
  }));

Deno.test("a compacted journal is sorted and holds what is in use only", () =>
  withJournal(async (path) => {
    const journal = await Journal.open(path, "s");
    for (const n of [3, 1, 2]) await journal.add(row(n));
    await journal.flush();
    await journal.compact(new Set([`${row(3).sha256}:1`, `${row(1).sha256}:1`]));
    assert.equal(await Deno.readTextFile(path), [row(1), row(3)].map((each) => JSON.stringify(each) + "\n").join(""));
  }));

Deno.test({
  name: "a full disk keeps the rows pending and says so in one line",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withJournal(async (path) => {
      const journal = await Journal.open(path, "s");
      await journal.add(row(1));
      await Deno.symlink("/dev/full", path);
      await assert.rejects(journal.flush(), (error: Error) => {
        assert.ok(error instanceof WorkError);
        assert.match(
          error.message,
          /^.*journal\.jsonl: no space left on the disk; free some and run the same command again$/,
        );
        return true;
      });
      await Deno.remove(path);
      await journal.flush();
      assert.equal((await Journal.open(path, "s")).size, 1);
    }),
});

Deno.test("settingsHash() changes with the seed, the quality and the codec", () => {
  const settings = { seed: 0, jpegQuality: 90, codec: "8" };
  const hashes = [settings, { ...settings, seed: 1 }, { ...settings, jpegQuality: 80 }, { ...settings, codec: "9" }]
    .map(settingsHash);
  assert.equal(new Set(hashes).size, 4);
  assert.equal(settingsHash({ ...settings }), hashes[0]);
});
