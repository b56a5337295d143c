/** The loss of YOLOv3 (Redmon and Farhadi 2018, "YOLOv3: An Incremental Improvement", section 2). */

import { add, cast, div, max, mul, reduceSum, reshape, shape, type Value } from "../../onnx/mod.ts";
import type { YoloHead, YoloSpec } from "../../models/mod.ts";
import { TrainError } from "../errors.ts";
import { acceptIntegers, type IouKind, iouLoss } from "../losses/mod.ts";
import type { LossContext } from "../step_plan.ts";
import { type AssignmentOptions, assignmentOptions, CLASS_SHARES, positiveCapacity } from "./assignment.ts";
import { classLoss, classTargets, coordinateLoss, objectnessLoss } from "./loss_parts.ts";
import { HeadPredictions } from "./predictions.ts";
import { headInputs, TRUTH_INPUT } from "./targets.ts";

/** How a positive's box is compared with the true one; see `yoloLoss`. */
export type BoxLoss = "squares" | "darknet" | IouKind;

/** What the parts of the loss are multiplied with. Default: 1 each. */
export interface YoloGains {
  readonly box?: number;
  readonly objectness?: number;
  /** Within the objectness part, the cells without an object. */
  readonly noObject?: number;
  readonly class?: number;
}

/** Settings of `yoloLoss`; those of the assignment as they were given to `yoloTargets`. */
export interface YoloLossOptions extends AssignmentOptions {
  /** Default: "darknet". */
  readonly boxLoss?: BoxLoss;
  /** Classes that may hold together, or exactly one of them. Default: "sigmoid", as in the paper. */
  readonly classLoss?: "sigmoid" | "softmax";
  /** Part of a class target that is spread evenly over all classes; 0 … 1, default 0. */
  readonly labelSmoothing?: number;
  /** A prediction that is not positive is left out where it overlaps a true box by more than this IoU. Default: 0.7. */
  readonly ignoreThreshold?: number;
  readonly gains?: YoloGains;
  /**
   * What the sums over the batch are divided by: the positives, counted with their weights and at least 1, or the pictures,
   * as Darknet does. Default: "positives".
   */
  readonly normalisation?: "positives" | "pictures";
}

const BOX_LOSSES: readonly BoxLoss[] = ["squares", "darknet", "iou", "giou", "diou", "ciou"];

/** The options with their defaults. */
interface Settings {
  readonly assignment: ReturnType<typeof assignmentOptions>;
  readonly boxLoss: BoxLoss;
  readonly kind: "sigmoid" | "softmax";
  readonly labelSmoothing: number;
  readonly ignoreThreshold: number;
  readonly gains: Required<YoloGains>;
  readonly normalisation: "positives" | "pictures";
}

/**
 * The loss of a network's raw heads for `compileStep`, fed with what `yoloTargets` makes of the true boxes. Sums over all
 * heads, pictures and positives, divided by the number of positives (or of pictures) of the micro-batch:
 *
 * - **box**, for each positive with its weight w:
 *   "darknet": (2 − w·h) · [BCE(t_x, x̂) + BCE(t_y, ŷ) + ½ (t_w − t̂_w)² + ½ (t_h − t̂_h)²], x̂ the centre's place in its cell,
 *   t̂_w = ln(w / anchor's w), w·h the box's part of the picture: the gradient is Darknet's (yolo_layer.c), σ(t_x) − x̂;
 *   "squares": the same with ½ (σ(t_x) − x̂)², the paper's sum of squares taken behind σ, whose inverse has no value at a
 *   cell's edge; "iou", "giou", "diou", "ciou": 1 − that measure of the decoded box (`iouLoss`).
 * - **objectness**: BCE of every cell and anchor with 1 (or the positive's weight, as GluonCV does for mixed pictures) for a
 *   positive, else 0; not counted where it is no positive and its box overlaps a true one by more than `ignoreThreshold`.
 * - **class**, for each positive with its weight: the sum of BCE over all classes, or cross-entropy with `classLoss` "softmax".
 *
 * Metrics: `box`, `objectness` and `class`, with gains and division, so that their sum is the loss. Throws TrainError where
 * options are out of range or an output has not the shape that the spec gives it.
 */
export function yoloLoss(spec: YoloSpec, options: YoloLossOptions = {}): (
  context: LossContext,
) => { loss: Value; metrics: { box: Value; objectness: Value; class: Value } } {
  const settings = checked(options);
  return (context) => {
    const pictures = context.output(spec.heads[0]!.output).shape[0]!;
    const truth = context.input(TRUTH_INPUT, "float32", [pictures, settings.assignment.maxBoxes, 4]);
    const parts = spec.heads.map((head, index) => headLoss(context, spec, head, index, truth, settings));
    const total = (pick: (part: HeadLoss) => Value) => parts.map(pick).reduce((a, b) => add(a, b));
    const count = settings.normalisation === "positives"
      ? max([total(({ positives }) => positives), 1])
      : reshape(cast(shape(truth, { start: 0, end: 1 }), "float32"), []);
    const { gains } = settings;
    const box = div(mul(total((part) => part.box), gains.box), count);
    const objectness = div(mul(total((part) => part.objectness), gains.objectness), count);
    const classes = div(mul(total((part) => part.class), gains.class), count);
    return { loss: add(add(box, objectness), classes), metrics: { box, objectness, class: classes } };
  };
}

/** Sums over one head. */
interface HeadLoss {
  readonly box: Value;
  readonly objectness: Value;
  readonly class: Value;
  readonly positives: Value;
}

function headLoss(
  { output, input }: LossContext,
  spec: YoloSpec,
  head: YoloHead,
  index: number,
  truth: Value,
  settings: Settings,
): HeadLoss {
  const predictions = new HeadPredictions(output(head.output), head, spec);
  const pictures = truth.shape[0]!, { side } = predictions, names = headInputs(head);
  const list = [pictures, positiveCapacity(spec, index, settings.assignment)];
  const object = input(names.objectness, "float32", [pictures, head.anchors.length, side, side]);
  const places = input(names.places, "int32", list);
  const cells = input(names.cells, "float32", [...list, 4]);
  const boxes = input(names.boxes, "float32", [...list, 4]);
  const weights = input(names.weights, "float32", list);
  const classes = input(names.classes, "int32", [...list, CLASS_SHARES]);
  const shares = input(names.shares, "float32", [...list, CLASS_SHARES]);
  const channels = 5 + spec.classes, last = ((head.anchors.length - 1) * channels + 1) * side ** 2 - 1;
  acceptIntegers(places, { low: 0, high: last });
  acceptIntegers(classes, { low: 0, high: spec.classes - 1 });
  const picked = predictions.pick(places);
  const boxLosses = settings.boxLoss === "squares" || settings.boxLoss === "darknet"
    ? coordinateLoss(picked.box, cells, boxes, side, settings.boxLoss)
    : iouLoss(predictions.decode(picked.box, cells), boxes, {
      kind: settings.boxLoss,
      format: "cxcywh",
      reduction: "none",
    });
  const classLosses = classLoss(picked.classes, classTargets(classes, shares, spec.classes), settings);
  const { ignoreThreshold, gains: { noObject } } = settings;
  return {
    box: reduceSum(mul(boxLosses, weights)),
    objectness: objectnessLoss(predictions, object, truth, { ignoreThreshold, noObject }),
    class: reduceSum(mul(classLosses, weights)),
    positives: reduceSum(weights),
  };
}

function checked(options: YoloLossOptions): Settings {
  const { boxLoss = "darknet", classLoss = "sigmoid", normalisation = "positives" } = options;
  const { labelSmoothing = 0, ignoreThreshold = 0.7, gains = {} } = options;
  expectOneOf("boxLoss", boxLoss, BOX_LOSSES);
  expectOneOf("classLoss", classLoss, ["sigmoid", "softmax"]);
  expectOneOf("normalisation", normalisation, ["positives", "pictures"]);
  for (const [name, value] of Object.entries({ labelSmoothing, ignoreThreshold })) {
    if (!(value >= 0 && value <= 1)) throw new TrainError(`yoloLoss: expected ${name} in 0 … 1, found ${value}`);
  }
  const all = { box: 1, objectness: 1, noObject: 1, class: 1, ...gains };
  for (const [name, value] of Object.entries(all)) {
    if (!(Number.isFinite(value) && value >= 0)) {
      throw new TrainError(`yoloLoss: expected the gain "${name}" to be a number from 0, found ${value}`);
    }
  }
  const assignment = assignmentOptions(options);
  return { assignment, boxLoss, kind: classLoss, labelSmoothing, ignoreThreshold, gains: all, normalisation };
}

function expectOneOf<T extends string>(name: string, value: T, known: readonly T[]): void {
  if (!known.includes(value)) {
    throw new TrainError(`yoloLoss: expected ${name} to be one of ${known.join(", ")}, found "${value}"`);
  }
}
