/** Non-maximum suppression: of boxes that show the same object only the surest stays. */

import { intersectionOverUnion, type ScoredBox } from "./detection/box.ts";
import { EvaluateError } from "./errors.ts";

export interface SuppressionOptions {
  /** A box goes when it overlaps a surer one by more than this (IoU); default 0.45. */
  readonly iouThreshold?: number;
  /** Boxes below it go; default 0: none. COCO's figures want a low one, such as 0.001, a person 0.25. */
  readonly scoreThreshold?: number;
  /** At most so many boxes stay, of all classes together; default 300. */
  readonly maxDetections?: number;
  /** Whether boxes of different classes suppress each other too; default false. */
  readonly classAgnostic?: boolean;
}

/**
 * Greedy non-maximum suppression of one picture's boxes: surest first, each box stays unless it overlaps one that stayed
 * (of its class, unless `classAgnostic`) by more than the threshold. Returns the boxes that stay, surest first; of equal
 * scores the earlier one. Throws EvaluateError for a score or an edge that is not a number.
 */
export function nonMaximumSuppression<Box extends ScoredBox>(
  boxes: readonly Box[],
  { iouThreshold = 0.45, scoreThreshold = 0, maxDetections = 300, classAgnostic = false }: SuppressionOptions = {},
): Box[] {
  for (const [i, { score, left, top, right, bottom }] of boxes.entries()) {
    if (Number.isNaN(score + left + top + right + bottom)) {
      throw new EvaluateError(
        `box ${i}: expected numbers, found score ${score} and edges ${left}, ${top}, ${right}, ${bottom}`,
      );
    }
  }
  const kept: Box[] = [], keptOf = new Map<number, Box[]>();
  // toSorted is stable: of equal scores the earlier box stays first.
  for (const box of boxes.filter(({ score }) => score >= scoreThreshold).toSorted((a, b) => b.score - a.score)) {
    if (kept.length >= maxDetections) break;
    const rivals = classAgnostic ? kept : keptOf.get(box.classId);
    if (rivals?.some((rival) => intersectionOverUnion(rival, box) > iouThreshold)) continue;
    kept.push(box);
    if (classAgnostic) continue;
    if (rivals) rivals.push(box);
    else keptOf.set(box.classId, [box]);
  }
  return kept;
}

export interface CandidateOptions {
  /** Candidates score at least this. */
  readonly scoreThreshold: number;
  /** Every class of a place that scores enough, as COCO's figures reward, or only its best one. Default "all". */
  readonly classesOfPlace?: "all" | "best";
  /** At most so many, the surest; default 30,000. */
  readonly maxCandidates?: number;
}

/**
 * Boxes out of a detector's flat outputs for one picture: `edges` [places, 4] (left, top, right, bottom) and `scores`
 * [places, classes]. Throws EvaluateError when their sizes do not fit or a score is NaN.
 */
export function candidateBoxes(
  edges: Float32Array,
  { values, classes }: { readonly values: Float32Array; readonly classes: number },
  { scoreThreshold, classesOfPlace = "all", maxCandidates = 30_000 }: CandidateOptions,
): ScoredBox[] {
  const places = edges.length / 4;
  if (values.length !== places * classes) {
    throw new EvaluateError(
      `candidateBoxes: expected ${classes} scores for each of ${places} boxes, found ${values.length} scores`,
    );
  }
  const boxes: ScoredBox[] = [];
  const add = (place: number, classId: number, score: number) => {
    const [left, top, right, bottom] = edges.subarray(4 * place, 4 * place + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    boxes.push({ classId, score, left, top, right, bottom });
  };
  for (let place = 0; place < places; place++) {
    let best = -1, most = -Infinity;
    for (let classId = 0; classId < classes; classId++) {
      const score = values[place * classes + classId]!;
      if (Number.isNaN(score)) {
        throw new EvaluateError(`candidateBoxes: expected numbers, found NaN for class ${classId} of box ${place}`);
      }
      if (score < scoreThreshold) continue;
      if (classesOfPlace === "all") add(place, classId, score);
      else if (score > most) [best, most] = [classId, score];
    }
    if (best >= 0) add(place, best, most);
  }
  return boxes.length <= maxCandidates ? boxes : boxes.toSorted((a, b) => b.score - a.score).slice(0, maxCandidates);
}
