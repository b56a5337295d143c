/** Convolution and transposed convolution over any number of spatial dimensions. */

import { type Dim, formatShape, mayEqual, mulDims, type Shape } from "../dims.ts";
import type { Node } from "../node.ts";
import { defineOperator } from "../registry.ts";
import type { Value } from "../value.ts";
import { apply, FLOATS, type Named } from "./operand.ts";
import {
  type PerDimension,
  perDimension,
  readWindow,
  transposedOutput,
  type Window,
  WINDOW_ATTRIBUTES,
  windowAttributes,
  type WindowOptions,
  windowOutput,
} from "./window.ts";

/** Settings of `conv` and `convTranspose`. */
export interface ConvOptions extends Named, WindowOptions {
  /** [M]: added to each output channel. */
  readonly bias?: Value | undefined;
  /** Channel groups; default 1. As many as channels: depthwise. */
  readonly group?: number | undefined;
}

defineOperator("Conv", {
  inputs: ["x", "w", "bias?"],
  attributes: { ...WINDOW_ATTRIBUTES, group: ["int", 1] },
  since: 1,
  infer(node) {
    const dtype = (node.dtypeOf(0, FLOATS), node.sameDType(0, 1, 2));
    const { x, w, group } = checkOperands(node);
    if (!mayEqual(x[1]!, mulDims(w[1]!, group))) {
      throw node.fail(
        `expected ${node.describe(0)} to have as many channels as ${node.describe(1)} × group ${group}, found ${x[1]}`,
      );
    }
    if (typeof w[0] === "number" && w[0] % group !== 0) {
      throw node.fail(`expected ${node.describe(1)} to have a multiple of group ${group} output channels`);
    }
    checkBias(node, w[0]!);
    return [{ dtype, shape: [x[0]!, w[0]!, ...windowOutput(node, convWindow(node))] }];
  },
});

defineOperator("ConvTranspose", {
  inputs: ["x", "w", "bias?"],
  attributes: { ...WINDOW_ATTRIBUTES, group: ["int", 1], output_padding: "ints", output_shape: "ints" },
  since: 1,
  infer(node) {
    const dtype = (node.dtypeOf(0, FLOATS), node.sameDType(0, 1, 2));
    const { x, w, group } = checkOperands(node);
    if (!mayEqual(x[1]!, w[0]!)) {
      throw node.fail(`expected ${node.describe(0)} to have as many channels as ${node.describe(1)}, found ${x[1]}`);
    }
    const channels = mulDims(w[1]!, group);
    checkBias(node, channels);
    return [{ dtype, shape: [x[0]!, channels, ...transposedSizes(node)] }];
  },
});

/** The window of a Conv or ConvTranspose with all defaults filled in. */
export function convWindow(node: Node): Window {
  const kernel = node.input(1).shape.slice(2);
  const written = node.ints("kernel_shape", []);
  const sizes = kernel.map((dim, i) => typeof dim === "number" ? dim : written[i] ?? 1);
  if (written.length > 0 && String(written) !== String(sizes)) {
    throw node.fail(`expected kernel_shape to be that of ${node.describe(1)}, found ${formatShape(written)}`);
  }
  return readWindow(node, sizes);
}

/** The pads that a ConvTranspose works with: all beginnings, then all ends. */
export function transposedPads(node: Node): readonly number[] {
  const window = convWindow(node);
  const spatial = node.input(0).shape.slice(2);
  const n = spatial.length;
  const extra = node.ints("output_padding", new Array<number>(n).fill(0));
  const wanted = node.ints("output_shape", []);
  if (wanted.length === 0 && !window.autoPad.startsWith("SAME")) return window.pads!;
  const zero = { ...window, pads: new Array<number>(2 * n).fill(0) };
  const natural = transposedOutput(spatial, zero, extra);
  const totals = natural.map((size, i) => {
    const target = wanted[i] ?? mulDims(spatial[i]!, window.strides[i]!);
    return typeof size === "number" && typeof target === "number" ? Math.max(0, size - target) : 0;
  });
  const small = totals.map((total) => Math.floor(total / 2)), large = totals.map((total) => Math.ceil(total / 2));
  return window.autoPad === "SAME_UPPER" ? [...small, ...large] : [...large, ...small];
}

function transposedSizes(node: Node): Shape {
  const window = convWindow(node);
  const spatial = node.input(0).shape.slice(2);
  const n = spatial.length;
  const extra = node.ints("output_padding", new Array<number>(n).fill(0));
  const wanted = node.ints("output_shape", []);
  for (const [name, found] of [["output_padding", extra], ["output_shape", wanted]] as const) {
    if (found.length !== n && !(name === "output_shape" && found.length === 0)) {
      throw node.fail(`expected ${name} with ${n} entries, found ${formatShape(found)}`);
    }
  }
  if (wanted.length > 0) return wanted;
  if (window.autoPad.startsWith("SAME")) return spatial.map((size, i) => mulDims(size, window.strides[i]!));
  return transposedOutput(spatial, window, extra);
}

function checkOperands(node: Node): { x: Shape; w: Shape; group: number } {
  const x = node.input(0).shape, w = node.input(1).shape;
  if (x.length < 3) throw node.fail(`expected ${node.describe(0)} to be [N, C, spatial…]`);
  if (w.length !== x.length) {
    throw node.fail(`expected ${node.describe(1)} to have as many dimensions as ${node.describe(0)}`);
  }
  const group = node.int("group");
  if (group < 1) throw node.fail(`expected group from 1, found ${group}`);
  return { x, w, group };
}

function checkBias(node: Node, channels: Dim): void {
  const bias = node.inputs[2];
  if (bias && (bias.rank !== 1 || !mayEqual(bias.shape[0]!, channels))) {
    throw node.fail(`expected ${node.describe(2)} to be [${channels}]`);
  }
}

/**
 * Convolution (cross-correlation): x [N, C, spatial…], w [M, C / group, kernel…] → [N, M, spatial…].
 * Throws OnnxError where the shapes do not go together.
 */
export function conv(x: Value, w: Value, options: ConvOptions = {}): Value {
  const attributes = windowAttributes("Conv", Math.max(0, w.rank - 2), options);
  return apply("Conv", [x, w, options.bias], { ...attributes, group: options.group }, options);
}

/**
 * Transposed convolution: x [N, C, spatial…], w [C, M / group, kernel…] → [N, M, spatial…], each output size
 * stride · (size − 1) + outputPadding + dilation · (kernel − 1) + 1 − pads.
 */
export function convTranspose(
  x: Value,
  w: Value,
  options: ConvOptions & { outputPadding?: PerDimension | undefined } = {},
): Value {
  const n = Math.max(0, w.rank - 2);
  const { outputPadding } = options;
  return apply("ConvTranspose", [x, w, options.bias], {
    ...windowAttributes("ConvTranspose", n, options),
    group: options.group,
    output_padding: outputPadding === undefined ? undefined : perDimension(outputPadding, n, "ConvTranspose: padding"),
  }, options);
}
