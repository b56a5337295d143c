/** Boxes of a whole data set in columns, and their order by class and image. */

/** Boxes as columns: one entry a box (four for its place). */
export interface BoxColumns {
  /** Index of the image, from 0. */
  readonly image: Int32Array;
  /** Index of the class, from 0. */
  readonly category: Int32Array;
  /** [n, 4]: left, top, width, height. */
  readonly place: Float64Array;
}

/** True boxes. */
export interface TruthColumns extends BoxColumns {
  /** By which a box is small, medium or large; COCO takes it from the object's mask. */
  readonly area: Float64Array;
  /** 1: a crowd, which may take in any number of detections and is not to be found itself. */
  readonly crowd: Uint8Array;
  /** 0: whoever matches this box counts as matching none; so pycocotools counts a box whose id is 0. */
  readonly counted: Uint8Array;
}

/** Detected boxes. */
export interface DetectionColumns extends BoxColumns {
  readonly score: Float64Array;
}

/** What is judged. Of detections with equal scores the one in the lower image index counts as better, then the earlier one. */
export interface DetectionTable {
  readonly images: number;
  readonly categories: number;
  readonly truth: TruthColumns;
  readonly detections: DetectionColumns;
}

/** Box indices ordered by class, then image, then as given; `starts[k] … starts[k + 1]` are those of class k. */
export interface BoxOrder {
  readonly order: Int32Array;
  readonly starts: Int32Array;
}

/** Orders boxes by class and image in linear time (two stable counting sorts). */
export function orderBoxes({ image, category }: BoxColumns, images: number, categories: number): BoxOrder {
  const identity = Int32Array.from({ length: image.length }, (_, index) => index);
  const byImage = countingSort(image, images, identity);
  return countingSort(category, categories, byImage.order);
}

function countingSort(keys: Int32Array, count: number, items: Int32Array): BoxOrder {
  const starts = new Int32Array(count + 1);
  for (const item of items) starts[keys[item]! + 1]!++;
  for (let key = 0; key < count; key++) starts[key + 1]! += starts[key]!;
  const next = starts.slice(), order = new Int32Array(items.length);
  for (const item of items) order[next[keys[item]!]!++] = item;
  return { order, starts };
}
