/** The collapse study as figures: what the loss, the species and the boxes do after the fall. */

import { type CollapseEpoch, type CollapseStudy, ORIGINAL_RUN, type Reading } from "../experiment/mod.ts";
import { Figure } from "./figure.ts";
import { table } from "./table.ts";

/** The loss of every step, before and after the fall, on a logarithmic axis. */
export function collapseLossFigure({ healthy, cases, factor }: CollapseStudy): Figure {
  const at = healthy.steps.length;
  const largest = (name: string) =>
    Math.max(...(cases.find((each) => each.name === name)?.steps ?? []).map(finiteLoss));
  const first = healthy.epochs[0]!.loss;
  return Figure.line({
    title: "The loss of every step",
    caption: `The fall is at step ${at}. The loss was ${rounded(first)} in the first epoch; it rises to ` +
      `${rounded(largest("overridden rate"))} at ${factor} times the rate and to ` +
      `${rounded(largest("lost weights"))} where training begins anew.`,
    x: { title: "step" },
    y: { title: "loss", log: true },
    series: [healthy, ...cases].map(({ name, steps }) => ({
      name,
      x: steps.map(({ step }) => step),
      y: steps.map(finiteLoss),
    })),
  });
}

/** The learning rate that was truly applied, on a logarithmic axis. */
export function collapseRateFigure({ healthy, cases, factor }: CollapseStudy): Figure {
  return Figure.line({
    title: "The learning rate that was truly applied",
    caption:
      `A restart is given away by its warm-up; an overridden rate stands ${factor} times too high, until a guard ` +
      "takes it down.",
    x: { title: "step" },
    y: { title: "learning rate", log: true },
    series: [healthy, ...cases].map(({ name, steps }) => ({
      name,
      x: steps.map(({ step }) => step),
      y: steps.map(({ learningRate }) => learningRate),
    })),
  });
}

/** Species that are named rightly (top-1), or how well the surest box fits, by epoch, on validation. */
export function collapseValidationFigure(
  { healthy, cases, classes }: CollapseStudy,
  what: "species" | "boxes",
): Figure {
  const of = (epoch: CollapseEpoch) => 100 * (what === "species" ? epoch.top1 : epoch.boxOverlap);
  const after = cases.map(({ name, epochs }) => `${name} ${of(epochs[0]!).toFixed(0)} %`).join(", ");
  const before = of(healthy.epochs.at(-1)!).toFixed(0);
  return Figure.line({
    title: what === "species" ? "Species after the fall" : "Boxes after the fall",
    caption: what === "species"
      ? `From ${before} %, in the epoch after the fall: ${after}. Chance is ${(100 / classes).toFixed(1)} %.`
      : `The overlap of each picture's surest box with the true one, of whatever class. From ${before} %, in the epoch ` +
        `after the fall: ${after}.`,
    x: { title: "epoch" },
    y: { title: what === "species" ? "top-1 on validation" : "mean overlap on validation", unit: "%", range: [0, 100] },
    series: [healthy, ...cases].map(({ name, epochs }) => ({
      name,
      x: epochs.map(({ epoch }) => epoch),
      y: epochs.map(of),
    })),
  });
}

/** Both readings beside what was published. */
export function readingTable(
  { readings, ratio, toChance }: {
    readonly readings: readonly Reading[];
    readonly ratio: number;
    readonly toChance: number;
  },
): ReturnType<typeof table> {
  const times = (value: number) => `${rounded(value)} ×`;
  const row = (what: string, of: (reading: Reading) => string, published: string) => ({
    what,
    ...Object.fromEntries(readings.map((reading) => [reading.name, of(reading)])),
    published,
  });
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  const ratios = (list: readonly number[]) =>
    list.length ? list.map((each) => each.toFixed(2)).join(", ") : "nothing found";
  return table([
    row("loss, in losses of the first epoch", ({ lossToFirst }) => times(lossToFirst), "not published"),
    row("loss, in losses of the last healthy epoch", ({ lossToLast }) => times(lossToLast), "not published"),
    row("the rate rises anew", ({ warmsUp }) => warmsUp ? "yes" : "no", "not published"),
    row("species, in units of chance", ({ top1ToChance }) => times(top1ToChance), `mAP50 ${times(toChance)}`),
    row("overlap of the surest boxes", ({ boxOverlap }) => percent(boxOverlap), "not published"),
    row("mAP50-95 / mAP50, epoch by epoch", ({ boxRatios }) => ratios(boxRatios), ratio.toFixed(2)),
  ], {
    columns: [{ key: "what", title: "in the epoch after the fall" }, ...readings.map(({ name }) => name), "published"],
    caption:
      `Published: mAP50 ${ORIGINAL_RUN.mAP50AfterCollapse} and mAP50-95 ${ORIGINAL_RUN.mAP50to95AfterCollapse} of ` +
      `${ORIGINAL_RUN.species} species. By chance a class of equally frequent ones has an average precision of about 1 in ` +
      `${ORIGINAL_RUN.species}.`,
  });
}

/** Two significant digits below 100, whole numbers above. */
function rounded(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : Number(value.toPrecision(2)).toString();
}

function finiteLoss({ loss }: { readonly loss: number }): number {
  return Number.isFinite(loss) ? loss : NaN;
}
