/** Losses of boxes from intersection over union. */

import { add, atan, div, max, min, mul, split, squeeze, sub, type Value } from "../../onnx/mod.ts";
import { stopGradient } from "../../autodiff/mod.ts";
import { TrainError } from "../errors.ts";
import { type LossOptions, reduceLoss } from "./reduction.ts";

/** Which measure: plain, generalised, with the centres' distance, or with the aspect ratio too. */
export type IouKind = "iou" | "giou" | "diou" | "ciou";

/** Settings of `iouLoss`. */
export interface IouOptions extends LossOptions {
  /** Default: "ciou". */
  readonly kind?: IouKind;
  /** Corners x1, y1, x2, y2 (x2 ≥ x1, y2 ≥ y1), or centre and size; default "xyxy". */
  readonly format?: "xyxy" | "cxcywh";
  /** Keeps divisions by empty boxes finite. Default: 1e-7. */
  readonly epsilon?: number;
}

interface Box {
  readonly x1: Value;
  readonly y1: Value;
  readonly x2: Value;
  readonly y2: Value;
  readonly width: Value;
  readonly height: Value;
}

/**
 * 1 − IoU of boxes [..., 4] with their targets [..., 4], one for each pair before it is reduced.
 *
 * GIoU subtracts the empty part of the smallest box around both (Rezatofighi et al. 2019, algorithm 1); DIoU the squared
 * distance of the centres over that box's squared diagonal; CIoU also α · v with v = 4/π² (atan(w_t/h_t) − atan(w/h))² and
 * α = v / (1 − IoU + v), through which no gradient flows (Zheng et al. 2020, eq. 7 and 10; as torchvision).
 * Throws TrainError unless the last dimension is 4.
 */
export function iouLoss(
  boxes: Value,
  targets: Value,
  { reduction, kind = "ciou", format = "xyxy", epsilon = 1e-7 }: IouOptions = {},
): Value {
  const a = corners(boxes, format), b = corners(targets, format);
  const overlap = (low1: Value, high1: Value, low2: Value, high2: Value) =>
    max([sub(min([high1, high2]), max([low1, low2])), 0]);
  const intersection = mul(overlap(a.x1, a.x2, b.x1, b.x2), overlap(a.y1, a.y2, b.y1, b.y2));
  const union = sub(add(mul(a.width, a.height), mul(b.width, b.height)), intersection);
  const iou = div(intersection, add(union, epsilon));
  let losses = sub(1, iou);
  if (kind === "iou") return reduceLoss(losses, reduction);
  const outerWidth = sub(max([a.x2, b.x2]), min([a.x1, b.x1]));
  const outerHeight = sub(max([a.y2, b.y2]), min([a.y1, b.y1]));
  if (kind === "giou") {
    const outer = mul(outerWidth, outerHeight);
    losses = add(losses, div(sub(outer, union), add(outer, epsilon)));
    return reduceLoss(losses, reduction);
  }
  const diagonal = add(add(square(outerWidth), square(outerHeight)), epsilon);
  const dx = sub(add(a.x1, a.x2), add(b.x1, b.x2)), dy = sub(add(a.y1, a.y2), add(b.y1, b.y2));
  losses = add(losses, div(mul(add(square(dx), square(dy)), 0.25), diagonal));
  if (kind === "ciou") {
    const v = mul(square(sub(aspect(b, epsilon), aspect(a, epsilon))), 4 / Math.PI ** 2);
    const alpha = stopGradient(div(v, add(add(sub(1, iou), v), epsilon)));
    losses = add(losses, mul(alpha, v));
  }
  return reduceLoss(losses, reduction);
}

function corners(boxes: Value, format: "xyxy" | "cxcywh"): Box {
  if (boxes.shape.at(-1) !== 4) throw new TrainError(`iouLoss: expected boxes [..., 4], found ${boxes}`);
  const [p, q, r, s] = split(boxes, 4, { axis: -1 }).map((part) => squeeze(part, [boxes.rank - 1])) as [
    Value,
    Value,
    Value,
    Value,
  ];
  if (format === "xyxy") return { x1: p, y1: q, x2: r, y2: s, width: sub(r, p), height: sub(s, q) };
  const halfWidth = mul(r, 0.5), halfHeight = mul(s, 0.5);
  return {
    x1: sub(p, halfWidth),
    y1: sub(q, halfHeight),
    x2: add(p, halfWidth),
    y2: add(q, halfHeight),
    width: r,
    height: s,
  };
}

const square = (x: Value): Value => mul(x, x);
const aspect = ({ width, height }: Box, epsilon: number): Value => atan(div(width, add(height, epsilon)));
