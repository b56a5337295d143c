/** A graph read as the sections of a `.cfg`, node by node. */

import type { Graph, Node, Value } from "../../onnx/mod.ts";
import { ModelError } from "../errors.ts";
import { type Activation, LEAKY_SLOPE } from "../layers.ts";
import type { ExportedHeads } from "./export.ts";
import { type GraphLayer, graphLayer } from "./graph_layers.ts";

type Section = { kind: string; options: Record<string, string | number> };
type Head = ExportedHeads["heads"][number];

/** The activated head's nodes lie between the network and an output: they are Darknet's own, and are not written. */
const HEAD_OPERATORS = ["Reshape", "Split", "Sigmoid", "Softmax", "Concat", "Identity"];

/** Reads a graph. Each layer of a `.cfg` goes on from the one before it; where the graph does not, a [route] leads back. */
export class GraphSections {
  readonly #graph: Graph;
  readonly #readers: ReadonlyMap<Value, readonly Node[]>;
  readonly #spec: ExportedHeads | undefined;
  readonly #sections: Section[] = [];
  readonly #layers: GraphLayer[] = [];
  /** The layer that a value is the output of; −1 for the input. */
  readonly #places = new Map<Value, number>();
  /** What each detecting layer reads. */
  readonly #heads = new Map<Value, Head>();
  readonly #done = new Set<Node>();

  constructor(graph: Graph, spec: ExportedHeads | undefined) {
    this.#graph = graph;
    this.#spec = spec;
    this.#readers = graph.consumers();
  }

  /** Throws ModelError for a node that Darknet has no layer for. */
  read(): { sections: Section[]; layers: GraphLayer[] } {
    const [input, ...more] = this.#graph.inputs;
    const [, channels, height, width] = input?.type?.shape ?? [];
    if (!input || more.length > 0 || ![channels, height, width].every((size) => typeof size === "number")) {
      throw new ModelError(
        `graph "${this.#graph.name}": expected one input [N, channels, height, width], found ${
          this.#graph.inputs.map(String).join(", ") || "none"
        }`,
      );
    }
    this.#places.set(input, -1);
    for (const head of this.#spec?.heads ?? []) this.#findHead(head);
    const net = { batch: 1, subdivisions: 1, width, height, channels } as Record<string, number>;
    for (const node of this.#graph.nodes) if (!this.#done.has(node)) this.#node(node);
    const last = this.#graph.outputs.filter((value) => !this.#spec?.heads.some(({ output }) => output === value.name));
    if (last.length > 1 || (last[0] && this.#places.get(last[0]) !== this.#last)) {
      throw new ModelError(
        `graph "${this.#graph.name}": expected outputs that are detecting layers of the specification, or the last layer, found ${
          last.map(({ name }) => `"${name}"`).join(", ")
        }`,
      );
    }
    return { sections: [{ kind: "net", options: net }, ...this.#sections], layers: this.#layers };
  }

  get #last(): number {
    return this.#sections.length - 1;
  }

  #findHead(head: Head): void {
    const output = this.#graph.value(head.output);
    let edge = new Set([output]);
    const inner = new Set<Node>();
    while ([...edge].some(({ producer }) => producer && HEAD_OPERATORS.includes(producer.opType))) {
      const next = new Set<Value>();
      for (const value of edge) {
        const { producer } = value;
        if (!producer || !HEAD_OPERATORS.includes(producer.opType)) next.add(value);
        else {
          inner.add(producer);
          for (const read of producer.opType === "Concat" ? producer.inputs : producer.inputs.slice(0, 1)) {
            next.add(read!);
          }
        }
      }
      edge = next;
    }
    const [raw, ...others] = edge;
    if (!raw || others.length > 0) {
      throw new ModelError(`output "${head.output}": expected one map behind the detecting layer, found ${edge.size}`);
    }
    for (const node of inner) this.#done.add(node);
    this.#heads.set(raw, head);
  }

  #node(node: Node): void {
    const x = node.input(0);
    switch (node.domain === "" ? node.opType : node.domain) {
      case "Conv":
        return this.#convolution(node, x);
      case "Gemm":
        return this.#connected(node, x);
      case "Add":
        return this.#shortcut(node);
      case "MaxPool":
        return this.#maxPool(node, x);
      case "GlobalAveragePool":
        return this.#append("avgpool", {}, [x], node);
      case "Resize":
        return this.#upsample(node, x);
      case "Concat":
        return this.#concat(node);
      case "Softmax":
        return this.#append("softmax", { groups: 1 }, [x], node);
      case "Dropout":
        return this.#append("dropout", { probability: Number(node.inputs[1]?.tensor?.data[0] ?? 0.5) }, [x], node);
      case "SpaceToDepth":
      case "DepthToSpace":
        return this.#reorganise(node, x);
      case "Identity":
      case "Flatten":
      case "Reshape":
      case "Squeeze":
        return this.#alias(node, x);
      default:
        throw new ModelError(`${node}: expected an operator that Darknet has a layer for, found ${node.opType}`);
    }
  }

  /** Another view of the same numbers: no layer. */
  #alias(node: Node, x: Value): void {
    const readers = this.#readers.get(node.output()) ?? [];
    if (node.opType === "Reshape" && readers.length === 1 && readers[0]!.opType === "SpaceToDepth") return;
    const sizes = (value: Value) => value.shape.slice(1).filter((size) => size !== 1).join();
    if (node.output().rank > 2 && sizes(x) !== sizes(node.output())) {
      throw new ModelError(`${node}: expected a layer of Darknet, found ${x} brought to ${node.output()}`);
    }
    const place = this.#places.get(x);
    if (place !== undefined) this.#places.set(node.output(), place);
  }

  #convolution(node: Node, x: Value): void {
    const layer = graphLayer(node, this.#readers);
    const [filters, , rows, columns] = layer.weight.staticShape;
    const strides = node.ints("strides", [1, 1]), pads = node.ints("pads", [0, 0, 0, 0]);
    const square = rows === columns && strides[0] === strides[1] && pads.every((pad) => pad === pads[0]) &&
      node.ints("dilations", [1, 1]).every((each) => each === 1) && node.string("auto_pad") === "NOTSET";
    if (!square || strides.length !== 2) {
      throw new ModelError(
        `${node}: expected a square kernel with equal strides and pads and no dilation, found ${rows} x ${columns}, strides ${strides}, pads ${pads}`,
      );
    }
    const padding = pads[0]!;
    const groups = node.int("group");
    this.#layers.push(layer);
    this.#weighted(
      "convolutional",
      {
        ...(layer.norm ? { batch_normalize: 1 } : {}),
        filters: filters!,
        size: rows!,
        stride: strides[0]!,
        ...(padding === Math.floor(rows! / 2) ? { pad: 1 } : { padding }),
        ...(groups === 1 ? {} : { groups }),
      },
      x,
      layer,
    );
  }

  #connected(node: Node, x: Value): void {
    const layer = graphLayer(node, this.#readers);
    this.#layers.push(layer);
    this.#weighted("connected", { output: layer.outputs }, x, layer);
  }

  #weighted(kind: string, options: Section["options"], x: Value, { node, norm }: GraphLayer): void {
    if (norm) this.#done.add(norm.node);
    this.#activated(kind, options, [x], norm ? norm.node : node);
  }

  #shortcut(node: Node): void {
    const [a, b] = [node.input(0), node.input(1)];
    if (a.kind !== "node" || b.kind !== "node" || String(a.shape) !== String(b.shape)) {
      throw new ModelError(`${node}: expected a sum of two maps of one size, found ${a} and ${b}`);
    }
    const [x, other] = this.#places.get(b) === this.#last ? [b, a] : [a, b];
    if (this.#place(x, node) !== this.#last) this.#append("route", { layers: this.#place(x, node) }, []);
    this.#activated("shortcut", { from: this.#place(other, node) - this.#sections.length }, [], node);
  }

  #maxPool(node: Node, x: Value): void {
    const [size = 0, ...sizes] = node.ints("kernel_shape"), [stride = 1, ...strides] = node.ints("strides", [1, 1]);
    const pads = node.ints("pads", [0, 0, 0, 0]);
    const before = pads[0]!;
    const plain = sizes.length === 1 && sizes[0] === size && strides.every((each) => each === stride) &&
      before === pads[1] && node.int("ceil_mode") === 0 && node.string("auto_pad") === "NOTSET" &&
      node.ints("dilations", [1, 1]).every((each) => each === 1) && !node.outputs[1];
    // Darknet's padding of both sides together, the smaller half before; its default is size − 1.
    const padding = plain
      ? [size - 1, 2 * before, 2 * before + 1].find((total) =>
        Math.floor(total / 2) === before &&
        [2, 3].every((axis) =>
          Math.floor((Number(x.shape[axis]) + total - size) / stride) + 1 === Number(node.output().shape[axis])
        )
      )
      : undefined;
    if (padding === undefined) {
      throw new ModelError(
        `${node}: expected a square window with Darknet's padding, found ${sizes} with pads ${pads}`,
      );
    }
    this.#append("maxpool", { size, stride, ...(padding === size - 1 ? {} : { padding }) }, [x], node);
  }

  #upsample(node: Node, x: Value): void {
    const scales = node.inputs[2]?.tensor && Array.from(node.inputs[2].tensor.data as Float32Array);
    const [n, c, rows, columns] = scales ?? [];
    const mode = `${node.string("coordinate_transformation_mode")} ${node.string("nearest_mode")}`;
    const repeats = mode === "asymmetric floor" || mode.startsWith("half_pixel round_prefer");
    const whole = n === 1 && c === 1 && rows === columns && Number.isInteger(rows) && rows! >= 1;
    if (node.string("mode") !== "nearest" || !repeats || !whole) {
      throw new ModelError(
        `${node}: expected each element repeated a whole number of times, found scales ${scales}, ${mode}`,
      );
    }
    this.#append("upsample", { stride: rows! }, [x], node);
  }

  #concat(node: Node): void {
    if (node.axis(node.int("axis"), node.input(0).rank) !== 1) {
      throw new ModelError(`${node}: expected channels to be joined (axis 1), found axis ${node.int("axis")}`);
    }
    const layers = node.inputs.map((value) => this.#place(value!, node));
    this.#append("route", { layers: layers.join(",") }, [], node);
  }

  #reorganise(node: Node, x: Value): void {
    const stride = node.int("blocksize");
    if (node.opType === "DepthToSpace") {
      if (node.string("mode") !== "DCR") {
        throw new ModelError(`${node}: expected mode DCR, found ${node.string("mode")}`);
      }
      return this.#append("reorg", { stride, reverse: 1 }, [x], node);
    }
    // Darknet's forward reorg stands between two reshapes.
    const [before, after] = [x.producer, this.#readers.get(node.output())?.[0]];
    const source = before?.opType === "Reshape" ? before.input(0) : undefined;
    const [, c = 0, h = 0, w = 0] = (source?.shape ?? []) as number[];
    const wanted = [c * stride * stride, h / stride, w / stride].join();
    if (!source || after?.opType !== "Reshape" || after.output().shape.slice(1).join() !== wanted) {
      throw new ModelError(`${node}: expected Darknet's reorg, a SpaceToDepth between two Reshapes, found another use`);
    }
    this.#done.add(after);
    this.#append("reorg", { stride }, [source], after);
  }

  /** Appends a layer together with the activation that alone reads it. */
  #activated(kind: string, options: Section["options"], from: readonly Value[], node: Node): void {
    const readers = this.#readers.get(node.output()) ?? [];
    const next = readers.length === 1 && !this.#graph.outputs.includes(node.output()) ? readers[0] : undefined;
    const activation = next && !this.#done.has(next) ? activationOf(next) : undefined;
    if (next && activation) this.#done.add(next);
    this.#append(kind, { ...options, activation: activation ?? "linear" }, from, activation ? next! : node);
  }

  /** Appends a layer whose output is that of `node`, and the detecting layer that reads it. */
  #append(kind: string, options: Section["options"], from: readonly Value[], node?: Node): void {
    for (const x of from) {
      const place = this.#place(x, node);
      if (place !== this.#last) this.#sections.push({ kind: "route", options: { layers: place } });
    }
    this.#sections.push({ kind, options });
    if (!node) return;
    this.#places.set(node.output(), this.#last);
    const head = this.#heads.get(node.output());
    if (head) this.#sections.push(this.#detection(head));
  }

  #detection(head: Head): Section {
    const { classes, heads } = this.#spec!;
    const text = (anchors: Head["anchors"], scale = 1) =>
      anchors.map(([w, h]) => `${w * scale},${h * scale}`).join(",  ");
    if (head.kind === "region") {
      const softmax = Number(head.classProbabilities === "softmax");
      const anchors = text(head.anchors, 1 / head.stride);
      return {
        kind: "region",
        options: { anchors, classes, coords: 4, num: head.anchors.length, softmax, bias_match: 1 },
      };
    }
    // The anchors of all heads stand in each, small ones first.
    const sorted = [...heads].reverse();
    const first = sorted.slice(0, sorted.indexOf(head)).reduce((sum, { anchors }) => sum + anchors.length, 0);
    const all = sorted.flatMap(({ anchors }) => anchors);
    return {
      kind: "yolo",
      options: {
        mask: head.anchors.map((_, i) => first + i).join(","),
        anchors: text(all),
        classes,
        num: all.length,
        jitter: ".3",
        ignore_thresh: ".7",
        truth_thresh: 1,
        random: 1,
      },
    };
  }

  #place(value: Value, node?: Node): number {
    const place = this.#places.get(value);
    if (place === undefined || (place === -1 && this.#last >= 0)) {
      throw new ModelError(
        `${node}: expected a layer's output to go on from, found ${value}${
          place === -1 ? ", the network's input" : ""
        }`,
      );
    }
    return place;
  }
}

function activationOf(node: Node): Activation | undefined {
  switch (node.opType) {
    case "Relu":
      return "relu";
    case "Sigmoid":
      return "logistic";
    case "Mish":
      return "mish";
    case "LeakyRelu":
      if (Math.abs(node.float("alpha") - LEAKY_SLOPE) < 1e-6) return "leaky";
      throw new ModelError(
        `${node}: expected the slope ${LEAKY_SLOPE}, Darknet's only one, found ${node.float("alpha")}`,
      );
    default:
      return undefined;
  }
}
