/** Ways to classify beside each other: the table of all figures, accuracy against cost, fusions and their parts, a cascade's curve. */

import type {
  ApproachComparison,
  CascadeApproach,
  CascadePoint,
  Comparison,
  Family,
  HybridStudy,
} from "../hybrid/mod.ts";
import type { Displayable } from "./display.ts";
import { Figure } from "./figure.ts";
import type { ApproachFigures } from "./leaderboard.ts";
import { table } from "./table.ts";

const FAMILIES: Readonly<Record<Family, string>> = {
  pictures: "pictures alone",
  language: "language alone",
  hybrid: "hybrid",
  distilled: "distilled",
};

const percent = (share: number) => 100 * share;
const span = ([low, high]: readonly [number, number]) =>
  [low, high].map((end) => percent(end).toFixed(1).replace("-", "−")).join("\u00a0…\u00a0");
const chance = (p: number) => p < 1e-3 ? "< 0.001" : p.toFixed(3);

/** One row a way: accuracy, calibration, robustness, and the difference to the best single model. */
export function approachTable({ rows, pictures, species, bestSingle }: ApproachComparison): Displayable {
  return table(
    rows.map(({ name, family, top1, ece, corrupted, against }) => ({
      ...{ name, family, top1: percent(top1.share), interval: span(top1.ci95) },
      ...{ ece: percent(ece), corrupted: corrupted && percent(corrupted.share) },
      ...(name === bestSingle ? {} : { difference: percent(against.difference), paired: span(against.ci95) }),
    })),
    {
      columns: [
        { key: "name", title: "" },
        { key: "family", title: "knows" },
        { key: "top1", title: "top-1", unit: "%", decimals: 1 },
        { key: "interval", title: "95 %" },
        { key: "ece", title: "ECE", unit: "%", decimals: 1 },
        ...rows.some(({ corrupted }) => corrupted) ? [{ key: "corrupted", unit: "%", decimals: 1 }] : [],
        ...rows.length > 1
          ? [{ key: "difference", title: "points", decimals: 1 }, { key: "paired", title: "95 %" }]
          : [],
      ],
      caption:
        `${species}-way on the same ${pictures.toLocaleString("en-US")} test pictures. Points: to ${bestSingle}, ` +
        "the best single model on validation, with the interval of the pairs.",
    },
  );
}

/** One row a way: what it costs. */
export function costTable({ rows }: Pick<ApproachComparison, "rows">): Displayable {
  return table(
    rows.map(({ name, cost, onFront }) => ({
      ...{ name: onFront ? `${name} *` : name, parameters: cost.parameters / 1e6, size: cost.bytes / 1e6 },
      ...{ latency: cost.latency, operations: cost.operations / 1e6, moved: cost.moved / 1e6, energy: cost.energy },
    })),
    {
      columns: [
        { key: "name", title: "" },
        { key: "parameters", unit: "M", decimals: 2 },
        { key: "size", unit: "MB", decimals: 2 },
        { key: "latency", unit: "ms", decimals: 2 },
        { key: "operations", title: "work", unit: "MFLOP", decimals: 1 },
        { key: "moved", unit: "MB", decimals: 1 },
        { key: "energy", title: "energy", unit: "mJ", decimals: 2 },
      ],
      caption:
        "Of one picture on one thread, without decoding it; a cascade's are means. * nothing is both faster and more accurate. " +
        "Energy: operations and moved bytes at published picojoules, to compare by, not measured.",
    },
  );
}

/** Top-1 against latency, the front as a series of its own. */
export function paretoFigure({ rows, pictures }: ApproachComparison): Figure {
  const front = rows.filter(({ onFront }) => onFront).sort((a, b) => a.cost.latency - b.cost.latency);
  const families = [...new Set(rows.map(({ family }) => family))];
  const latencies = rows.map(({ cost }) => cost.latency);
  return Figure.scatter({
    title: "Accuracy against time",
    caption: `Nothing is both faster and more accurate than: ${
      front.map(({ name, top1, cost }) =>
        `${name} (${percent(top1.share).toFixed(1)} %, ${cost.latency.toFixed(2)} ms)`
      ).join("; ")
    }. ${pictures.toLocaleString("en-US")} test pictures; the table has the intervals.`,
    x: {
      title: "one picture, one thread",
      unit: "ms",
      log: true,
      range: [0.8 * Math.min(...latencies), 1.25 * Math.max(...latencies)],
    },
    y: { title: "top-1 on test", unit: "%" },
    height: 380,
    series: families.map((family) => {
      const own = rows.filter((row) => row.family === family);
      return {
        name: FAMILIES[family],
        x: own.map(({ cost }) => cost.latency),
        y: own.map(({ top1 }) => percent(top1.share)),
        labels: own.map(({ name, onFront }) => onFront ? `${name}, on the front` : name),
      };
    }),
  });
}

/** One row a fusion, or a fusion without a part, beside the best single model. */
export function fusionTable({ rows, bestSingle, best, pictures, singles, lateFusion }: HybridStudy): Displayable {
  const against = ({ difference, ci95, p }: Comparison) => ({
    difference: percent(difference),
    interval: span(ci95),
    p: chance(p),
  });
  return table([
    ...singles.map(({ name, top1, validation }) => ({
      name: `${name} alone`,
      ...{ validation: percent(validation), top1: percent(top1.share), own: span(top1.ci95) },
    })),
    ...[...lateFusion ? [lateFusion] : [], ...rows].map((
      { name, top1, validation, parameters, against: compared },
    ) => ({
      name: name === best ? `${name} *` : name,
      ...{ validation: percent(validation), top1: percent(top1.share), own: span(top1.ci95) },
      ...against(compared),
      parameters: parameters / 1e3,
    })),
  ], {
    columns: [
      { key: "name", title: "" },
      { key: "validation", unit: "%", decimals: 1 },
      { key: "top1", title: "test", unit: "%", decimals: 1 },
      { key: "own", title: "95 %" },
      { key: "difference", title: `to ${bestSingle}`, unit: "points", decimals: 1 },
      { key: "interval", title: "95 % of that" },
      { key: "p", title: "McNemar's p" },
      { key: "parameters", title: "learned", unit: "thousand", decimals: 0 },
    ],
    caption: `Trained on features of ${pictures.train.toLocaleString("en-US")} pictures; settings are chosen on ${
      pictures.validation.toLocaleString("en-US")
    }, test has ${pictures.test.toLocaleString("en-US")}. * the trained fusion that is best on validation.`,
  });
}

/** Accuracy against mean time, and the place that validation chose. */
export function cascadeFigure(
  curve: readonly CascadePoint[],
  { name, chosen }: Pick<CascadeApproach, "name" | "chosen">,
): Figure {
  const shares = curve.map(({ top1 }) => top1),
    place = curve.reduce((near, point) =>
      Math.abs(point.asked - chosen.asked) < Math.abs(near.asked - chosen.asked) ? point : near
    );
  return Figure.line({
    title: `Cascade: ${name}`,
    caption:
      `From "never asks" to "always asks". On validation ${
        percent(chosen.asked).toFixed(0)
      } % of the pictures were to be asked about; ` +
      `there the test curve has ${percent(place.top1.share).toFixed(1)} % at ${place.cost.toFixed(2)} ms. Band: 95 %.`,
    x: { title: "mean time of a picture", unit: "ms" },
    y: { title: "top-1 on test", unit: "%" },
    series: [{
      name: "cascade",
      x: curve.map(({ cost }) => cost),
      y: shares.map(({ share }) => percent(share)),
      low: shares.map(({ ci95 }) => percent(ci95[0])),
      high: shares.map(({ ci95 }) => percent(ci95[1])),
    }],
  });
}

/** The rows as the leaderboard takes them. */
export function approachRows({ rows }: Pick<ApproachComparison, "rows">): ApproachFigures[] {
  return rows.map(({ name, kind, top1, top5, ece, cost: { parameters, bytes, operations, latency } }) => ({
    ...{ name, family: kind, top1: top1.share, top1_ci95: [...top1.ci95], top5: top5.share, ece },
    ...{ parameters, bytes, operations, latencyMs: latency },
  }));
}
