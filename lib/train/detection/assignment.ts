/** Which cells and anchors answer for which true box. */

import type { YoloSpec } from "../../models/mod.ts";
import { TrainError } from "../errors.ts";
import type { TruthBox } from "./truth.ts";

/** How true boxes find their anchors; the targets and the loss of one training must be given the same. */
export interface AssignmentOptions {
  /** The most boxes a picture may have. Default: 20. */
  readonly maxBoxes?: number;
  /** Further anchors, of all heads, whose shape IoU with the box is above this are positive too. Default: none. */
  readonly anchorThreshold?: number;
  /**
   * The nearest cell beside and the nearest above or below the centre's are positive too (as in YOLOv5); their offsets are
   * held within their own cell, so that their box is off by up to half a cell. Default: false.
   */
  readonly neighbours?: boolean;
}

/** A cell and anchor that answers for a box. */
export interface Positive {
  /** Index of the head in the spec. */
  readonly head: number;
  /** Index of the anchor in its head. */
  readonly anchor: number;
  readonly row: number;
  readonly column: number;
  readonly box: TruthBox;
  /** How much it counts, above 0 to 1. */
  readonly weight: number;
  /** Classes with their shares, the heaviest first; the shares sum to 1. */
  readonly classes: readonly (readonly [classId: number, share: number])[];
}

/** The most classes of one positive. */
export const CLASS_SHARES = 2;

/** The options with their defaults. Throws TrainError for a value out of range. */
export function assignmentOptions(
  { maxBoxes = 20, anchorThreshold, neighbours = false }: AssignmentOptions,
): Required<Omit<AssignmentOptions, "anchorThreshold">> & Pick<AssignmentOptions, "anchorThreshold"> {
  if (!(Number.isInteger(maxBoxes) && maxBoxes >= 1)) {
    throw new TrainError(`assignment: expected maxBoxes to be a whole number from 1, found ${maxBoxes}`);
  }
  if (anchorThreshold !== undefined && !(anchorThreshold > 0 && anchorThreshold <= 1)) {
    throw new TrainError(`assignment: expected an anchorThreshold above 0 to 1, found ${anchorThreshold}`);
  }
  return { maxBoxes, neighbours, ...(anchorThreshold === undefined ? {} : { anchorThreshold }) };
}

/** The most positives that a head can have in one picture: the length of its list. */
export function positiveCapacity(spec: YoloSpec, head: number, options: AssignmentOptions): number {
  const { maxBoxes, anchorThreshold, neighbours } = assignmentOptions(options);
  const { anchors, stride } = spec.heads[head]!;
  const anchorsABox = anchorThreshold === undefined ? 1 : anchors.length;
  const places = anchors.length * (spec.size / stride) ** 2;
  return Math.min(places, maxBoxes * anchorsABox * (neighbours ? 3 : 1));
}

/** Intersection over union of two boxes with one centre. */
export function shapeIou(width: number, height: number, otherWidth: number, otherHeight: number): number {
  const intersection = Math.min(width, otherWidth) * Math.min(height, otherHeight);
  return intersection / (width * height + otherWidth * otherHeight - intersection);
}

/** A positive while others may still take its place. */
interface Claim extends Positive {
  /** By the paper's rule, not by `anchorThreshold` or `neighbours`. */
  readonly first: boolean;
}

/**
 * The positives of one picture. For each box the anchor with the best shape IoU over all heads, at the cell that holds the
 * box's centre (Redmon and Farhadi 2018, section 2.1; of equal anchors the first), and those that the options add.
 *
 * Two boxes on one cell and anchor: what is there by the paper's rule stays before what an option added. Boxes whose weights
 * sum to at most 1 are shares of mixed pictures: both classes stay, by their weights (at most two, the heaviest), with the
 * heavier one's rectangle. Else the larger box takes the place; of two equally large ones the later. What `yoloTargets` makes
 * into tensors, for drawing; boxes are not checked here.
 */
export function assignPositives(boxes: readonly TruthBox[], spec: YoloSpec, options: AssignmentOptions): Positive[] {
  const claims = new Map<string, Claim>();
  for (const box of boxes) {
    for (const claim of claimsOf(box, spec, options)) {
      const { head, anchor, row, column } = claim;
      const key = `${head}/${anchor}/${row}/${column}`;
      const there = claims.get(key);
      claims.set(key, there ? settle(there, claim) : claim);
    }
  }
  return [...claims.values()].map(({ first: _, ...positive }) => positive);
}

function claimsOf(box: TruthBox, spec: YoloSpec, options: AssignmentOptions): Claim[] {
  const { anchorThreshold = Infinity, neighbours = false } = options;
  const width = box.right - box.left, height = box.bottom - box.top;
  const centreX = (box.left + box.right) / 2, centreY = (box.top + box.bottom) / 2;
  const anchors = spec.heads.flatMap(({ anchors }, head) =>
    anchors.map(([w, h], anchor) => ({ head, anchor, iou: shapeIou(width, height, w, h) }))
  );
  const best = anchors.reduce((a, b) => b.iou > a.iou ? b : a);
  return anchors.filter((each) => each === best || each.iou > anchorThreshold).flatMap((each) => {
    const { stride } = spec.heads[each.head]!;
    const cells = spec.size / stride;
    const columns = cellsAlong(centreX / stride, cells, neighbours);
    const rows = cellsAlong(centreY / stride, cells, neighbours);
    const places = [
      ...columns.map((column) => ({ row: rows[0]!, column })),
      ...rows.slice(1).map((row) => ({ row, column: columns[0]! })),
    ];
    return places.map((place, index): Claim => ({
      head: each.head,
      anchor: each.anchor,
      ...place,
      box,
      weight: box.weight ?? 1,
      classes: [[box.classId, 1]],
      first: each === best && index === 0,
    }));
  });
}

/** The cell that holds a position, and with `neighbours` the one that it is nearest to beside it. */
function cellsAlong(position: number, cells: number, neighbours: boolean): number[] {
  const own = Math.min(cells - 1, Math.floor(position)), offset = position - own;
  if (!neighbours || offset === 0.5) return [own];
  const beside = offset < 0.5 ? own - 1 : own + 1;
  return beside >= 0 && beside < cells ? [own, beside] : [own];
}

function settle(there: Claim, next: Claim): Claim {
  if (there.first !== next.first) return there.first ? there : next;
  const weight = there.weight + next.weight;
  if (weight <= 1 + 1e-6) {
    const shares = new Map<number, number>();
    for (const { classes, weight } of [there, next]) {
      for (const [classId, share] of classes) shares.set(classId, (shares.get(classId) ?? 0) + share * weight);
    }
    const heaviest = [...shares].sort((a, b) => b[1] - a[1]).slice(0, CLASS_SHARES);
    const sum = heaviest.reduce((sum, [, share]) => sum + share, 0);
    const classes = heaviest.map(([classId, share]) => [classId, share / sum] as const);
    const box = (next.box.weight ?? 1) > (there.box.weight ?? 1) ? next.box : there.box;
    return { ...there, box, classes, weight: Math.min(1, weight) };
  }
  return area(next.box) >= area(there.box) ? next : there;
}

function area({ left, top, right, bottom }: TruthBox): number {
  return (right - left) * (bottom - top);
}
