/** Which detections find a true box: greedy matching as pycocotools does it (COCOeval.evaluateImg), for one class. */

import type { BoxOrder, DetectionTable } from "./columns.ts";

/** IoU thresholds 0.50, 0.55, … 0.95, with the rounding of NumPy's linspace, which decides where an IoU equals one. */
export const IOU_THRESHOLDS: readonly number[] = Array.from(
  { length: 10 },
  (_, i) => i === 9 ? 0.95 : i * ((0.95 - 0.5) / 9) + 0.5,
);

/** Ranges of a box's area in square pixels, both ends included. */
export const AREAS = ["all", "small", "medium", "large"] as const;
const AREA_RANGES: readonly (readonly [number, number])[] = [[0, 1e10], [0, 1024], [1024, 9216], [9216, 1e10]];

/** More detections of one class in one image than this are not looked at: the best ones count. */
export const MOST_DETECTIONS = 100;

/** What a detection turned out to be. */
export const OUTCOME = { wrong: 0, right: 1, ignored: 2 } as const;

/** The detections of a class, image after image, each image's best first. */
export interface ClassMatches {
  /** How many true boxes are to be found, by area range. */
  readonly positives: Int32Array;
  readonly score: Float64Array;
  /** Place among the detections of its image, from 0. */
  readonly rank: Int32Array;
  /** [areas, thresholds, detections] of OUTCOME. */
  readonly outcome: Uint8Array;
}

/** Space that is used again for every image. */
class Workspace {
  overlap = new Float64Array(256);
  order = new Int32Array(16);
  ignored = new Uint8Array(16);
  taken = new Uint8Array(16);

  reserve(detections: number, truths: number): void {
    if (this.overlap.length < detections * truths) this.overlap = new Float64Array(2 * detections * truths);
    if (this.order.length < truths) {
      this.order = new Int32Array(2 * truths);
      this.ignored = new Uint8Array(2 * truths);
      this.taken = new Uint8Array(2 * truths);
    }
  }
}

/** Matches every class's detections with its true boxes. */
export function* matchClasses(table: DetectionTable, truth: BoxOrder, detections: BoxOrder): Generator<ClassMatches> {
  const space = new Workspace();
  for (let k = 0; k < table.categories; k++) {
    yield matchClass(
      table,
      truth.order.subarray(truth.starts[k], truth.starts[k + 1]),
      detections.order.subarray(detections.starts[k], detections.starts[k + 1]),
      space,
    );
  }
}

function matchClass(table: DetectionTable, truths: Int32Array, found: Int32Array, space: Workspace): ClassMatches {
  const { score, image: imageOf } = table.detections;
  const positives = new Int32Array(AREAS.length);
  const { area, crowd } = table.truth;
  for (const truth of truths) {
    for (let a = 0; a < AREAS.length; a++) if (!crowd[truth] && inRange(area[truth]!, a)) positives[a]!++;
  }
  // Each image's best detections, image after image; `ends` says where an image's detections end among them.
  const kept: number[] = [], ends: number[] = [];
  for (let from = 0; from < found.length;) {
    let to = from + 1;
    while (to < found.length && imageOf[found[to]!] === imageOf[found[from]!]) to++;
    const best = to - from === 1
      ? [found[from]!]
      : Array.from(found.subarray(from, to)).sort((x, y) => score[y]! - score[x]! || x - y);
    for (const each of best.slice(0, MOST_DETECTIONS)) kept.push(each);
    ends.push(kept.length);
    from = to;
  }
  const result: ClassMatches = {
    positives,
    score: Float64Array.from(kept, (each) => score[each]!),
    rank: new Int32Array(kept.length),
    outcome: new Uint8Array(AREAS.length * IOU_THRESHOLDS.length * kept.length),
  };
  let at = 0, begin = 0;
  for (const end of ends) {
    const image = imageOf[kept[begin]!]!;
    while (at < truths.length && table.truth.image[truths[at]!]! < image) at++;
    const first = at;
    while (at < truths.length && table.truth.image[truths[at]!] === image) at++;
    matchImage(table, truths.subarray(first, at), kept, begin, end, result, space);
    begin = end;
  }
  return result;
}

/** Matches the detections `kept[begin … end]` of one image with the true boxes there. */
function matchImage(
  table: DetectionTable,
  truths: Int32Array,
  kept: readonly number[],
  begin: number,
  end: number,
  { rank, outcome }: ClassMatches,
  space: Workspace,
): void {
  const { area, crowd, counted } = table.truth;
  const { place } = table.detections;
  const n = truths.length, all = kept.length;
  space.reserve(end - begin, n);
  const { overlap, order, ignored, taken } = space;
  for (let d = begin; d < end; d++) {
    rank[d] = d - begin;
    for (let g = 0; g < n; g++) overlap[(d - begin) * n + g] = overlapOf(table, kept[d]!, truths[g]!);
  }
  for (let a = 0; a < AREAS.length; a++) {
    // Boxes that are to be found come first, then those that are ignored.
    let next = 0;
    for (let g = 0; g < n; g++) ignored[g] = crowd[truths[g]!] || !inRange(area[truths[g]!]!, a) ? 1 : 0;
    for (let g = 0; g < n; g++) if (!ignored[g]) order[next++] = g;
    for (let g = 0; g < n; g++) if (ignored[g]) order[next++] = g;
    for (let t = 0; t < IOU_THRESHOLDS.length; t++) {
      const row = (a * IOU_THRESHOLDS.length + t) * all;
      taken.fill(0, 0, n);
      for (let d = begin; d < end; d++) {
        let best = Math.min(IOU_THRESHOLDS[t]!, 1 - 1e-10), match = -1;
        for (let i = 0; i < n; i++) {
          const g = order[i]!;
          if (taken[g] && !crowd[truths[g]!]) continue;
          if (match >= 0 && !ignored[match] && ignored[g]) break;
          const iou = overlap[(d - begin) * n + g]!;
          if (iou < best) continue;
          best = iou;
          match = g;
        }
        if (match >= 0) taken[match] = 1;
        const matched = match >= 0 && counted[truths[match]!] === 1;
        const outside = !inRange(place[4 * kept[d]! + 2]! * place[4 * kept[d]! + 3]!, a);
        outcome[row + d] = (match >= 0 && ignored[match]) || (!matched && outside)
          ? OUTCOME.ignored
          : matched
          ? OUTCOME.right
          : OUTCOME.wrong;
      }
    }
  }
}

function inRange(area: number, range: number): boolean {
  return area >= AREA_RANGES[range]![0] && area <= AREA_RANGES[range]![1];
}

/** Intersection over union; for a crowd over the detection's own area (maskApi.c, bbIou). */
function overlapOf({ truth, detections }: DetectionTable, detection: number, box: number): number {
  const d = 4 * detection, g = 4 * box, D = detections.place, G = truth.place;
  const width = Math.min(D[d + 2]! + D[d]!, G[g + 2]! + G[g]!) - Math.max(D[d]!, G[g]!);
  if (width <= 0) return 0;
  const height = Math.min(D[d + 3]! + D[d + 1]!, G[g + 3]! + G[g + 1]!) - Math.max(D[d + 1]!, G[g + 1]!);
  if (height <= 0) return 0;
  const shared = width * height, own = D[d + 2]! * D[d + 3]!;
  return shared / (truth.crowd[box] ? own : own + G[g + 2]! * G[g + 3]! - shared);
}
