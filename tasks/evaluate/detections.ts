/** `deno task evaluate --detections … --truth …`: mAP, precision and recall of boxes in COCO's files. */

import {
  cocoTable,
  type DetectionReport,
  evaluateTable,
  type LeftOut,
  readCocoResults,
  readCocoTruth,
} from "../../lib/evaluate/mod.ts";
import { InputError, integerFlag, runCommand } from "../../lib/runtime/mod.ts";

export function detections(args: readonly string[]): Promise<never> {
  return runCommand({
    usage: "deno task evaluate",
    about:
      "Counts mAP and recall as COCO does (pycocotools), and precision and recall at the confidence where F1 over " +
      "all boxes is greatest (IoU 0.5).",
    flags: {
      detections: { type: "string", value: "FILE", help: "COCO results: [{image_id, category_id, bbox, score}, …]" },
      truth: { type: "string", value: "FILE", help: "COCO annotations: {images, categories, annotations}" },
      worst: { type: "string", value: "N", default: "10", help: "classes shown, lowest mAP50 first; --json has all" },
    },
    async run({ detections, truth, worst }) {
      if (detections === undefined || truth === undefined) {
        const missing = detections === undefined ? "detections" : "truth";
        throw new InputError(`deno task evaluate: expected --detections and --truth, found no --${missing}`);
      }
      const lines = integerFlag("worst", worst, 0);
      const known = await readCocoTruth(truth);
      const { table, leftOut } = cocoTable(known, await readCocoResults(detections));
      const report = evaluateTable(table);
      const names = known.classes.map(({ name }) => name);
      for (const line of warnings(leftOut)) console.error(line);
      console.error(summaryText(report));
      if (lines > 0 && report.truths > 0) console.error(classText(report, names, lines));
      return detectionsJson(report, known.classes);
    },
  }, args);
}

function warnings(leftOut: LeftOut): string[] {
  const lines: [number, string][] = [
    [leftOut.detectionsOfUnknownCategories, "detections of categories that the truth does not have were left out"],
    [leftOut.truthsOfUnknownCategories, "true boxes of unknown categories were left out"],
    [leftOut.truthsOfUnknownImages, "true boxes of unknown images were left out"],
    [
      leftOut.truthsWithIdZero,
      "true box has the id 0: a detection that matches it counts as wrong, as in pycocotools; number annotations from 1",
    ],
  ];
  return lines.filter(([count]) => count > 0).map(([count, text]) => `warning: ${count} ${text}`);
}

/** Percent with one decimal, "–" for what is not there. */
function percent(value: number | undefined): string {
  return value === undefined ? "–" : (100 * value).toFixed(1);
}

function summaryText(report: DetectionReport): string {
  const { best } = report;
  const rows: [string, number | undefined][] = [
    ["mAP 50-95", report.mAP50to95],
    ["mAP 50", report.mAP50],
    ["mAP 75", report.mAP75],
    ["mAP 50-95, small boxes (up to 32²)", report.mAPSmall],
    ["mAP 50-95, medium boxes (up to 96²)", report.mAPMedium],
    ["mAP 50-95, large boxes", report.mAPLarge],
    ["recall, at most 1 detection an image and class", report.ar1],
    ["recall, at most 10", report.ar10],
    ["recall, at most 100", report.ar100],
    ...(best
      ? [
        [`precision at IoU 50, confidence ${best.confidence.toPrecision(3)} (best F1)`, best.precision],
        ["recall there", best.recall],
        ["F1 there", best.f1],
      ] satisfies [string, number][]
      : []),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    `${report.images} images, ${report.truths} true boxes, ${report.detections} detections`,
    ...rows.map(([name, value]) => `${name.padEnd(width)}  ${percent(value).padStart(5)} %`),
  ].join("\n");
}

function classText({ perClass }: DetectionReport, names: readonly string[], lines: number): string {
  const judged = perClass.filter(({ truths }) => truths > 0);
  const worst = judged.toSorted((a, b) => a.ap50! - b.ap50! || a.classId - b.classId).slice(0, lines);
  const shown = worst.map((each) => names[each.classId]!.replace(/\s+/g, " ").slice(0, 32));
  const width = Math.max(5, ...shown.map((name) => name.length));
  return [
    `the ${worst.length} of ${judged.length} classes with the lowest mAP 50:`,
    `${"class".padEnd(width)}  boxes  found  mAP50  mAP50-95  precision  recall`,
    ...worst.map((each, i) =>
      [
        shown[i]!.padEnd(width),
        String(each.truths).padStart(5),
        String(each.detections).padStart(5),
        percent(each.ap50).padStart(5),
        percent(each.ap50to95).padStart(8),
        percent(each.precision).padStart(9),
        percent(each.recall).padStart(6),
      ].join("  ")
    ),
  ].join("\n");
}

/** The document of `--json`; figures that are not there are absent. */
function detectionsJson(report: DetectionReport, classes: readonly { readonly id: number; readonly name: string }[]) {
  return {
    "n": report.images,
    "truths": report.truths,
    "detections": report.detections,
    "map50": report.mAP50,
    "map50_95": report.mAP50to95,
    "map75": report.mAP75,
    "map_small": report.mAPSmall,
    "map_medium": report.mAPMedium,
    "map_large": report.mAPLarge,
    "ar1": report.ar1,
    "ar10": report.ar10,
    "ar100": report.ar100,
    "ar_small": report.arSmall,
    "ar_medium": report.arMedium,
    "ar_large": report.arLarge,
    "precision": report.best?.precision,
    "recall": report.best?.recall,
    "f1": report.best?.f1,
    "confidence": report.best?.confidence,
    "perClass": report.perClass.map((each) => ({
      "id": classes[each.classId]!.id,
      "name": classes[each.classId]!.name,
      "n": each.truths,
      "detections": each.detections,
      "map50": each.ap50,
      "map50_95": each.ap50to95,
      "ar100": each.ar100,
      "precision": each.precision,
      "recall": each.recall,
    })),
  };
}
