/** What accuracy costs: approaches by cost and top-1 as an inline SVG, with the front that none of the others beats in both. */

import { escapeHtml } from "./display.ts";
import type { RecordedApproach } from "./leaderboard.ts";
import { formatValue } from "./table.ts";

/** What stands on the lower axis. */
export interface ParetoCost<Row> {
  /** The cost of a row, above 0; undefined where it was not measured. */
  readonly of: (row: Row) => number | undefined;
  readonly title: string;
  readonly unit: string;
}

/** A row that can be drawn. */
type Row = Pick<RecordedApproach, "name" | "top1" | "top1_ci95">;

/**
 * The places of points that no other point beats: none is as cheap and better, or cheaper and as good (Pareto). By rising cost; of equal
 * points the first.
 */
export function paretoFront(points: readonly { readonly cost: number; readonly value: number }[]): number[] {
  const order = points.map((_, i) => i).sort((a, b) =>
    points[a]!.cost - points[b]!.cost || points[b]!.value - points[a]!.value || a - b
  );
  let best = -Infinity;
  return order.filter((i) => points[i]!.value > best && ((best = points[i]!.value), true));
}

/** Size of the drawing, in its own units, and of its margins. */
const WIDTH = 440, HEIGHT = 300, LEFT = 46, RIGHT = 18, TOP = 16, BOTTOM = 46;

/**
 * The picture of rows in the order of their ranks, which number the points; the cost's axis is logarithmic. Rows without the cost are left
 * out and named below. An empty text with fewer than two rows to draw.
 */
export function paretoPicture<Ranked extends Row>(
  rows: readonly Ranked[],
  { of, title, unit }: ParetoCost<Ranked>,
): string {
  const points = rows.flatMap((row, i) => {
    const cost = of(row);
    return cost === undefined ? [] : [{ row, rank: i + 1, cost, value: row.top1 }];
  });
  if (points.length < 2) return "";
  const costs = points.map(({ cost }) => Math.log10(cost));
  const [first, last] = [Math.min(...costs) - 0.15, Math.max(...costs) + 0.15];
  const [low, high] = [
    Math.max(0, Math.min(...points.map(({ row }) => row.top1_ci95[0])) - 0.02),
    Math.min(1, Math.max(...points.map(({ row }) => row.top1_ci95[1])) + 0.02),
  ];
  const x = (cost: number) => LEFT + (WIDTH - LEFT - RIGHT) * (Math.log10(cost) - first) / (last - first);
  const y = (value: number) => TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low);
  const fixed = (value: number) => value.toFixed(1);
  const xTicks = logTicks(10 ** first, 10 ** last).map((tick) =>
    `<line class="grid" x1="${fixed(x(tick))}" x2="${fixed(x(tick))}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>` +
    `<text x="${fixed(x(tick))}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${formatValue(tick)}</text>`
  );
  const yTicks = shareTicks(low, high).map((tick) =>
    `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${fixed(y(tick))}" y2="${fixed(y(tick))}"/>` +
    `<text x="${LEFT - 7}" y="${fixed(y(tick) + 4)}" text-anchor="end">${formatValue(100 * tick)}</text>`
  );
  const front = paretoFront(points), onFront = new Set(front);
  // A step: up to the next point's cost nothing is better than the one before.
  const steps = front.map((i, at) => {
    const { cost, value } = points[i]!;
    return at === 0 ? `M${fixed(x(cost))} ${fixed(y(value))}` : `H${fixed(x(cost))}V${fixed(y(value))}`;
  });
  const places = points.map(({ cost, value }) => ({ x: x(cost), y: y(value) })), labels = labelPlaces(places);
  const shown = points.map(({ row, rank, cost, value }, i) => {
    const [cx, cy] = [fixed(places[i]!.x), fixed(places[i]!.y)], [tx, ty] = [labels[i]!.x, labels[i]!.y].map(fixed);
    const label = `${rank}. ${row.name}: top-1 ${(100 * value).toFixed(1)} %, ${
      formatValue(cost, cost < 10 ? 2 : 1)
    } ${unit}`;
    return `<g class="point${onFront.has(i) ? " front" : ""}"><title>${escapeHtml(label)}</title>` +
      `<line x1="${cx}" x2="${cx}" y1="${fixed(y(row.top1_ci95[0]))}" y2="${fixed(y(row.top1_ci95[1]))}"/>` +
      `<circle cx="${cx}" cy="${cy}" r="4.5"/><text x="${tx}" y="${ty}" text-anchor="middle">${rank}</text></g>`;
  });
  const without = rows.flatMap((row, i) => of(row) === undefined ? [i + 1] : []);
  const names = front.map((i) => `${points[i]!.rank}. ${points[i]!.row.name}`).map(escapeHtml).join("; ");
  return `<figure class="chart"><div class="title">${title}</div>` +
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}: on the front ${names}">` +
    `${xTicks.join("")}${yTicks.join("")}<path class="front" d="${steps.join("")}"/>${shown.join("")}` +
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${unit}, logarithmic</text>` +
    `<text x="12" y="${(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" ` +
    `transform="rotate(-90 12 ${(TOP + HEIGHT - BOTTOM) / 2})">top-1 (%)</text></svg>` +
    `<figcaption>Numbers are ranks. No approach is both better and cheaper than those on the line: ${names}.` +
    `${without.length > 0 ? ` Not measured: ${without.join(", ")}.` : ""}</figcaption></figure>`;
}

/** A place on the drawing. */
interface Place {
  readonly x: number;
  readonly y: number;
}

/** Where a label may stand from its point: its middle and base line. */
const OFFSETS: readonly Place[] = [[0, -8], [11, 4], [-11, 4], [0, 17], [11, -8], [-11, -8], [11, 17], [-11, 17]]
  .map(([x, y]) => ({ x: x!, y: y! }));

/** A place beside each point for its number, where it covers as few points and other numbers as can be. */
function labelPlaces(points: readonly Place[]): Place[] {
  const placed: Place[] = [];
  const isNear = (a: Place, b: Place) => Math.abs(a.x - b.x) < 14 && Math.abs(a.y - b.y) < 12;
  for (const point of points) {
    const covers = OFFSETS.map((offset) => {
      const place = { x: point.x + offset.x, y: point.y + offset.y }, middle = { x: place.x, y: place.y - 4 };
      const outside = place.y < TOP ? 1 : 0;
      const others = points.filter((other) => other !== point && isNear(other, middle)).length;
      return { place, count: outside + others + 2 * placed.filter((other) => isNear(other, place)).length };
    });
    placed.push(covers.reduce((best, each) => each.count < best.count ? each : best).place);
  }
  return placed;
}

/** 1, 2 and 5 times powers of ten within a range; only powers where it is wide. */
function logTicks(low: number, high: number): number[] {
  const wide = Math.log10(high / low) > 2.2;
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const times of wide ? [1] : [1, 2, 5]) {
      const tick = Number((times * 10 ** power).toPrecision(3));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks;
}

/** Four to eight round shares within a range. */
function shareTicks(low: number, high: number): number[] {
  const step = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2].find((each) => (high - low) / each <= 8) ?? 0.25;
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}
