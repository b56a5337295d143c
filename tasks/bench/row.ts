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

/** Prints rows for people, on stderr. */
export function printRows(rows: readonly BenchRow[]): void {
  for (const row of rows) {
    const peers = Object.entries(row.peers).map(([peer, value]) => `${peer} ${value} (${row.ratio[peer]}x)`);
    console.error(`${row.bench}: ${row.case}: ${row.ours} ${row.unit}${peers.length ? "; " + peers.join("; ") : ""}`);
  }
}
