/** What a YOLO loss is fed with each batch: true boxes as tensors, the positives as short lists. */

import { type Tensor, tensor } from "../../onnx/mod.ts";
import type { YoloHead, YoloSpec } from "../../models/mod.ts";
import type { Batch } from "../batch.ts";
import { TrainError } from "../errors.ts";
import {
  type AssignmentOptions,
  assignmentOptions,
  assignPositives,
  CLASS_SHARES,
  type Positive,
  positiveCapacity,
} from "./assignment.ts";
import { checkTruth, type TruthBox } from "./truth.ts";

/** Names of a head's inputs. */
export interface HeadInputs {
  readonly objectness: string;
  readonly places: string;
  readonly cells: string;
  readonly boxes: string;
  readonly weights: string;
  readonly classes: string;
  readonly shares: string;
}

/** The input with all true boxes. */
export const TRUTH_INPUT = "yolo/truth";

/** The names of the inputs that belong to a head. */
export function headInputs({ output }: YoloHead): HeadInputs {
  const name = (what: string) => `yolo/${output}/${what}`;
  return {
    objectness: name("objectness"),
    places: name("places"),
    cells: name("cells"),
    boxes: name("boxes"),
    weights: name("weights"),
    classes: name("classes"),
    shares: name("shares"),
  };
}

/**
 * The tensors that `yoloLoss` with the same spec and options is fed beside the images, N the number of pictures:
 *
 * - `yolo/truth` [N, maxBoxes, 4]: left, top, right, bottom as parts of the picture's side; zeros where there is none
 *
 * and for each head with A anchors, `yolo/OUTPUT/…`:
 *
 * - `objectness` [N, A, rows, columns]: 0, or the weight of the positive there
 * - `places` [N, P] int32: where in the picture's own part of the head (flattened) the positive's t_x stands
 * - `cells` [N, P, 4]: column, row, and the anchor's width and height as parts of the picture's side
 * - `boxes` [N, P, 4]: centre, width and height of the true box, as parts of the picture's side
 * - `weights` [N, P]: 0 where the list is over
 * - `classes` int32 and `shares` [N, P, 2]: class ids and their shares of the target
 *
 * Class targets are so short because dense ones of 1,025 classes were 44 MB a picture of 416 px. `boxes` has a list for each
 * picture; an empty list is a picture without objects. Throws TrainError, naming picture and box, for what `checkTruth` refuses.
 */
export function yoloTargets(
  boxes: readonly (readonly TruthBox[])[],
  spec: YoloSpec,
  options: AssignmentOptions = {},
): Batch {
  const { maxBoxes } = assignmentOptions(options);
  if (boxes.length === 0) throw new TrainError("yoloTargets: expected boxes of at least one picture, found none");
  const checked = boxes.map((list, picture) => checkTruth(list, picture, spec, maxBoxes));
  const truth = new Float32Array(boxes.length * maxBoxes * 4);
  checked.forEach((list, picture) => {
    list.forEach(({ left, top, right, bottom }, index) => {
      truth.set([left, top, right, bottom].map((x) => x / spec.size), 4 * (picture * maxBoxes + index));
    });
  });
  const batch: Record<string, Tensor> = { [TRUTH_INPUT]: tensor("float32", [boxes.length, maxBoxes, 4], truth) };
  const lists = spec.heads.map((head, index) =>
    new HeadTargets(spec, head, boxes.length, positiveCapacity(spec, index, options))
  );
  checked.forEach((list, picture) => {
    for (const positive of assignPositives(list, spec, options)) lists[positive.head]!.add(picture, positive);
  });
  for (const list of lists) Object.assign(batch, list.tensors());
  return batch;
}

/** The lists of one head. */
class HeadTargets {
  readonly #spec: YoloSpec;
  readonly #head: YoloHead;
  readonly #side: number;
  readonly #pictures: number;
  readonly #capacity: number;
  readonly #counts: number[];
  readonly #objectness: Float32Array;
  readonly #places: Int32Array;
  readonly #cells: Float32Array;
  readonly #boxes: Float32Array;
  readonly #weights: Float32Array;
  readonly #classes: Int32Array;
  readonly #shares: Float32Array;

  constructor(spec: YoloSpec, head: YoloHead, pictures: number, capacity: number) {
    this.#spec = spec;
    this.#head = head;
    this.#side = spec.size / head.stride;
    this.#pictures = pictures;
    this.#capacity = capacity;
    this.#counts = new Array<number>(pictures).fill(0);
    const length = pictures * capacity;
    this.#objectness = new Float32Array(pictures * head.anchors.length * this.#side ** 2);
    this.#places = new Int32Array(length);
    // Beyond the list's end a box that is its anchor: all its logarithms and ratios are finite.
    this.#cells = Float32Array.from({ length: 4 * length }, (_, i) => i % 4 < 2 ? 0 : 1);
    this.#boxes = this.#cells.slice();
    this.#weights = new Float32Array(length);
    this.#classes = new Int32Array(CLASS_SHARES * length);
    this.#shares = new Float32Array(CLASS_SHARES * length);
  }

  add(picture: number, { anchor, row, column, box, weight, classes }: Positive): void {
    const { size } = this.#spec, { anchors } = this.#head;
    const at = picture * this.#capacity + this.#counts[picture]!++;
    const area = this.#side ** 2, cell = row * this.#side + column;
    const [width, height] = anchors[anchor]!;
    this.#objectness[(picture * anchors.length + anchor) * area + cell] = weight;
    this.#places[at] = anchor * (5 + this.#spec.classes) * area + cell;
    this.#cells.set([column, row, width / size, height / size], 4 * at);
    const { left, top, right, bottom } = box;
    this.#boxes.set([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top].map((x) => x / size), 4 * at);
    this.#weights[at] = weight;
    classes.forEach(([classId, share], k) => {
      this.#classes[CLASS_SHARES * at + k] = classId;
      this.#shares[CLASS_SHARES * at + k] = share;
    });
  }

  tensors(): Batch {
    const names = headInputs(this.#head), list = [this.#pictures, this.#capacity];
    const grid = [this.#pictures, this.#head.anchors.length, this.#side, this.#side];
    return {
      [names.objectness]: tensor("float32", grid, this.#objectness),
      [names.places]: tensor("int32", list, this.#places),
      [names.cells]: tensor("float32", [...list, 4], this.#cells),
      [names.boxes]: tensor("float32", [...list, 4], this.#boxes),
      [names.weights]: tensor("float32", list, this.#weights),
      [names.classes]: tensor("int32", [...list, CLASS_SHARES], this.#classes),
      [names.shares]: tensor("float32", [...list, CLASS_SHARES], this.#shares),
    };
  }
}
