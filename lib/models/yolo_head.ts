/** What the YOLO networks share: their options, the detecting layers' starting values, and the specification of the heads. */

import { Graph, type Value } from "../onnx/mod.ts";
import type { Random } from "../runtime/mod.ts";
import { DarknetLayers, expectSize, type NetworkOptions } from "./darknet_layers.ts";
import { ModelError } from "./errors.ts";
import { type Initializer, normal } from "./initializers.ts";
import type { Anchor, YoloHead, YoloSpec } from "./yolo_spec.ts";

/** Anchors of YOLOv3, k-means on COCO at 416 pixels, small ones first (Redmon and Farhadi 2018, section 2.3). */
export const YOLO_V3_ANCHORS: readonly Anchor[] = [
  [10, 13],
  [16, 30],
  [33, 23],
  [30, 61],
  [62, 45],
  [59, 119],
  [116, 90],
  [156, 198],
  [373, 326],
];

/** Anchors of YOLOv3-tiny (Darknet, yolov3-tiny.cfg). */
export const YOLO_V3_TINY_ANCHORS: readonly Anchor[] = [
  [10, 14],
  [23, 27],
  [37, 58],
  [81, 82],
  [135, 169],
  [344, 319],
];

/** Settings of `yoloV3` and `yoloV3Tiny`. */
export interface YoloOptions extends NetworkOptions {
  readonly classes: number;
  /** Side of the input in pixels, a multiple of 32. Default: 416. */
  readonly size?: number;
  /** In pixels of the input, small ones first, as many as the network has by default. Default: the published ones, at any size. */
  readonly anchors?: readonly Anchor[];
  /**
   * What a fresh network thinks of every place: the probability of an object. Default: 0.01, which is a bias of −4.6. Nearly
   * all places are background; with 0.5 their loss would drown the few objects' in the first steps (Lin et al. 2017, sections
   * 3.3 and 4.1). "none" leaves all biases of the heads at 0, as Darknet does.
   */
  readonly objectnessPrior?: number | "none";
  /**
   * What a fresh network thinks of every class. Default: 1 / classes (at most 0.5), by the same argument: with 0.5 the cross-entropy
   * of 1,025 sigmoids is 710 at each object. A softmax over the classes does not feel it.
   */
  readonly classPrior?: number;
}

/** A network with the meaning of its outputs. */
export interface YoloNetwork {
  readonly graph: Graph;
  readonly spec: YoloSpec;
}

/** Anchors made for one input size, for another. */
export function scaleAnchors(anchors: readonly Anchor[], factor: number): Anchor[] {
  return anchors.map(([width, height]): Anchor => [width * factor, height * factor]);
}

/** A YOLO network under construction. */
export class YoloBuilder {
  readonly graph: Graph;
  readonly layers: DarknetLayers;
  readonly images: Value;
  readonly #options: YoloOptions;
  readonly #anchors: readonly Anchor[];
  readonly #size: number;
  readonly #heads: YoloHead[] = [];

  /** Throws ModelError for a size, a number of classes or anchors that the network cannot have. */
  constructor(name: string, options: YoloOptions, published: readonly Anchor[]) {
    const { classes, size = 416, anchors = published } = options;
    expectSize(size, 32);
    if (!Number.isInteger(classes) || classes < 1) {
      throw new ModelError(`${name}: expected classes from 1, found ${classes}`);
    }
    if (anchors.length !== published.length) {
      throw new ModelError(`${name}: expected ${published.length} anchors, found ${anchors.length}`);
    }
    this.#options = options;
    this.#anchors = anchors;
    this.#size = size;
    this.graph = new Graph(name);
    this.layers = new DarknetLayers(options);
    this.images = this.graph.input("images", "float32", [options.batch ?? "N", 3, size, size]);
  }

  /** Appends a detecting layer to x: three anchors, of which `first` is the number of the smallest. */
  head(output: string, x: Value, first: number): void {
    const anchors = this.#anchors.slice(first, first + 3);
    const outputs = anchors.length * (5 + this.#options.classes);
    const start = {
      // Small weights, so that the priors hold (Lin et al. 2017, section 4.1).
      weight: (random: Random) => normal(random, { deviation: 0.01 }),
      bias: headBias(this.#options),
    };
    const value = this.graph.output(this.layers.last(x, outputs, start), output);
    this.#heads.push({ output, stride: this.#size / (value.shape[3] as number), anchors });
  }

  finish(): YoloNetwork {
    return {
      graph: this.graph,
      spec: { classes: this.#options.classes, size: this.#size, heads: this.#heads },
    };
  }
}

/** The biases of a detecting layer: 0 for boxes, logits of the priors for objectness and classes. */
export function headBias(
  { classes, objectnessPrior = 0.01, classPrior = Math.min(0.5, 1 / classes) }: Pick<
    YoloOptions,
    "classes" | "objectnessPrior" | "classPrior"
  >,
): Initializer {
  const logit = (name: string, prior: number) => {
    if (prior > 0 && prior < 1) return Math.log(prior / (1 - prior));
    throw new ModelError(`${name}: expected a probability between 0 and 1, found ${prior}`);
  };
  const none = objectnessPrior === "none";
  const objectness = none ? 0 : logit("objectnessPrior", objectnessPrior);
  const each = none ? 0 : logit("classPrior", classPrior);
  return ([length = 0]) =>
    Float32Array.from({ length }, (_, i) => {
      const entry = i % (5 + classes);
      return entry < 4 ? 0 : entry === 4 ? objectness : each;
    });
}
