/** Tests of tables. */

import assert from "node:assert/strict";
import { jupyterDisplay } from "./display.ts";
import { formatValue, table } from "./table.ts";

async function bundle(...args: Parameters<typeof table>) {
  return await table(...args)[jupyterDisplay]();
}

Deno.test("table() aligns numbers on the right and words on the left", async () => {
  const text = String(
    (await bundle([{ name: "Mew", n: 5 }, { name: "Pikachu", n: 1234.5 }], { caption: "Two." }))["text/plain"],
  );
  assert.equal(text, "name           n\n───────  ───────\nMew            5\nPikachu  1,234.5\nTwo.");
});

Deno.test("table() escapes names, headings and the caption", async () => {
  const html = String(
    (await bundle([{ "<b>": "<script>alert(1)</script>" }], { caption: "a & <i>b</i>" }))["text/html"],
  );
  assert.ok(!/<script|<i>|<b>/.test(html), html);
});

Deno.test("table() shows at most its limit and says how many rows are left out", async () => {
  const rows = Array.from({ length: 30 }, (_, n) => ({ n }));
  const text = String((await bundle(rows, { limit: 10 }))["text/plain"]);
  assert.match(text, /… and 20 more rows/);
});

Deno.test("table() refuses a column that no row has", () => {
  assert.throws(() => table([{ a: 1 }], { columns: ["b"] }), /InputError: table: expected the columns a, found "b"/);
});

Deno.test("formatValue() shows digits as asked, a real minus, and what is no number", () => {
  assert.equal(formatValue(-1234.5, 2), "−1,234.50");
  assert.equal(formatValue(NaN), "–");
  assert.equal(formatValue(null), "");
  assert.equal(formatValue(0.123456), "0.1235");
});
