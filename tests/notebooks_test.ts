/** The notebooks' whole way, as a person runs it: `deno task reproduce` on fixtures, its files, its exit status, its report in Chromium. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { readNotebook } from "../lib/notebook/mod.ts";
import { lockFolder } from "../lib/runtime/mod.ts";
import { findChromium, visit } from "./chromium.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const fixtures = join(root, "tests", "fixtures");

async function task(name: string, args: readonly string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(root, "tasks", `${name}.ts`), ...args],
    cwd: root,
    env: { NO_COLOR: "1", ...env },
  }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

/** Runs with a folder that is gone afterwards. */
async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex-test-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("reproduce writes report, executed copy, index and results; the report opens without a complaint", async (t) => {
  await withFolder(async (out) => {
    const args = [
      "--notebooks",
      join(fixtures, "notebooks"),
      "--out",
      out,
      "--profile",
      "smoke",
      "--seed",
      "3",
      "--json",
    ];
    const { code, out: text, err } = await task("reproduce", args);
    assert.equal(code, 0, err);
    const results = JSON.parse(await Deno.readTextFile(join(out, "results.json")));
    assert.deepEqual(JSON.parse(text).notebooks, results.notebooks, "one JSON document on stdout");
    const { status, seed, figures } = results.notebooks["01_tour"];
    assert.deepEqual([status, seed, figures.length], ["ok", 3, 2]);
    assert.deepEqual(figures[0].ci95, [38.8, 43.7]);
    const executed = await readNotebook(join(out, "01_tour.ipynb"));
    const codeCells = executed.cells.filter((cell) => cell.cell_type === "code");
    assert.deepEqual(codeCells.map((cell) => cell.execution_count), codeCells.map((_, i) => i + 1));
    assert.ok(codeCells.every((cell) => cell.outputs.length > 0));
    const names = (await Array.fromAsync(Deno.readDir(out))).map((entry) => entry.name).sort();
    assert.deepEqual(names, [".lock", "01_tour.html", "01_tour.ipynb", "index.html", "results.json"]);
    const html = await Deno.readTextFile(join(out, "01_tour.html"));
    assert.ok(html.length < 3_000_000, `${html.length} characters`);
    await t.step({
      name: "in Chromium: no console error, no sideways scroll at 1280 and 390 px, plots drawn, dark and light",
      ignore: findChromium() === undefined,
      async fn() {
        for (const [width, dark] of [[1280, false], [390, true]] as const) {
          const { complaints, value } = await visit(pathToFileURL(join(out, "01_tour.html")).href, {
            width,
            dark,
            evaluate:
              `[document.documentElement.scrollWidth <= innerWidth, document.querySelectorAll(".plot.drawn svg.main-svg").length > 5,
              getComputedStyle(document.body).backgroundColor]`,
          });
          assert.deepEqual(complaints, []);
          assert.deepEqual(value, [true, true, dark ? "rgb(20, 22, 27)" : "rgb(251, 251, 249)"]);
        }
        const index = await visit(pathToFileURL(join(out, "index.html")).href, { width: 390 });
        assert.deepEqual(index.complaints, []);
      },
    });
  });
});

Deno.test("a failing notebook ends with status 1 and one line; its report shows what came before, and others still run", async () => {
  await withFolder(async (out) => {
    const args = ["--notebooks", join(fixtures, "failing"), "--out", out, "--profile", "smoke"];
    const { code, err } = await task("reproduce", args);
    assert.equal(code, 1);
    const errors = err.split("\n").filter((line) => line.startsWith("error:"));
    assert.equal(errors.length, 1);
    assert.match(errors[0]!, /02_bad\.ipynb: cell 3 \(throw new RangeError\(.*\): RangeError: the third cell; fails$/);
    const report = await Deno.readTextFile(join(out, "02_bad.html"));
    assert.match(report, /shown before the failure/);
    assert.match(report, /Cell 3<\/a> failed/);
    const { notebooks } = JSON.parse(await Deno.readTextFile(join(out, "results.json")));
    assert.deepEqual([notebooks["01_good"].status, notebooks["02_bad"].status], ["ok", "failed"]);
    // one notebook again keeps the other's entry
    assert.equal((await task("reproduce", [...args, "--only", "01"])).code, 0);
    const again = JSON.parse(await Deno.readTextFile(join(out, "results.json"))).notebooks;
    assert.equal(again["02_bad"].failure.cell, 3);
    assert.match(await Deno.readTextFile(join(out, "index.html")), /02_bad\.html/);
  });
});

Deno.test("a second run into the same folder is refused while the first goes on", async () => {
  await withFolder(async (out) => {
    const lock = await lockFolder(out);
    try {
      const { code, err } = await task("reproduce", ["--notebooks", join(fixtures, "failing"), "--out", out]);
      assert.equal(code, 1);
      assert.match(err, /expected no other writer, found process \d+ at work/);
    } finally {
      lock.release();
    }
  });
});

Deno.test("wrong arguments and broken notebooks end with status 2 and one line, before anything runs", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(
      join(folder, "01_good.ipynb"),
      await Deno.readTextFile(join(fixtures, "failing", "01_good.ipynb")),
    );
    await Deno.writeTextFile(join(folder, "02_cut.ipynb"), '{"cells": [{"cell_type": "co');
    const out = join(folder, "out");
    const cases = [
      [["--profile", "huge"], /--profile: expected blog, national, quick, smoke, found "huge"/],
      [["--notebooks", join(folder, "none")], /none: expected a folder of notebooks/],
      [["--notebooks", folder], /02_cut\.ipynb: expected JSON, found/],
      [["--notebooks", folder, "--only", "9"], /--only: expected some of 01_good, 02_cut, found "9"/],
      [["--frofile", "quick"], /Unknown option '--frofile'/],
    ] as const;
    for (const [args, message] of cases) {
      const { code, err } = await task("reproduce", [...args, "--out", out]);
      assert.equal(code, 2, err);
      assert.match(err, message);
      assert.equal(err.trim().split("\n").length, 1, err);
    }
    await assert.rejects(Deno.stat(out), Deno.errors.NotFound);
  });
});

Deno.test("deno task kernel writes into JUPYTER_DATA_DIR a kernel that starts, and removes it", async () => {
  await withFolder(async (folder) => {
    const env = { JUPYTER_DATA_DIR: folder };
    const { code, out } = await task("kernel", ["--json"], env);
    assert.equal(code, 0);
    const { path } = JSON.parse(out);
    const spec = JSON.parse(await Deno.readTextFile(join(path, "kernel.json")));
    assert.equal(path, join(folder, "kernels", "deno"));
    const version = await new Deno.Command(spec.argv[0], { args: ["--version"] }).output();
    assert.match(new TextDecoder().decode(version.stdout), /^deno 2\./);
    assert.equal(JSON.parse((await task("kernel", ["--remove", "--json"], env)).out).removed, true);
  });
});
