/** Nodes of other opsets brought to the form of opset 17, in which a graph is held in memory. */

import { type DType, type Tensor, tensor } from "../runtime/mod.ts";
import type { Attribute, PlainAttribute } from "./attributes.ts";
import { OnnxError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import type { Value } from "./value.ts";

/** A node of a file on its way into the graph. */
export interface IncomingNode {
  opType: string;
  inputs: (Value | undefined)[];
  attributes: Map<string, Attribute>;
  readonly outputCount: number;
  /** Begins the names of what is put before it. */
  readonly name: string;
  /** For messages. */
  readonly place: string;
}

/** The opsets that can be read. */
export const READABLE = { oldest: 7, newest: 24 } as const;

/** Rewrites one node of ONNX's own domain in place, appending others before it where needed. */
export function liftNode(graph: Graph, node: IncomingNode, opset: number): void {
  new Lift(graph, node, opset).run();
}

class Lift {
  readonly #graph: Graph;
  readonly #node: IncomingNode;
  readonly #opset: number;
  #count = 0;

  constructor(graph: Graph, node: IncomingNode, opset: number) {
    this.#graph = graph;
    this.#node = node;
    this.#opset = opset;
  }

  run(): void {
    const { opType } = this.#node;
    if (this.#opset < 13) {
      if (opType === "Squeeze" || opType === "Unsqueeze" || opType === "ReduceSum") return this.#toInputs(1, ["axes"]);
      if (opType === "Split") return this.#toInputs(1, ["split"]);
      if (opType === "Softmax" || opType === "LogSoftmax" || opType === "Hardmax") return this.#flatSoftmax();
    }
    if (this.#opset < 14 && opType === "BatchNormalization") return this.#oldBatchNormalization();
    if (this.#opset < 12 && opType === "Dropout") {
      const ratio = this.#take("ratio", "float") ?? 0.5;
      const dtype = this.#node.inputs[0]?.type?.dtype ?? "float32";
      this.#node.inputs = [this.#node.inputs[0], this.#constant(tensor(dtype, [], [ratio]))];
      return;
    }
    if (this.#opset < 11) {
      if (opType === "Clip") return this.#oldClip();
      if (opType === "Pad") return this.#oldPad();
      if (opType === "Scatter") this.#node.opType = "ScatterElements";
      if (opType === "Resize") return this.#oldResize();
    }
    if (this.#opset < 10) {
      if (opType === "Slice") return this.#toInputs(1, ["starts", "ends", "axes"]);
      if (opType === "TopK") return this.#toInputs(1, ["k"]);
      if (opType === "Upsample") return this.#oldResize();
    }
    if (this.#opset >= 18) this.#newer(opType);
  }

  #newer(opType: string): void {
    if (opType.startsWith("Reduce") && opType !== "ReduceSum") return this.#axesToAttribute();
    if (opType === "Split") return this.#dividedSplit();
    if (opType === "Resize") return this.#newResize();
    if (opType === "GroupNormalization" && this.#opset < 21) {
      throw this.#fail("expected weights for each channel (opset 21), found opset 18's for each group");
    }
    if (opType === "GridSample" && this.#opset >= 20) {
      const mode = this.#take("mode", "string") ?? "linear";
      this.#set("mode", { kind: "string", value: { linear: "bilinear", cubic: "bicubic" }[mode] ?? mode });
    }
    if (opType === "QuantizeLinear" || opType === "DequantizeLinear") {
      this.#take("saturate", "int");
      for (const name of ["block_size", "output_dtype", "precision"]) {
        const found = this.#take(name, "int") ?? 0;
        if (found !== 0) throw this.#fail(`expected no ${name}, found ${found}`);
      }
    }
  }

  /** Attributes that became inputs, in order from input `first`. */
  #toInputs(first: number, names: readonly string[]): void {
    names.forEach((name, i) => {
      const attribute = this.#node.attributes.get(name);
      if (!attribute || (attribute.kind !== "ints" && attribute.kind !== "int")) return;
      this.#node.attributes.delete(name);
      const list = attribute.kind === "ints" ? attribute.value : [attribute.value];
      while (this.#node.inputs.length < first + i) this.#node.inputs.push(undefined);
      this.#node.inputs[first + i] = this.#constant(tensor("int64", [list.length], list));
    });
  }

  /** Before opset 13 softmax worked on two dimensions, split at the axis (default 1). */
  #flatSoftmax(): void {
    const x = this.#node.inputs[0];
    const axis = this.#take("axis", "int") ?? 1;
    if (!x?.type) throw this.#fail("expected an input of known shape");
    const at = axis < 0 ? axis + x.rank : axis;
    this.#set("axis", { kind: "int", value: -1 });
    if (at === x.rank - 1) return;
    const flat = this.#before("Flatten", [x], { axis: at });
    const result = this.#before(this.#node.opType, [flat], { axis: -1 });
    this.#node.opType = "Reshape";
    this.#node.attributes.clear();
    this.#node.inputs = [result, this.#before("Shape", [x])];
  }

  #oldBatchNormalization(): void {
    const spatial = this.#take("spatial", "int") ?? 1;
    if (spatial !== 1) throw this.#fail("expected statistics for each channel, found spatial 0");
    if (this.#node.outputCount > 1) {
      throw this.#fail(`expected the 1 output of inference before opset 14, found ${this.#node.outputCount}`);
    }
  }

  #oldClip(): void {
    const [x] = this.#node.inputs;
    const dtype: DType = x?.type?.dtype ?? "float32";
    const bound = (name: string) => {
      const value = this.#take(name, "float");
      return value === undefined ? undefined : this.#constant(tensor(dtype, [], [value]));
    };
    this.#node.inputs = [x, bound("min"), bound("max")];
    this.#trim();
  }

  #oldPad(): void {
    const value = this.#take("value", "float") ?? 0;
    const [x] = this.#node.inputs;
    this.#toInputs(1, ["pads"]);
    this.#node.inputs[2] = this.#constant(tensor(x?.type?.dtype ?? "float32", [], [value]));
  }

  /** Upsample, and Resize of opset 10: coordinates are asymmetric, "nearest" takes the floor. */
  #oldResize(): void {
    const [x, given] = this.#node.inputs;
    const attribute = this.#node.attributes.get("scales");
    this.#node.attributes.delete("scales");
    const scales = attribute?.kind === "floats"
      ? this.#constant(tensor("float32", [attribute.value.length], attribute.value))
      : given;
    if (!scales) throw this.#fail("expected scales, found none");
    this.#node.opType = "Resize";
    this.#node.inputs = [x, undefined, scales];
    const mode = this.#take("mode", "string") ?? "nearest";
    this.#set("mode", { kind: "string", value: mode === "nearest" ? "nearest" : "linear" });
    this.#set("coordinate_transformation_mode", { kind: "string", value: "asymmetric" });
    this.#set("nearest_mode", { kind: "string", value: "floor" });
  }

  #axesToAttribute(): void {
    const [x, axes] = this.#node.inputs;
    const noop = this.#take("noop_with_empty_axes", "int") ?? 0;
    const list = axes?.elements;
    if (axes && !list?.every((axis) => typeof axis === "number")) {
      throw this.#fail(`expected axes that are known, found ${axes}`);
    }
    this.#node.inputs = [x];
    if (list && list.length > 0) this.#set("axes", { kind: "ints", value: list as readonly number[] });
    else if (noop === 1) {
      this.#node.opType = "Identity";
      this.#node.attributes.clear();
    }
  }

  /** `num_outputs` of opset 18 allows a smaller last part. */
  #dividedSplit(): void {
    const count = this.#take("num_outputs", "int");
    const [x, sizes] = this.#node.inputs;
    if (count === undefined || sizes || !x?.type) return;
    const attribute = this.#node.attributes.get("axis");
    const axis = attribute?.kind === "int" ? attribute.value : 0;
    const size = x.shape.at(axis);
    if (typeof size !== "number" || size % count === 0) return;
    const part = Math.ceil(size / count);
    const parts = Array.from({ length: count }, (_, i) => Math.max(0, Math.min(part, size - i * part)));
    this.#node.inputs = [x, this.#constant(tensor("int64", [count], parts))];
  }

  #newResize(): void {
    const antialias = this.#take("antialias", "int") ?? 0;
    const policy = this.#take("keep_aspect_ratio_policy", "string") ?? "stretch";
    if (antialias !== 0 || policy !== "stretch") {
      throw this.#fail(`expected no antialias and policy stretch, found antialias ${antialias}, policy ${policy}`);
    }
    const axes = this.#node.attributes.get("axes");
    if (!axes) return;
    this.#node.attributes.delete("axes");
    const [x, roi, scales, sizes] = this.#node.inputs;
    const given = (sizes ?? scales)?.elements;
    if (!x?.type || axes.kind !== "ints" || !given?.every((entry) => typeof entry === "number")) {
      throw this.#fail("expected axes with known sizes or scales");
    }
    const full = x.shape.map((size) => sizes ? size : 1);
    axes.value.forEach((axis, i) => full[axis < 0 ? axis + full.length : axis] = given[i]!);
    if (!full.every((entry) => typeof entry === "number")) throw this.#fail("expected static sizes along other axes");
    const list = this.#constant(tensor(sizes ? "int64" : "float32", [full.length], full));
    this.#node.inputs = sizes ? [x, roi, undefined, list] : [x, roi, list];
  }

  /** Removes an attribute and returns its value. */
  #take(name: string, kind: "int" | "float"): number | undefined;
  #take(name: string, kind: "string"): string | undefined;
  #take(name: string, kind: "int" | "float" | "string"): number | string | undefined {
    const attribute = this.#node.attributes.get(name);
    if (!attribute) return undefined;
    if (attribute.kind !== kind) throw this.#fail(`expected ${name} to be ${kind}, found ${attribute.kind}`);
    this.#node.attributes.delete(name);
    return attribute.value as number | string;
  }

  #set(name: string, attribute: Attribute): void {
    this.#node.attributes.set(name, attribute);
  }

  #constant(content: Tensor): Value {
    return this.#graph.constant(content, { name: `${this.#node.name}~${this.#count++}` });
  }

  #before(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, PlainAttribute>> = {},
  ): Value {
    return this.#graph.node(opType, inputs, attributes, { name: `${this.#node.name}~${this.#count++}` })[0]!;
  }

  #trim(): void {
    while (this.#node.inputs.length > 0 && this.#node.inputs.at(-1) === undefined) this.#node.inputs.pop();
  }

  #fail(message: string): OnnxError {
    return new OnnxError(`${this.#node.place}: ${message}`);
  }
}
