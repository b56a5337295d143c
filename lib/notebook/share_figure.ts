/** Accuracies with their intervals as bars. */

import type { Share } from "../evaluate/mod.ts";
import { Figure } from "./figure.ts";

/** What a chart of shares says beside its bars. */
export interface ShareFigureOptions {
  readonly title: string;
  /** One sentence that says what to read. */
  readonly caption: string;
  /** What the bars tell apart, e.g. "split". */
  readonly by: string;
  /** What the share is of. Default: "top-1 accuracy". */
  readonly of?: string;
  /** Bars to the right, for long names. */
  readonly horizontal?: boolean;
}

/**
 * One bar a key and series, in percent with 95 % intervals; `series` gives each series' shares by key. A key is followed by its
 * number of pictures where all series agree on it. Keys stand in the order in which they first occur.
 */
export function shareFigure(
  series: Readonly<Record<string, ReadonlyMap<string | number, Pick<Share, "n" | "share" | "ci95">>>>,
  { title, caption, by, of = "top-1 accuracy", horizontal = false }: ShareFigureOptions,
): Figure {
  const all = Object.values(series);
  const keys = [...new Set(all.flatMap((shares) => [...shares.keys()]))];
  const names = keys.map((key) => {
    const counts = new Set(all.flatMap((shares) => shares.get(key)?.n ?? []));
    return counts.size === 1 ? `${key} (${[...counts][0]})` : String(key);
  });
  const values = { title: of, unit: "%", range: [0, 100] as const }, categories = { title: by };
  return Figure.bar({
    ...{ title, caption, horizontal },
    x: horizontal ? values : categories,
    y: horizontal ? categories : values,
    categories: names,
    series: Object.entries(series).map(([name, shares]) => {
      const percent = (value: (share: Pick<Share, "share" | "ci95">) => number) =>
        keys.map((key) => {
          const share = shares.get(key);
          return share ? 100 * value(share) : 0;
        });
      return {
        name,
        values: percent(({ share }) => share),
        low: percent(({ ci95 }) => ci95[0]),
        high: percent(({ ci95 }) => ci95[1]),
      };
    }),
  });
}
