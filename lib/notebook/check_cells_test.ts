/** Tests of the type check of notebook cells. */
// deno-lint-ignore-file camelcase -- the names of nbformat and the Jupyter protocol

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkCells, joinCells, problemText, uncleanCells } from "./check_cells.ts";
import type { Cell, Notebook } from "./notebook_file.ts";

const code = (source: string): Cell => ({
  cell_type: "code",
  source,
  metadata: {},
  execution_count: null,
  outputs: [],
});
const words: Cell = { cell_type: "markdown", source: "# Words", metadata: {} };

function notebookOf(...cells: Cell[]): Notebook {
  return { nbformat: 4, nbformat_minor: 4, metadata: {}, cells };
}

/** Checks cells in a folder below this one, so that the house's deno.json holds for them. */
async function check(...cells: Cell[]): Promise<string[]> {
  const folder = await Deno.makeTempDir({ dir: fileURLToPath(new URL(".", import.meta.url)), prefix: "cells~" });
  try {
    const path = join(folder, "07_x.ipynb");
    await Deno.writeTextFile(path, JSON.stringify(notebookOf(...cells)));
    const problems = (await checkCells(path)).map((one) => problemText({ ...one, notebook: "07_x.ipynb" }));
    const left = (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name);
    assert.deepEqual(left, ["07_x.ipynb"], "nothing is left behind");
    return problems;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const door = "../../runtime/mod.ts";

Deno.test("cells share one scope, may await, and may import the same again", async () => {
  const problems = await check(
    words,
    code(`import { exists, Random } from "${door}";\nconst random = Random.seeded("x")`),
    code(`import { exists, sha256 } from "${door}";\n[await exists("/"), random.uniform(), sha256("")]`),
  );
  assert.deepEqual(problems, []);
});

Deno.test("a misspelled import in a cell is found, with the cell's number and line", async () => {
  const [problem, ...more] = await check(words, code("1"), code(`\nimport { Randon } from "${door}";\nRandon`));
  assert.deepEqual(more, []);
  assert.match(problem!, /^07_x\.ipynb: cell 3, line 2: TS\d+: .*has no exported member( named)? 'Randon'/);
});

Deno.test("a wrong type is found where it stands, and all problems are listed", async () => {
  const problems = await check(code("const n: number = 1;\nn;"), words, code("const s: string = n;\ns.nope();"));
  assert.deepEqual(problems.map((one) => /cell \d+, line \d+/.exec(one)?.[0]), ["cell 3, line 1", "cell 3, line 2"]);
});

Deno.test("a module that is not there, and broken syntax in two cells, are found", async () => {
  assert.match((await check(code(`import "./nope.ts"`)))[0]!, /cell 1, line 1: .*nope\.ts/);
  const syntax = await check(code("let = ;"), code("1"), code("\nfoo("));
  assert.deepEqual(syntax.map((one) => /cell \d+/.exec(one)?.[0]), ["cell 1", "cell 3"]);
});

Deno.test("joinCells() keeps lines where they are when it drops a repeated import", () => {
  const repeated = code('import {\n  a,\n  b,\n} from "./x.ts";\nb;');
  const { source, starts } = joinCells(notebookOf(code('import { a } from "./x.ts";'), repeated));
  assert.deepEqual(starts, [{ cell: 1, line: 1 }, { cell: 2, line: 3 }]);
  assert.equal(source.split("\n")[2], 'import { b } from "./x.ts";');
  assert.equal(source.split("\n")[6], "b;");
});

Deno.test("a cell with outputs or an execution count is not clean", () => {
  const dirty: Cell = { ...code("1"), execution_count: 3 } as Cell;
  assert.deepEqual(uncleanCells("x.ipynb", notebookOf(words, code("1"), dirty)).map(problemText), [
    "x.ipynb: cell 3: expected a cell without outputs, found execution count 3",
  ]);
});
