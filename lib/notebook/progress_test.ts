/** Tests of progress bars on their three surfaces, with a clock of our own. */

import assert from "node:assert/strict";
import type { MimeBundle } from "./display.ts";
import { clock, logSurface, notebookSurface, progress, terminalSurface } from "./progress.ts";

/** A clock that stands until it is moved, ms. */
function stoppedClock() {
  let at = 0;
  return { now: () => at, move: (by: number) => at += by };
}

Deno.test("a log gets a line at every tenth, or every 5 s, and one at the end", async () => {
  const lines: string[] = [];
  const { now, move } = stoppedClock();
  const bar = progress("decode", { total: 1000, unit: "images" }, () => logSurface((line) => lines.push(line)), now);
  for (let i = 0; i < 1000; i++) {
    move(10);
    bar.advance();
  }
  await bar.end();
  assert.equal(lines.length, 11);
  assert.equal(lines.at(-1), "decode 100 % (1,000/1,000 images, 100/s, 0:10)");
  assert.match(lines[5]!, /^decode 50 % \(500\/1,000 images, 100\/s, 0:05 left\)$/);
  lines.length = 0;
  const slow = progress("wait", {}, () => logSurface((line) => lines.push(line)), now);
  for (let i = 0; i < 60; i++) {
    move(1000);
    slow.advance();
  }
  await slow.end();
  assert.equal(lines.length, 13, "12 in a minute and the last");
});

Deno.test("a terminal's line is redrawn in place and never wider than the terminal", async () => {
  const written: string[] = [];
  const { now, move } = stoppedClock();
  const bar = progress(
    "x".repeat(200),
    { total: 4 },
    () => terminalSurface((text) => written.push(text), () => 60),
    now,
  );
  for (let i = 0; i < 4; i++) {
    move(200);
    bar.advance();
  }
  await bar.end();
  for (const text of written) {
    assert.ok(text.startsWith("\r\u001b[K"));
    assert.ok([...text.slice(4).trimEnd()].length <= 59);
  }
  assert.equal(written.filter((text) => text.endsWith("\n")).length, 1);
});

Deno.test("a notebook's bar is one display, updated, with its last state last", async () => {
  const shown: { id: string | undefined; update: boolean | undefined; text: string }[] = [];
  const display = async (bundle: MimeBundle, options: { id?: string; update?: boolean } = {}) => {
    await Promise.resolve();
    shown.push({ id: options.id, update: options.update, text: String(bundle["text/plain"]) });
  };
  const { now, move } = stoppedClock();
  const bar = progress("resize", { unit: "images" }, () => notebookSurface(display), now);
  for await (const _ of bar.over([1, 2, 3])) move(300);
  assert.equal(new Set(shown.map((one) => one.id)).size, 1);
  assert.deepEqual(shown.map((one) => one.update), [false, true, true, true]);
  assert.match(shown.at(-1)!.text, /^resize 100 % \(3\/3 images/);
});

Deno.test("a report with another label ends the bar and begins another; items done before say nothing about the rate", async () => {
  const lines: string[] = [];
  const { now, move } = stoppedClock();
  const bar = progress("build", {}, () => logSurface((line) => lines.push(line)), now);
  bar({ label: "train", done: 900, total: 1000 });
  move(1000);
  bar({ label: "train", done: 1000, total: 1000 });
  bar({ label: "test", done: 0, total: 10, note: "loss 1.5" });
  await bar.end();
  assert.equal(lines[1], "train 100 % (1,000/1,000, 100/s, 0:01)");
  assert.match(lines[2]!, /^test 0 % \(0\/10, 0:00\) loss 1.5$/);
});

Deno.test("a surface that fails does not fail the work", async () => {
  const broken = () => ({ interval: 0, tenths: false, draw: () => Promise.reject(new Error("no screen")) });
  const bar = progress("x", { total: 2 }, broken);
  bar.advance();
  bar.advance();
  await bar.end();
});

Deno.test("over() takes an async iterable", async () => {
  const lines: string[] = [];
  async function* items() {
    for (const item of ["a", "b"]) yield await Promise.resolve(item);
  }
  const seen: string[] = [];
  const bar = progress("walk", {}, () => logSurface((line) => lines.push(line)), () => 0);
  for await (const item of bar.over(items())) seen.push(item);
  assert.deepEqual(seen, ["a", "b"]);
  assert.equal(lines.at(-1), "walk (2, 0:00)");
});

Deno.test("clock() writes seconds as people do", () => {
  assert.deepEqual([7, 750, 3723].map(clock), ["0:07", "12:30", "1:02:03"]);
});
