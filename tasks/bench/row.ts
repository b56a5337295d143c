/** A row of a table of figures: ours beside others doing the same work in the same run. */

export interface BenchRow {
  readonly bench: string;
  /** What was measured, with its size. */
  readonly case: string;
  readonly unit: string;
  readonly ours: number;
  /** The others' figures by name; one that was not there is absent. */
  readonly peers: Readonly<Record<string, number>>;
  /** Ours divided by theirs, above 1 when ours is more. */
  readonly ratio: Readonly<Record<string, number>>;
}

export function benchRow(
  bench: string,
  name: string,
  unit: string,
  ours: number,
  peers: Record<string, number>,
): BenchRow {
  const round = (value: number) => Number(value.toPrecision(4));
  return {
    bench,
    case: name,
    unit,
    ours: round(ours),
    peers: Object.fromEntries(Object.entries(peers).map(([peer, value]) => [peer, round(value)])),
    ratio: Object.fromEntries(Object.entries(peers).map(([peer, value]) => [peer, round(ours / value)])),
  };
}

/** Prints rows for people: one line a figure, each peer's with our ratio to it. */
export function printRows(rows: readonly BenchRow[]): void {
  const lines = rows.map((row) => [
    row.bench,
    row.case,
    `${row.ours} ${row.unit}`,
    Object.entries(row.peers).map(([peer, value]) => `${row.ratio[peer]} x ${peer} (${value})`).join(", "),
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...lines.map((line) => [...line[column]!].length)));
  for (const line of lines) {
    console.log(
      line.map((text, i) => i === 2 ? text.padStart(widths[i]!) : text.padEnd(widths[i] ?? 0)).join("  ").trimEnd(),
    );
  }
}
