/** A training as its log tells it: curves of the loss and its parts, the rate, and what validation found. */

import type { Run } from "../track/mod.ts";
import { Figure } from "./figure.ts";

/** At most so many points of a curve: the mean of each stretch of steps. */
const points = 120;

/** The loss and its parts by step, each the mean of stretches of steps; validation's loss beside it where it was taken. */
export function lossFigure({ steps, validations }: Pick<Run, "steps" | "validations">): Figure {
  const parts = Object.keys(steps[0]?.metrics ?? {});
  const finite = steps.filter(({ finite, skipped }) => finite && !skipped);
  const curve = (name: string, value: (step: Run["steps"][number]) => number) => ({
    name,
    ...stretches(finite.map(({ step }) => step), finite.map(value)),
  });
  const judged = validations.filter(({ figures }) => Number.isFinite(figures["loss"]));
  const [first, last] = [finite[0], finite.at(-1)];
  const fell = first && last ? `${first.loss.toPrecision(3)} to ${last.loss.toPrecision(3)}` : "nothing to nothing";
  return Figure.line({
    title: "Loss while training",
    caption: `From ${fell} in ${steps.length} steps; the parts with their gains sum to the loss` +
      (judged.length ? ", and validation's loss tells where learning by heart begins." : "."),
    x: { title: "step" },
    y: { title: "loss" },
    series: [
      curve("loss", ({ loss }) => loss),
      ...parts.map((part) => curve(part, ({ metrics }) => metrics[part]!)),
      ...(judged.length
        ? [{
          name: "loss on validation",
          x: judged.map(({ step }) => step),
          y: judged.map(({ figures }) => figures["loss"]!),
        }]
        : []),
    ],
  });
}

/** The learning rate by step, as it was applied. */
export function rateFigure({ steps }: Pick<Run, "steps">): Figure {
  const highest = steps.reduce((best, each) => each.learningRate > best.learningRate ? each : best, steps[0]!);
  return Figure.line({
    title: "Learning rate",
    caption: `It is highest, ${highest.learningRate.toPrecision(2)}, at step ${highest.step} of ${steps.length}.`,
    x: { title: "step" },
    y: { title: "learning rate" },
    series: [{ name: "learning rate", x: steps.map(({ step }) => step), y: steps.map((each) => each.learningRate) }],
  });
}

/** Figures of validation, shares in percent, by epoch. Those that a run does not have are left out. */
export function validationFigure(
  { validations }: Pick<Run, "validations">,
  names: Readonly<Record<string, string>> = { top1: "top-1", top5: "top-5", mAP50: "mAP50", mAP50_95: "mAP50-95" },
): Figure {
  const kept = Object.entries(names).filter(([key]) =>
    validations.some(({ figures }) => Number.isFinite(figures[key]))
  );
  const best = validations.findLast(({ best }) => best);
  const found = best && kept.map(([key, name]) => `${name} ${(100 * best.figures[key]!).toFixed(1)} %`).join(", ");
  return Figure.line({
    title: "Validation while training",
    caption: best
      ? `The best weights are those after epoch ${best.epoch + 1}: ${found}.`
      : "No validation was the best.",
    x: { title: "epoch" },
    y: { title: "on validation", unit: "%", range: [0, 100] },
    series: kept.map(([key, name]) => ({
      name,
      x: validations.map(({ epoch }) => epoch + 1),
      y: validations.map(({ figures }) => 100 * figures[key]!),
    })),
  });
}

/** Means over stretches of equal length, at most `points` of them, each at its middle. */
function stretches(x: readonly number[], y: readonly number[]): { x: number[]; y: number[] } {
  const length = Math.max(1, Math.ceil(x.length / points));
  const means = (values: readonly number[]) =>
    Array.from({ length: Math.ceil(values.length / length) }, (_, i) => {
      const part = values.slice(i * length, (i + 1) * length);
      return part.reduce((sum, value) => sum + value, 0) / part.length;
    });
  return { x: means(x), y: means(y) };
}
