/** Progress of work whose parts take turns, such as training and validation: one bar a part, which comes back in its place. */

import type { ProgressListener } from "../runtime/mod.ts";
import { defaultSurface, type Progress, progress, type ProgressSurface } from "./progress.ts";

/**
 * A listener that keeps one bar for each label. A label whose count begins anew (the next validation) gets its bar anew, drawn
 * where the last one was. `end` draws all of them a last time.
 */
export function progressBars(
  makeSurface: () => ProgressSurface = defaultSurface,
  now: () => number = () => performance.now(),
): ProgressListener & { end(): Promise<void> } {
  const bars = new Map<string, { surface: ProgressSurface; bar: Progress; done: number }>();
  return Object.assign((report: Parameters<ProgressListener>[0]) => {
    let entry = bars.get(report.label);
    if (!entry || report.done < entry.done) {
      const surface = entry?.surface ?? makeSurface();
      entry = { surface, bar: progress(report.label, {}, () => surface, now), done: 0 };
      bars.set(report.label, entry);
    }
    entry.done = report.done;
    entry.bar(report);
  }, {
    async end() {
      for (const { bar } of bars.values()) await bar.end();
    },
  });
}
