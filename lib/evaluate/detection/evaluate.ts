/** Mean average precision and recall of a detector, to the digit as COCO's own pycocotools counts them. */

import { EvaluateError } from "../errors.ts";
import type { ScoredBox, TruthBox } from "./box.ts";
import { type DetectionTable, orderBoxes } from "./columns.ts";
import { byScore, precisionRecall, RECALL_POINTS } from "./curve.ts";
import { AREAS, type ClassMatches, IOU_THRESHOLDS, matchClasses, MOST_DETECTIONS, OUTCOME } from "./match.ts";

/** One class's figures; undefined where there is no true box of it (or, for precision, no detection). */
export interface ClassDetectionReport {
  readonly classId: number;
  /** True boxes to be found: crowds are none. */
  readonly truths: number;
  readonly detections: number;
  readonly ap50: number | undefined;
  /** Mean over the IoU thresholds 0.50:0.05:0.95. */
  readonly ap50to95: number | undefined;
  /** Recall with at most 100 detections an image, mean over the IoU thresholds. */
  readonly ar100: number | undefined;
  /** At IoU 0.5 and the confidence of `DetectionReport.best`. */
  readonly precision: number | undefined;
  readonly recall: number | undefined;
}

/** The confidence at which precision and recall balance best, and how they are there. */
export interface OperatingPoint {
  /** Detections with at least this score are kept. */
  readonly confidence: number;
  /** Of the detections kept, the share that find a true box. */
  readonly precision: number;
  /** Of all true boxes, the share that is found. */
  readonly recall: number;
  readonly f1: number;
}

/**
 * Figures over all classes that have true boxes (each class counts the same); undefined where no class has any.
 * Area ranges: small up to 32², medium up to 96², large above. AR10: recall with at most 10 detections an image and class.
 */
export interface DetectionReport {
  readonly images: number;
  readonly truths: number;
  readonly detections: number;
  readonly mAP50to95: number | undefined;
  readonly mAP50: number | undefined;
  readonly mAP75: number | undefined;
  readonly mAPSmall: number | undefined;
  readonly mAPMedium: number | undefined;
  readonly mAPLarge: number | undefined;
  readonly ar1: number | undefined;
  readonly ar10: number | undefined;
  readonly ar100: number | undefined;
  readonly arSmall: number | undefined;
  readonly arMedium: number | undefined;
  readonly arLarge: number | undefined;
  /**
   * Where F1 = 2 · precision · recall / (precision + recall) at IoU 0.5 is greatest: over all detections of all classes
   * together and every score that occurs, the highest of equally good ones. Undefined without true boxes or detections.
   */
  readonly best: OperatingPoint | undefined;
  readonly perClass: readonly ClassDetectionReport[];
  /** Precision at IoU 0.5 at recall 0.00, 0.01, … 1.00, mean over classes: the curve to draw. */
  readonly precision50: Float64Array;
}

/** An image's true boxes and what was found there. */
export interface DetectedImage {
  /** `crowd` and `area` as in COCO; by default no crowd, and the box's own area. */
  readonly truth: readonly (TruthBox & { readonly crowd?: boolean; readonly area?: number })[];
  readonly detections: readonly ScoredBox[];
}

/**
 * Judges detections of classes 0 … classes − 1, boxes in pixels of the picture (area ranges are in square pixels).
 * Throws EvaluateError for a class out of range, a number that is not finite, a box of negative size.
 */
export function evaluateDetections(
  images: readonly DetectedImage[],
  { classes }: { readonly classes: number },
): DetectionReport {
  const truth = images.flatMap((image, index) => image.truth.map((box, i) => ({ box, index, i })));
  const found = images.flatMap((image, index) => image.detections.map((box, i) => ({ box, index, i })));
  for (const { box: { area }, index, i } of truth) {
    if (area !== undefined && !(area >= 0)) {
      throw new EvaluateError(`image ${index}, true box ${i}: expected an area from 0, found ${area}`);
    }
  }
  const columns = (boxes: readonly { box: TruthBox; index: number; i: number }[], what: string) => {
    const place = new Float64Array(4 * boxes.length);
    for (const [at, { box, index, i }] of boxes.entries()) {
      const sizes = [box.left, box.top, box.right - box.left, box.bottom - box.top];
      const problem = sizes.some((size) => !Number.isFinite(size))
        ? `expected finite edges, found ${box.left}, ${box.top}, ${box.right}, ${box.bottom}`
        : sizes[2]! < 0 || sizes[3]! < 0
        ? `expected a size from 0, found ${sizes[2]} x ${sizes[3]}`
        : !Number.isInteger(box.classId) || box.classId < 0 || box.classId >= classes
        ? `expected a class in 0 … ${classes - 1}, found ${box.classId}`
        : undefined;
      if (problem) throw new EvaluateError(`image ${index}, ${what} ${i}: ${problem}`);
      place.set(sizes, 4 * at);
    }
    return {
      image: Int32Array.from(boxes, ({ index }) => index),
      category: Int32Array.from(boxes, ({ box }) => box.classId),
      place,
    };
  };
  for (const { box: { score }, index, i } of found) {
    if (!Number.isFinite(score)) {
      throw new EvaluateError(`image ${index}, detection ${i}: expected a finite score, found ${score}`);
    }
  }
  const truthColumns = columns(truth, "true box"), { place } = truthColumns;
  return evaluateTable({
    images: images.length,
    categories: classes,
    truth: {
      ...truthColumns,
      area: Float64Array.from(truth, ({ box }, at) => box.area ?? place[4 * at + 2]! * place[4 * at + 3]!),
      crowd: Uint8Array.from(truth, ({ box }) => box.crowd ? 1 : 0),
      counted: new Uint8Array(truth.length).fill(1),
    },
    detections: { ...columns(found, "detection"), score: Float64Array.from(found, ({ box }) => box.score) },
  });
}

/** The settings of pycocotools' summary: area range, most detections an image. */
const SETTINGS = [
  { area: 0, most: MOST_DETECTIONS },
  { area: 1, most: MOST_DETECTIONS },
  { area: 2, most: MOST_DETECTIONS },
  { area: 3, most: MOST_DETECTIONS },
  { area: 0, most: 1 },
  { area: 0, most: 10 },
] as const;

/** Judges boxes in columns. */
export function evaluateTable(table: DetectionTable): DetectionReport {
  const detections = orderBoxes(table.detections, table.images, table.categories);
  const truth = orderBoxes(table.truth, table.images, table.categories);
  const precision50 = new Float64Array(RECALL_POINTS.length);
  const means = SETTINGS.map(() => ({ classes: 0, precision: 0, recall: 0 }));
  const classes: Omit<ClassDetectionReport, "precision" | "recall">[] = [];
  const pool = new Pool();
  let sum50 = 0, sum75 = 0;
  for (const matches of matchClasses(table, truth, detections)) {
    const k = classes.length, order = byScore(matches);
    const curves = SETTINGS.map((setting, s) => {
      const each = IOU_THRESHOLDS.map((_, threshold) =>
        precisionRecall(matches, order, {
          ...setting,
          threshold,
          ...(s === 0 && threshold === 0 ? { precision: precision50 } : {}),
        })
      ).filter((curve) => curve !== undefined);
      if (each.length === 0) return undefined;
      const precision = mean(each.map((curve) => curve.averagePrecision));
      const recall = mean(each.map((curve) => curve.recall));
      const total = means[s]!;
      total.classes++;
      total.precision += precision;
      total.recall += recall;
      return { precision, recall, ap50: each[0]!.averagePrecision, ap75: each[5]!.averagePrecision };
    });
    const [all] = curves;
    sum50 += all?.ap50 ?? 0;
    sum75 += all?.ap75 ?? 0;
    pool.add(k, matches);
    classes.push({
      classId: k,
      truths: matches.positives[0]!,
      detections: detections.starts[k + 1]! - detections.starts[k]!,
      ap50: all?.ap50,
      ap50to95: all?.precision,
      ar100: all?.recall,
    });
  }
  const counted = means[0]!.classes;
  if (counted > 0) { for (let i = 0; i < precision50.length; i++) precision50[i]! /= counted; }
  const over = (sum: number, n: number) => n === 0 ? undefined : sum / n;
  const figure = (setting: number, what: "precision" | "recall") =>
    over(means[setting]![what], means[setting]!.classes);
  const best = pool.best();
  return {
    images: table.images,
    truths: classes.reduce((sum, { truths }) => sum + truths, 0),
    detections: table.detections.score.length,
    mAP50to95: figure(0, "precision"),
    mAP50: over(sum50, counted),
    mAP75: over(sum75, counted),
    mAPSmall: figure(AREAS.indexOf("small"), "precision"),
    mAPMedium: figure(AREAS.indexOf("medium"), "precision"),
    mAPLarge: figure(AREAS.indexOf("large"), "precision"),
    ar1: figure(4, "recall"),
    ar10: figure(5, "recall"),
    ar100: figure(0, "recall"),
    arSmall: figure(AREAS.indexOf("small"), "recall"),
    arMedium: figure(AREAS.indexOf("medium"), "recall"),
    arLarge: figure(AREAS.indexOf("large"), "recall"),
    best,
    perClass: classes.map((each) => ({ ...each, ...pool.of(each.classId, best?.confidence) })),
    precision50,
  };
}

/** The detections of all classes together at IoU 0.5, without those that are ignored. */
class Pool {
  #positives: number[] = [];
  #classes: { readonly score: number; readonly right: boolean }[][] = [];

  add(k: number, { positives, score, outcome }: ClassMatches): void {
    this.#positives[k] = positives[0]!;
    this.#classes[k] = [];
    for (let d = 0; d < score.length; d++) {
      // area range "all" at IoU 0.5 is the first row
      if (outcome[d] !== OUTCOME.ignored) {
        this.#classes[k]!.push({ score: score[d]!, right: outcome[d] === OUTCOME.right });
      }
    }
  }

  best(): OperatingPoint | undefined {
    const positives = this.#positives.reduce((sum, n) => sum + n, 0);
    const all = this.#classes.flat().sort((a, b) => b.score - a.score);
    if (positives === 0) return undefined;
    let best: OperatingPoint | undefined, right = 0;
    for (const [i, { score, right: hit }] of all.entries()) {
      if (hit) right++;
      if (all[i + 1]?.score === score) continue;
      const f1 = 2 * right / (i + 1 + positives);
      if (!best || f1 > best.f1) {
        best = { confidence: score, precision: right / (i + 1), recall: right / positives, f1 };
      }
    }
    return best;
  }

  of(k: number, confidence = Infinity): { precision: number | undefined; recall: number | undefined } {
    const kept = this.#classes[k]!.filter(({ score }) => score >= confidence);
    const right = kept.filter((each) => each.right).length;
    return {
      precision: kept.length === 0 ? undefined : right / kept.length,
      recall: this.#positives[k] === 0 ? undefined : right / this.#positives[k]!,
    };
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
