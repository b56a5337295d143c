/** Tests of reports: nothing foreign runs, nothing is loaded, everything is shown, and the file stays small. */
// deno-lint-ignore-file camelcase -- the names of nbformat and the Jupyter protocol

import assert from "node:assert/strict";
import sharp from "sharp";
import { jupyterDisplay, mime } from "./display.ts";
import { Figure } from "./figure.ts";
import { makeKeyFigure } from "./key_figure.ts";
import type { Cell, Notebook, Output } from "./notebook_file.ts";
import type { Provenance } from "./provenance.ts";
import { collectFigures, notebookTitle, renderReport, type ReportInput } from "./report.ts";
import { plainText } from "./report_code.ts";
import { renderIndex } from "./report_index.ts";
import { MarkdownRenderer } from "./report_markdown.ts";
import { makeResult, mergeResults } from "./results.ts";

const provenance: Provenance = {
  profile: "smoke",
  seed: 7,
  commit: "0123456789ab",
  versions: { library: "0.1.0", deno: "2.9.6", packages: { sharp: "0.35.5" } },
  machine: "a machine",
  date: "2026-11-23 10:00 UTC",
};

const markdownCell = (source: string): Cell => ({ cell_type: "markdown", source, metadata: {} });
const codeCell = (source: string, ...outputs: Output[]): Cell => ({
  cell_type: "code",
  source,
  metadata: {},
  execution_count: 1,
  outputs,
});
const shown = (data: Record<string, unknown>): Output => ({ output_type: "display_data", data, metadata: {} });

function render(cells: Cell[], more: Partial<ReportInput> = {}): Promise<string> {
  const notebook: Notebook = { nbformat: 4, nbformat_minor: 5, metadata: {}, cells };
  return renderReport({ notebook, name: "01_x", provenance, seconds: 12, ...more });
}

/** The page's own text: without its style and scripts. */
function bodyOf(html: string): string {
  return html.replace(/<(style|script)\b[^>]*>[^]*?<\/\1>/g, "");
}

const hostile = `<img src=x onerror="alert(1)"><script>alert(1)</script><iframe src="https://evil.example"></iframe>` +
  `<a href="javascript:alert(1)">x</a><svg onload="alert(1)"></svg><style>body{display:none}</style>` +
  `<form action="https://evil.example"><input></form><img src="https://evil.example/pixel.png">`;

Deno.test("hostile HTML in any kind of output, in words and in names neither runs nor loads", async () => {
  const html = await render([
    markdownCell(`# Title ${hostile}\n\n${hostile}\n\n[x](javascript:alert(1)) ![x](https://evil.example/a.png)`),
    codeCell(
      `// ${hostile}`,
      shown({ "text/html": hostile, "text/plain": hostile }),
      shown({ "text/markdown": hostile }),
      shown({ "text/plain": hostile }),
      shown({ "text/latex": `$\\href{javascript:alert(1)}{x} ${hostile}$` }),
      shown({ "image/svg+xml": hostile }),
      shown({ "image/png": hostile, "text/plain": hostile }),
      shown({ [mime.keyFigure]: { name: hostile, value: 1, unit: hostile, decimals: 0 } }),
      shown({
        [mime.table]: { headings: [hostile], numeric: [false], rows: [[hostile]], caption: hostile, hidden: 0 },
      }),
      shown({
        [mime.plotly]: { data: [{ name: "</script>" + hostile }], layout: { height: `1"${hostile}` } },
        [mime.chart]: { title: hostile, caption: hostile },
      }),
      { output_type: "stream", name: "stdout", text: hostile },
      { output_type: "error", ename: hostile, evalue: hostile, traceback: [hostile] },
    ),
  ], { failure: { cell: 2, excerpt: hostile, cause: hostile }, name: hostile });
  const body = bodyOf(html);
  for (const tag of body.match(/<[a-z][^>]*>/gi) ?? []) {
    assert.doesNotMatch(tag, /^<(script|iframe|style|form|input|object|embed|link rel="?stylesheet)/i);
    const attributes = tag.replace(/"[^"]*"/g, '""');
    assert.doesNotMatch(attributes, /\son\w+=/i, tag);
    assert.doesNotMatch(tag, /(src|action)="?(https?:)?\/\//i);
    assert.doesNotMatch(tag, /href="?\s*javascript:/i);
  }
});

Deno.test("only the report's own scripts may run: the policy names them by hash", async () => {
  const html = await render([markdownCell("# Title"), codeCell("1")]);
  const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html)![1]!;
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /script-src[^;]*unsafe/);
  const scripts = [...html.matchAll(/<script>([^]*?)<\/script>/g)].map(([, text]) => text!);
  assert.equal(scripts.length, 2);
  for (const script of scripts) {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(script))).toBase64();
    assert.ok(policy.includes(`'sha256-${hash}'`));
  }
});

Deno.test("the header tells profile, seed, commit, machine, versions, duration; the contents lead to the headings", async () => {
  const html = await render([markdownCell("# My *title*\n\nwords"), markdownCell("## One\n\n### Two\n\n## One")], {
    seconds: 75,
  });
  for (const text of ["smoke", "7", "0123456789ab", "a machine", "Deno 2.9.6", "1:15", "sharp\u00a00.35.5"]) {
    assert.ok(bodyOf(html).includes(text), text);
  }
  assert.match(html, /<h1>My title<\/h1>/);
  for (const id of ["one", "two", "one-2"]) {
    assert.ok(html.includes(`<a href="#${id}">`) && html.includes(`id="${id}"`), id);
  }
  assert.equal(html.match(/<h1/g)!.length, 1);
});

Deno.test("a failing notebook's report says which cell and why, and shows it open", async () => {
  const html = await render([
    codeCell("ok()"),
    codeCell("bad()", {
      output_type: "error",
      ename: "TypeError",
      evalue: "bad is not a function",
      traceback: ["TypeError: bad is not a function", "    at <anonymous>:1:1"],
    }),
  ], { failure: { cell: 2, excerpt: "bad()", cause: "TypeError: bad is not a function" } });
  assert.match(html, /<a href="#cell-2">Cell 2<\/a> failed/);
  assert.match(html, /id="cell-2">\s*<details class="code" open>/);
  assert.equal(html.split("at &#60;anonymous&#62;:1:1").length, 2);
});

Deno.test("text is shown without terminal colours, and very long text is cut with the number of characters left out", async () => {
  assert.equal(
    plainText("\u001b[1;32mok\u001b[0m \u001b]8;;http://x\u0007link 1\r2\n\u0007"),
    "ok link 1\r2\n".replace(/^.*\r/, ""),
  );
  const html = await render([codeCell("x", { output_type: "stream", name: "stdout", text: "y".repeat(100_000) })]);
  assert.match(html, /… 80,000 characters stand in the executed notebook …/);
  assert.ok(html.length < 100_000);
});

Deno.test("formulas become MathML; prices and broken formulas stay as they are", () => {
  const html = new MarkdownRenderer().render("$a^2$, $5 and $6, $\\frac{$\n\n$$\nx = \\frac{1}{2}\n$$\n");
  assert.equal(html.match(/<math/g)!.length, 2);
  assert.match(html, /display="block"/);
  assert.ok(html.includes("$5 and $6"));
  assert.match(html, /<code class="bad-math">\\frac\{<\/code>/);
});

Deno.test("a plot keeps its static picture for readers without scripts, and Plotly stands in the page once", async () => {
  const figure = (title: string) =>
    Figure.bar({
      title,
      caption: "One sentence.",
      x: { title: "type" },
      y: { title: "images" },
      categories: ["a"],
      series: [{ name: "s", values: [1] }],
    })[jupyterDisplay]();
  const html = await render([codeCell("x", shown(await figure("First")), shown(await figure("Second")))]);
  assert.equal(html.match(/id="plotly"/g)!.length, 1);
  assert.equal(html.match(/<img src="data:image\/svg\+xml;base64,/g)!.length, 2);
  assert.equal(html.match(/<script type="application\/json">/g)!.length, 2);
  assert.ok(!(await render([codeCell("1")])).includes('id="plotly"'), "a report without plots carries no Plotly");
});

Deno.test("pictures are pressed until a report is within its limit, and one that cannot be is refused", async () => {
  const side = 500;
  const noise = new Uint8Array(side * side * 3);
  for (let at = 0; at < noise.length; at += 65536) crypto.getRandomValues(noise.subarray(at, at + 65536));
  const png = await sharp(noise, { raw: { width: side, height: side, channels: 3 } }).png().toBuffer();
  const cells = [codeCell("x", shown({ "image/png": new Uint8Array(png).toBase64(), "text/plain": "noise" }))];
  const free = await render(cells);
  assert.ok(png.length > 700_000 && free.length < png.length, "a large PNG becomes WebP");
  assert.match(free, /data:image\/webp/);
  const limit = Math.round(free.length * 0.8);
  const pressed = await render(cells, { limit });
  assert.ok(pressed.length <= limit, `${pressed.length} > ${limit}`);
  await assert.rejects(
    render(cells, { limit: 20_000 }),
    /WorkError: 01_x: expected a report of at most 0\.02 MB, found/,
  );
});

Deno.test("collectFigures() takes what keyFigure() recorded, the later of two with one name, and no forgery", () => {
  const record = (name: string, value: number) => shown({ [mime.keyFigure]: makeKeyFigure(name, value) });
  const notebook: Notebook = {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {},
    cells: [
      codeCell("x", record("a", 1), record("b", 2)),
      codeCell("y", record("a", 3), shown({ [mime.keyFigure]: { name: 5 } })),
    ],
  };
  assert.deepEqual(collectFigures(notebook).map(({ name, value }) => [name, value]), [["a", 3], ["b", 2]]);
  assert.equal(notebookTitle(notebook, "01_x"), "01_x");
});

Deno.test("the index shows every notebook's figures, and a failure with its cause", async () => {
  const ok = makeResult({
    title: "Data <b>",
    seconds: 3,
    report: "01_data.html",
    figures: [makeKeyFigure("n", 5)],
    provenance,
  });
  const bad = makeResult({
    title: "Baseline",
    seconds: 3,
    report: "02.html",
    failure: { cell: 4, cause: "TypeError: <x>" },
    figures: [],
    provenance,
  });
  const html = await renderIndex(mergeResults({ "01_data": ok }, { "02": bad }, provenance));
  assert.match(html, /<a href="01_data\.html">Data &#60;b&#62;<\/a>/);
  assert.match(html, /<span class="value">5<\/span>/);
  assert.match(html, /Failed in cell 4: TypeError: &#60;x&#62;/);
});
