/** A raw YOLO head inside the graph of a step: its objectness, its decoded boxes, and single predictions picked from it. */

import {
  add,
  clip,
  concat,
  exp,
  gatherElements,
  mul,
  reshape,
  sigmoid,
  slice,
  unsqueeze,
  type Value,
} from "../../onnx/mod.ts";
import { stopGradient } from "../../autodiff/mod.ts";
import type { YoloHead, YoloSpec } from "../../models/mod.ts";
import { TrainError } from "../errors.ts";

/** What e is raised to at most where a box is decoded: without a bound one wild prediction makes the loss infinite. */
export const LARGEST_EXPONENT = 20;

/** A head [N, A · (5 + C), rows, columns] before any activation. */
export class HeadPredictions {
  readonly #raw: Value;
  readonly #head: YoloHead;
  readonly #spec: YoloSpec;
  /** Rows and columns. */
  readonly side: number;

  /** Throws TrainError unless the output has the shape that the spec gives it. */
  constructor(raw: Value, head: YoloHead, spec: YoloSpec) {
    const side = spec.size / head.stride, expected = [head.anchors.length * (5 + spec.classes), side, side];
    if (raw.rank !== 4 || expected.some((size, i) => raw.shape[i + 1] !== size)) {
      throw new TrainError(`yoloLoss: expected "${head.output}" to be [N, ${expected.join(", ")}], found ${raw}`);
    }
    this.#raw = raw;
    this.#head = head;
    this.#spec = spec;
    this.side = side;
  }

  /** Logits [N, A · rows · columns]. */
  objectness(): Value {
    const x = slice(this.#byAnchor(), [4], [5], { axes: [2] });
    return reshape(x, [0, this.#head.anchors.length * this.side ** 2]);
  }

  /**
   * Left, top, right and bottom as parts of the picture's side, each [N, A · rows · columns, 1]; no gradient flows through
   * them. b_x = (i + σ(t_x)) / columns and b_w = e^{t_w} · anchor / size (Redmon and Farhadi 2018, section 2.1).
   */
  fixedBoxes(): readonly [Value, Value, Value, Value] {
    const { graph } = this.#raw, { side } = this, { anchors } = this.#head, cells = side ** 2;
    const raw = stopGradient(slice(this.#byAnchor(), [0], [4], { axes: [2] }));
    const grid = Array.from({ length: 2 * cells }, (_, i) => i < cells ? i % side : Math.floor((i - cells) / side));
    const corner = graph.constant(grid, { dtype: raw.dtype, shape: [1, 1, 2, cells] });
    const prior = graph.constant(anchors.flat().map((x) => x / this.#spec.size), {
      dtype: raw.dtype,
      shape: [1, anchors.length, 2, 1],
    });
    const centre = mul(add(sigmoid(slice(raw, [0], [2], { axes: [2] })), corner), 1 / side);
    const half = mul(mul(exp(clip(slice(raw, [2], [4], { axes: [2] }), undefined, LARGEST_EXPONENT)), prior), 0.5);
    const parts = [add(centre, mul(half, -1)), add(centre, half)].flatMap((corner) =>
      [0, 1].map((k) => reshape(slice(corner, [k], [k + 1], { axes: [2] }), [0, anchors.length * cells, 1]))
    );
    return parts as [Value, Value, Value, Value];
  }

  /**
   * The predictions whose t_x stand at `places` [N, P] of each picture's part: `box` [N, P, 4] (t_x, t_y, t_w, t_h) and
   * `classes` [N, P, C], raw. Only these elements are read, and only they get a gradient.
   */
  pick(places: Value): { box: Value; classes: Value } {
    const { graph } = this.#raw, cells = this.side ** 2, { classes } = this.#spec;
    const channels = Array.from({ length: 4 + classes }, (_, i) => (i < 4 ? i : i + 1) * cells);
    const offsets = graph.constant(channels, { dtype: places.dtype, shape: [1, 1, channels.length] });
    const count = places.shape[1] as number;
    const indices = reshape(add(unsqueeze(places, [2]), offsets), [0, count * channels.length]);
    const flat = reshape(this.#raw, [0, this.#head.anchors.length * (5 + classes) * cells]);
    const rows = reshape(gatherElements(flat, indices, { axis: 1 }), [0, count, channels.length]);
    return {
      box: slice(rows, [0], [4], { axes: [2] }),
      classes: slice(rows, [4], [undefined], { axes: [2] }),
    };
  }

  /** Centre, width and height [N, P, 4] of picked predictions, as parts of the picture's side. */
  decode(box: Value, cells: Value): Value {
    const centre = mul(
      add(sigmoid(slice(box, [0], [2], { axes: [2] })), slice(cells, [0], [2], { axes: [2] })),
      1 / this.side,
    );
    const grown = exp(clip(slice(box, [2], [4], { axes: [2] }), undefined, LARGEST_EXPONENT));
    return concat([centre, mul(grown, slice(cells, [2], [4], { axes: [2] }))], 2);
  }

  #byAnchor(): Value {
    const { anchors } = this.#head;
    return reshape(this.#raw, [0, anchors.length, 5 + this.#spec.classes, this.side ** 2]);
  }
}
