/** Data sets of tests/peers/coco.py with what pycocotools says of them, beside what we say. */

import {
  cocoTable,
  type DetectionReport,
  EvaluateError,
  evaluateTable,
  parseCocoResults,
  parseCocoTruth,
} from "../../lib/evaluate/mod.ts";

/** pycocotools' summary; null where it says −1. */
export type CocoFigures = Readonly<Record<keyof typeof OURS, number | null>>;

/** What pycocotools says of a data set. */
export interface CocoJudgement {
  /** It refuses detections of unknown images; then nothing else is there. */
  readonly refused?: boolean;
  readonly figures: CocoFigures;
  /** By rising category id. */
  readonly classes: readonly { readonly ap50: number | null; readonly ap: number | null; readonly ar: number | null }[];
}

export interface CocoCase extends CocoJudgement {
  readonly seed: number;
  readonly truth: unknown;
  readonly detections: unknown;
}

/** Where the recorded cases are. */
export const RECORDED_CASES = new URL("../fixtures/evaluate/coco.json", import.meta.url).pathname;

const OURS = {
  ap: "mAP50to95",
  ap50: "mAP50",
  ap75: "mAP75",
  apSmall: "mAPSmall",
  apMedium: "mAPMedium",
  apLarge: "mAPLarge",
  ar1: "ar1",
  ar10: "ar10",
  ar100: "ar100",
  arSmall: "arSmall",
  arMedium: "arMedium",
  arLarge: "arLarge",
} as const;

export async function readCases(path = RECORDED_CASES): Promise<readonly CocoCase[]> {
  return JSON.parse(await Deno.readTextFile(path));
}

/** Our judgement of a case; undefined when it is refused. */
export function judgeCase({ truth, detections }: CocoCase): DetectionReport | undefined {
  const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  try {
    const table = cocoTable(
      parseCocoTruth(bytes(truth), "truth"),
      parseCocoResults(bytes(detections), "detections"),
    ).table;
    return evaluateTable(table);
  } catch (error) {
    if (error instanceof EvaluateError && /expected an image of truth/.test(error.message)) return undefined;
    throw error;
  }
}

/** How far two judgements are apart at most: over all figures and classes; Infinity where one has a figure and the other none. */
export function distance(ours: DetectionReport | undefined, theirs: CocoJudgement): number {
  if (ours === undefined || theirs.refused) return (ours === undefined) === (theirs.refused ?? false) ? 0 : Infinity;
  if (ours.perClass.length !== theirs.classes.length) return Infinity;
  const between = (a: number | undefined, b: number | null) => {
    if (a === undefined || b === null) return a === undefined && b === null ? 0 : Infinity;
    return Math.abs(a - b);
  };
  return Math.max(
    0,
    ...Object.entries(OURS).map(([key, name]) => between(ours[name], theirs.figures[key as keyof typeof OURS])),
    ...ours.perClass.flatMap((each, k) => {
      const { ap50, ap, ar } = theirs.classes[k]!;
      return [between(each.ap50, ap50), between(each.ap50to95, ap), between(each.ar100, ar)];
    }),
  );
}
