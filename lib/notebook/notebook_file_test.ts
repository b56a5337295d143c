/** Tests of notebook files. */
// deno-lint-ignore-file camelcase -- the names of nbformat and the Jupyter protocol

import assert from "node:assert/strict";
import { join } from "node:path";
import { excerpt, readNotebook, writeNotebook } from "./notebook_file.ts";

async function withFile(text: string | undefined, use: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "x.ipynb");
    if (text !== undefined) await Deno.writeTextFile(path, text);
    await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a missing, truncated or foreign notebook is one line that names it", async () => {
  const cases = [
    [undefined, /InputError: .*x\.ipynb: expected a JSON file, found nothing there$/],
    ['{"cells": [', /InputError: .*x\.ipynb: expected JSON, found /],
    ["[]", /x\.ipynb: the file: expected a notebook of nbformat 4/],
    ['{"nbformat": 3, "nbformat_minor": 0, "cells": []}', /x\.ipynb: nbformat: .*nbformat 4/],
    [
      '{"nbformat":4,"nbformat_minor":5,"cells":[{"cell_type":"markdown","source":""},{"cell_type":"code","source":7}]}',
      /x\.ipynb: cell 2, source: expected a notebook/,
    ],
    ['{"nbformat":4,"nbformat_minor":5,"cells":[{"cell_type":"video","source":""}]}', /x\.ipynb: cell 1/],
  ] as const;
  for (const [text, message] of cases) {
    await withFile(text, (path) => assert.rejects(readNotebook(path), message));
  }
});

Deno.test("writeNotebook() keeps every character, texts as lines", async () => {
  await withFile(undefined, async (path) => {
    const text = "a\nb\r\n\u2028c\n\nend";
    const notebook = {
      nbformat: 4 as const,
      nbformat_minor: 5,
      metadata: { kernelspec: { name: "deno" } },
      cells: [
        { cell_type: "markdown" as const, id: "m", source: text, metadata: {} },
        {
          cell_type: "code" as const,
          id: "c",
          source: text,
          metadata: {},
          execution_count: 1,
          outputs: [{ output_type: "stream" as const, name: "stdout" as const, text }],
        },
      ],
    };
    await writeNotebook(path, notebook);
    assert.deepEqual(await readNotebook(path), notebook);
    const raw = JSON.parse(await Deno.readTextFile(path));
    assert.deepEqual(raw.cells[0].source, ["a\n", "b\r\n", "\u2028c\n", "\n", "end"]);
  });
});

Deno.test("excerpt() is the first line that says something", () => {
  assert.equal(excerpt("\n// comment\n  const a = 1;\nb"), "const a = 1;");
  assert.equal(excerpt("x".repeat(100), 10), "xxxxxxxxx…");
});
