/** A `.cfg` as a network: its layers with all options filled in, and the sizes of their maps. */

import { type Activation, ACTIVATIONS } from "../layers.ts";
import type { Anchor } from "../yolo_spec.ts";
import { type Cfg, CfgReader, type CfgSection } from "./cfg.ts";
import { ModelError } from "../errors.ts";

/** Channels, height and width. */
export type MapSize = readonly [channels: number, height: number, width: number];

/** What each kind of layer is told. */
type LayerOptions =
  | {
    readonly kind: "convolutional";
    readonly filters: number;
    readonly size: number;
    readonly stride: number;
    readonly padding: number;
    readonly groups: number;
    readonly batchNormalize: boolean;
    readonly activation: Activation;
  }
  | {
    readonly kind: "connected";
    readonly outputs: number;
    readonly activation: Activation;
  }
  | { readonly kind: "maxpool"; readonly size: number; readonly stride: number; readonly padding: number }
  | { readonly kind: "avgpool" | "cost" }
  | {
    readonly kind: "shortcut";
    /** The other layer's number. */
    readonly from: number;
    /** Factors of the layer before and of the other. */
    readonly alpha: number;
    readonly beta: number;
    readonly activation: Activation;
  }
  | { readonly kind: "route"; readonly from: readonly number[] }
  | { readonly kind: "upsample"; readonly stride: number; readonly scale: number }
  | { readonly kind: "reorg"; readonly stride: number; readonly reverse: boolean }
  | { readonly kind: "dropout"; readonly probability: number }
  | { readonly kind: "softmax"; readonly temperature: number }
  | DetectionOptions;

/** A detecting layer. Anchors are pixels of the input in [yolo], cells in [region]. */
export interface DetectionOptions {
  readonly kind: "yolo" | "region";
  readonly classes: number;
  readonly anchors: readonly Anchor[];
  /** Scores of classes are a softmax, else sigmoids. */
  readonly softmax: boolean;
}

/** A layer in its place. */
export type DarknetLayer = LayerOptions & {
  /** Counted from 0, [net] left out, as `route` and `shortcut` count. */
  readonly index: number;
  /** `FILE:LINE: [kind]`, for messages. */
  readonly place: string;
  readonly input: MapSize;
  readonly output: MapSize;
};

/** A network as its `.cfg` describes it. */
export interface DarknetNetwork {
  readonly name: string;
  readonly input: MapSize;
  readonly layers: readonly DarknetLayer[];
}

/** Settings of `planNetwork`. */
export interface PlanOptions {
  /** Side of the input in pixels, in place of the file's width and height. */
  readonly size?: number | undefined;
  /**
   * Classes in place of the file's, for networks that end in detecting layers or in a softmax: the last convolution before each
   * gets as many filters as they need.
   */
  readonly classes?: number | undefined;
}

const LARGEST_SIDE = 16_384;
const MOST_CHANNELS = 1 << 20;
/** More elements of one map than this are no network but an attack, or a slip. */
const LARGEST_MAP = 2 ** 31;

/** Works out every layer. Throws ModelError, with the line, for what is unknown, cannot be or would be too large. */
export function planNetwork(cfg: Cfg, { size, classes }: PlanOptions = {}): DarknetNetwork {
  const [net, ...sections] = cfg.sections;
  const reader = new CfgReader(cfg.name, net!);
  const channels = reader.int("channels", 1, MOST_CHANNELS);
  const height = reader.int("height", 1, LARGEST_SIDE), width = reader.int("width", 1, LARGEST_SIDE);
  const input: MapSize = size === undefined ? [channels, height, width] : [channels, size, size];
  if (sections.length === 0) throw new ModelError(`${cfg.name}: expected layers after [net], found none`);
  const layers: DarknetLayer[] = [];
  for (const [index, section] of sections.entries()) {
    const before = layers.at(-1)?.output ?? input;
    const filters = classes === undefined ? undefined : filtersFor(cfg, sections, index, classes);
    const options = new LayerReader(cfg, section, index, before, layers, { classes, filters });
    layers.push(options.layer());
  }
  return { name: cfg.name, input, layers };
}

/** How many filters a last convolution needs for another number of classes; undefined for a convolution that is not the last. */
function filtersFor(
  cfg: Cfg,
  sections: readonly CfgSection[],
  index: number,
  classes: number,
): number | undefined {
  if (sections[index]!.kind !== "convolutional" && sections[index]!.kind !== "conv") return undefined;
  for (const section of sections.slice(index + 1)) {
    const reader = new CfgReader(cfg.name, section);
    if (section.kind === "yolo") {
      return (reader.numbers("mask")?.length ?? reader.int("num", 1, 1000, 1)) * (5 + classes);
    }
    if (section.kind === "region") return reader.int("num", 1, 1000, 1) * (5 + classes);
    if (section.kind === "softmax") return classes;
    if (section.kind !== "avgpool" && section.kind !== "dropout") return undefined;
  }
  return undefined;
}

/** Reads one layer. */
class LayerReader {
  readonly #options: CfgReader;

  constructor(
    readonly cfg: Cfg,
    readonly section: CfgSection,
    readonly index: number,
    readonly input: MapSize,
    readonly before: readonly DarknetLayer[],
    readonly change: { classes: number | undefined; filters: number | undefined },
  ) {
    this.#options = new CfgReader(cfg.name, section);
  }

  layer(): DarknetLayer {
    const options = this.#read();
    this.#options.finish();
    const output = this.#output(options);
    const elements = output[0] * output[1] * output[2];
    if (output.some((size) => size < 1) || elements > LARGEST_MAP) {
      throw this.#fail(
        `expected a map of 1 … ${LARGEST_MAP} elements, found ${output.join(" x ")} from ${this.input.join(" x ")}`,
      );
    }
    const place = `${this.cfg.name}:${this.section.line}: [${this.section.kind}]`;
    return { ...options, index: this.index, place, input: this.input, output };
  }

  #read(): LayerOptions {
    const options = this.#options;
    const activation = (fallback: Activation) => options.word("activation", ACTIVATIONS, fallback);
    switch (this.section.kind) {
      case "conv":
      case "convolutional":
        return this.#convolutional(activation("logistic"));
      case "conn":
      case "connected":
        options.neutral({ batch_normalize: 0 });
        return {
          kind: "connected",
          outputs: options.int("output", 1, MOST_CHANNELS, 1),
          activation: activation("logistic"),
        };
      case "max":
      case "maxpool": {
        const stride = options.int("stride", 1, 1024, 1), size = options.int("size", 1, 1024, stride);
        options.neutral({ maxpool_depth: 0, antialiasing: 0 });
        return { kind: "maxpool", stride, size, padding: options.int("padding", 0, 2 * size - 1, size - 1) };
      }
      case "avg":
      case "avgpool":
        return { kind: "avgpool" };
      case "shortcut":
        return {
          kind: "shortcut",
          from: this.#earlier("from", options.int("from", -100_000, 100_000)),
          alpha: options.float("alpha", 1),
          beta: options.float("beta", 1),
          activation: activation("linear"),
        };
      case "route": {
        const layers = options.numbers("layers");
        if (!layers) throw this.#fail("expected layers, found none");
        options.neutral({ groups: 1, group_id: 0 });
        return { kind: "route", from: layers.map((layer) => this.#earlier("layers", layer)) };
      }
      case "upsample":
        return { kind: "upsample", stride: options.int("stride", 1, 64, 2), scale: options.float("scale", 1) };
      case "reorg":
        options.neutral({ flatten: 0, extra: 0 });
        return { kind: "reorg", stride: options.int("stride", 1, 64, 1), reverse: options.flag("reverse") };
      case "dropout": {
        const probability = options.float("probability", 0.5);
        if (probability >= 0 && probability < 1) return { kind: "dropout", probability };
        throw options.fail(`expected probability in 0 … 1, found ${probability}`, "probability");
      }
      case "soft":
      case "softmax":
        options.neutral({ groups: 1, spatial: 0 });
        options.ignore(["noloss"]);
        return { kind: "softmax", temperature: options.float("temperature", 1) };
      case "cost":
        options.ignore(["type", "scale", "ratio", "noobj", "thresh"]);
        return { kind: "cost" };
      case "yolo":
      case "region":
        return this.#detection(this.section.kind);
      default:
        throw this.#fail(`expected a layer that is supported, found [${this.section.kind}]`);
    }
  }

  #convolutional(activation: Activation): LayerOptions {
    const options = this.#options;
    const written = options.int("filters", 1, MOST_CHANNELS, 1), size = options.int("size", 1, 1024, 1);
    const pad = options.flag("pad"), padding = options.int("padding", 0, 1024, 0);
    const groups = options.int("groups", 1, MOST_CHANNELS, 1);
    options.ignore(["learning_rate", "stopbackward", "onlyforward", "truth", "smooth", "clip"]);
    options.neutral({ binary: 0, xnor: 0, flipped: 0, dot: 0, dilation: 1, antialiasing: 0 });
    options.neutral({ dontload: 0, dontsave: 0, dontloadscales: 0, numload: 0 });
    const filters = this.change.filters ?? written;
    if (this.input[0] % groups !== 0 || filters % groups !== 0) {
      throw options.fail(
        `expected groups that divide ${this.input[0]} and ${filters} channels, found ${groups}`,
        "groups",
      );
    }
    return {
      kind: "convolutional",
      filters,
      size,
      stride: options.int("stride", 1, 1024, 1),
      padding: pad ? Math.floor(size / 2) : padding,
      groups,
      batchNormalize: options.flag("batch_normalize"),
      activation,
    };
  }

  #detection(kind: "yolo" | "region"): DetectionOptions {
    const options = this.#options;
    const written = options.int("classes", 1, MOST_CHANNELS, 20), total = options.int("num", 1, 1000, 1);
    const classes = this.change.classes ?? written;
    const flat = options.numbers("anchors") ?? new Array<number>(2 * total).fill(0.5);
    if (flat.length !== 2 * total || flat.some((length) => !(length > 0))) {
      throw options.fail(`expected ${total} pairs of anchors above 0, found ${flat.length} numbers`, "anchors");
    }
    const all = Array.from({ length: total }, (_, i): Anchor => [flat[2 * i]!, flat[2 * i + 1]!]);
    const mask = kind === "yolo" ? options.numbers("mask") ?? all.map((_, i) => i) : all.map((_, i) => i);
    const anchors = mask.map((number) => {
      const anchor = all[number];
      if (anchor) return anchor;
      throw options.fail(`expected a mask of anchors 0 … ${total - 1}, found ${number}`, "mask");
    });
    options.ignore([
      "jitter",
      "ignore_thresh",
      "truth_thresh",
      "random",
      "max",
      "map",
      "rescore",
      "absolute",
      "thresh",
    ]);
    options.ignore([
      "object_scale",
      "noobject_scale",
      "class_scale",
      "coord_scale",
      "mask_scale",
      "bias_match",
      "onlyforward",
    ]);
    options.ignore([
      "iou_loss",
      "iou_thresh",
      "iou_normalizer",
      "cls_normalizer",
      "obj_normalizer",
      "max_delta",
      "resize",
    ]);
    options.ignore(["nms_kind", "beta_nms", "label_smooth_eps", "counters_per_class", "focal_loss", "classfix"]);
    options.neutral({ scale_x_y: 1, background: 0, new_coords: 0, coords: 4 });
    const channels = anchors.length * (5 + classes);
    if (this.input[0] !== channels) {
      throw options.fail(
        `expected ${channels} channels for ${anchors.length} anchors and ${classes} classes, found ${this.input[0]}`,
        "classes",
      );
    }
    return { kind, classes, anchors, softmax: kind === "region" && options.flag("softmax") };
  }

  #output(options: LayerOptions): MapSize {
    const [channels, height, width] = this.input;
    const window = (size: number, stride: number, padding: number) =>
      [height, width].map((side) => Math.floor((side + padding - size) / stride) + 1) as [number, number];
    switch (options.kind) {
      case "convolutional":
        return [options.filters, ...window(options.size, options.stride, 2 * options.padding)];
      case "maxpool":
        return [channels, ...window(options.size, options.stride, options.padding)];
      case "connected":
        return [options.outputs, 1, 1];
      case "avgpool":
        return [channels, 1, 1];
      case "upsample":
        return [channels, height * options.stride, width * options.stride];
      case "reorg":
        return this.#reorganised(options.stride, options.reverse);
      case "route": {
        const maps = options.from.map((from) => this.before[from]!.output);
        const [, rows, columns] = maps[0]!;
        for (const [i, map] of maps.entries()) {
          if (map[1] === rows && map[2] === columns) continue;
          throw this.#fail(
            `expected layers of one size, found ${rows} x ${columns} from layer ${options.from[0]} and ${map[1]} x ${
              map[2]
            } from layer ${options.from[i]}`,
          );
        }
        return [maps.reduce((sum, map) => sum + map[0], 0), rows, columns];
      }
      case "shortcut": {
        const other = this.before[options.from]!.output;
        if (String(other) === String(this.input)) return this.input;
        throw this.#fail(
          `expected layer ${options.from} to have the size ${this.input.join(" x ")}, found ${other.join(" x ")}`,
        );
      }
      default:
        return this.input;
    }
  }

  #reorganised(stride: number, reverse: boolean): MapSize {
    const [channels, height, width] = this.input, block = stride * stride;
    // Darknet reads the map as if it had channels / stride² channels, in both directions.
    if (channels % block !== 0 || (!reverse && (height % stride !== 0 || width % stride !== 0))) {
      throw this.#fail(
        `expected channels that ${block} divides and sides that ${stride} divides, found ${this.input.join(" x ")}`,
      );
    }
    return reverse
      ? [channels / block, height * stride, width * stride]
      : [channels * block, height / stride, width / stride];
  }

  /** The number of an earlier layer; negative ones count back from here. */
  #earlier(key: string, number: number): number {
    const layer = number < 0 ? this.index + number : number;
    if (Number.isInteger(layer) && layer >= 0 && layer < this.index) return layer;
    throw this.#options.fail(
      `expected ${key} to name a layer before this one, layer ${this.index}, found ${number}`,
      key,
    );
  }

  #fail(message: string): ModelError {
    return this.#options.fail(message);
  }
}
