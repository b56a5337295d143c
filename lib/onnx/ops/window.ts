/** Sliding windows: the attributes and output sizes that convolution and pooling share. */

import { addDims, ceilDivDims, type Dim, divDims, formatShape, mulDims, type Shape, subDims } from "../dims.ts";
import { OnnxError } from "../errors.ts";
import type { Node } from "../node.ts";
import type { ShortAttributes } from "../registry.ts";

/** One number for all spatial dimensions, or one each. */
export type PerDimension = number | readonly number[];

/** Settings of a sliding window. */
export interface WindowOptions {
  /** Step of the window; default 1. */
  readonly strides?: PerDimension | undefined;
  /** Zeros around: one number, one for each dimension, or all beginnings and then all ends. Default 0. */
  readonly pads?: PerDimension | undefined;
  /** Distance between the window's elements; default 1. */
  readonly dilations?: PerDimension | undefined;
}

export const WINDOW_ATTRIBUTES: ShortAttributes = {
  "auto_pad": ["string", "NOTSET"],
  "kernel_shape": "ints",
  "strides": "ints",
  "pads": "ints",
  "dilations": "ints",
};

/** One number for each of `n` dimensions. Throws OnnxError for any other count. */
export function perDimension(value: PerDimension, n: number, place: string): number[] {
  if (typeof value === "number") return new Array<number>(n).fill(value);
  if (value.length === n) return [...value];
  throw new OnnxError(`${place}: expected one number or ${n}, found ${formatShape(value)}`);
}

/** Pads for `n` dimensions as ONNX has them: all beginnings, then all ends. */
export function allPads(value: PerDimension, n: number, place: string): number[] {
  if (typeof value === "object" && value.length === 2 * n && n > 0) return [...value];
  const each = perDimension(value, n, place);
  return [...each, ...each];
}

/** The window's attributes for a node of `n` spatial dimensions. */
export function windowAttributes(
  opType: string,
  n: number,
  { strides, pads, dilations }: WindowOptions,
): { strides?: number[]; pads?: number[]; dilations?: number[] } {
  return {
    ...(strides === undefined ? {} : { strides: perDimension(strides, n, `${opType}: strides`) }),
    ...(pads === undefined ? {} : { pads: allPads(pads, n, `${opType}: pads`) }),
    ...(dilations === undefined ? {} : { dilations: perDimension(dilations, n, `${opType}: dilations`) }),
  };
}

/** A node's window with all defaults filled in; `pads` is undefined while `auto_pad` decides on symbolic sizes. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** All beginnings, then all ends. */
  readonly pads: readonly number[] | undefined;
  readonly autoPad: string;
}

/**
 * Reads a node's window over the spatial dimensions of its input 0, `auto_pad` resolved. Throws OnnxError for a wrong
 * number of entries, strides or dilations below 1, negative pads.
 */
export function readWindow(node: Node, kernel: readonly number[]): Window {
  const spatial = node.input(0).shape.slice(2);
  const n = spatial.length;
  const entries = (name: string, fallback: number, count: number, least: number): readonly number[] => {
    const found = node.ints(name, new Array<number>(count).fill(fallback));
    if (found.length !== count || found.some((entry) => entry < least)) {
      throw node.fail(
        `expected ${name} with ${count} entries from ${least} for ${node.describe(0)}, found ${formatShape(found)}`,
      );
    }
    return found;
  };
  if (kernel.length !== n || kernel.some((entry) => entry < 1)) {
    throw node.fail(`expected a kernel of ${n} entries from 1 for ${node.describe(0)}, found ${formatShape(kernel)}`);
  }
  const strides = entries("strides", 1, n, 1), dilations = entries("dilations", 1, n, 1);
  const autoPad = node.string("auto_pad");
  if (!["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"].includes(autoPad)) {
    throw node.fail(`expected auto_pad to be NOTSET, VALID, SAME_UPPER or SAME_LOWER, found ${autoPad}`);
  }
  let pads: readonly number[] | undefined;
  if (autoPad === "NOTSET") pads = entries("pads", 0, 2 * n, 0);
  else if (autoPad === "VALID") pads = new Array<number>(2 * n).fill(0);
  else if (spatial.every((dim) => typeof dim === "number")) {
    const totals = spatial.map((size, i) => {
      const extent = (kernel[i]! - 1) * dilations[i]! + 1;
      return Math.max(0, (Math.ceil(size / strides[i]!) - 1) * strides[i]! + extent - size);
    });
    const small = totals.map((total) => Math.floor(total / 2)), large = totals.map((total) => Math.ceil(total / 2));
    pads = autoPad === "SAME_UPPER" ? [...small, ...large] : [...large, ...small];
  }
  return { kernel, strides, dilations, pads, autoPad };
}

/** Output sizes of a window over the spatial dimensions; throws OnnxError where the window is larger than the input. */
export function windowOutput(node: Node, window: Window, ceilMode = false): Shape {
  const spatial = node.input(0).shape.slice(2);
  return spatial.map((size, i): Dim => {
    const stride = window.strides[i]!;
    if (!window.pads) return ceilDivDims(size, stride);
    const extent = (window.kernel[i]! - 1) * window.dilations[i]! + 1;
    const begin = window.pads[i]!, end = window.pads[i + spatial.length]!;
    const room = addDims(size, begin + end - extent);
    if (typeof room === "number" && room < 0) {
      throw node.fail(
        `expected the window of ${extent} to fit into dimension ${i + 2} of ${
          node.describe(0)
        } with pads ${begin} and ${end}, found ${Number(size) + begin + end}`,
      );
    }
    if (!ceilMode) return addDims(divDims(room, stride), 1);
    // A last window that would begin in the padding behind the input is left out, as ONNX Runtime and PyTorch do.
    // With end + stride ≤ extent that cannot happen; otherwise a symbolic size decides it at run time.
    if (typeof size === "string" && end + stride > extent) return node.unknownDim(0, i + 2);
    const count = addDims(ceilDivDims(room, stride), 1);
    const late = typeof count === "number" && typeof size === "number" && (count - 1) * stride >= size + begin;
    return late ? count - 1 : count;
  });
}

/** Output sizes of a transposed convolution. */
export function transposedOutput(
  spatial: Shape,
  window: Window,
  outputPadding: readonly number[],
): Shape {
  return spatial.map((size, i): Dim => {
    const stride = window.strides[i]!;
    const grown = mulDims(subDims(size, 1), stride);
    const extent = (window.kernel[i]! - 1) * window.dilations[i]! + 1;
    const pads = window.pads ? window.pads[i]! + window.pads[i + spatial.length]! : 0;
    return addDims(grown, outputPadding[i]! + extent - pads);
  });
}
