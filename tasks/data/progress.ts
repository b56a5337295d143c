/** Progress of long work on stderr, so that stdout stays free for results. */

import type { ProgressListener } from "../../lib/runtime/mod.ts";

/** Milliseconds between two lines, on a terminal and in a log. */
const intervals = { terminal: 200, log: 10_000 };

/** A listener that keeps one line a label up to date on a terminal, and writes a line now and then in a log. */
export function stderrProgress(): ProgressListener {
  const terminal = Deno.stderr.isTerminal();
  const interval = terminal ? intervals.terminal : intervals.log;
  let label = "", started = 0, first = 0, written = -Infinity;
  return (report) => {
    const now = performance.now();
    if (report.label !== label) [label, started, first, written] = [report.label, now, report.done, -Infinity];
    const last = report.done === report.total;
    if (!last && now - written < interval) return;
    written = now;
    const rate = (report.done - first) / Math.max(1e-3, (now - started) / 1000);
    const percent = report.total ? `${(100 * report.done / report.total).toFixed(0).padStart(3)} %  ` : "";
    const total = report.total === undefined ? "" : ` of ${report.total}`;
    const line = `${label.padEnd(10)} ${percent}${report.done}${total} ${report.unit ?? ""}  ${rate.toFixed(0)}/s`;
    const bytes = new TextEncoder().encode(terminal ? `\r\x1b[2K${line}${last ? "\n" : ""}` : `${line}\n`);
    Deno.stderr.writeSync(bytes);
  };
}
