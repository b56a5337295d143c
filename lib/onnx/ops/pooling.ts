/** Pooling over windows and over whole maps, and its inverse. */

import { formatShape, isStatic } from "../dims.ts";
import type { Node } from "../node.ts";
import { defineOperator, type ValueType } from "../registry.ts";
import type { Value } from "../value.ts";
import { apply, FLOATS, type Named, operands } from "./operand.ts";
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

/** Settings of pooling. Strides default to 1, as in ONNX (PyTorch's default is the kernel). */
export interface PoolOptions extends Named, WindowOptions {
  /** Round output sizes up, so that a last partial window counts. */
  readonly ceilMode?: boolean | undefined;
}

const { auto_pad, strides, pads, dilations } = WINDOW_ATTRIBUTES as Required<typeof WINDOW_ATTRIBUTES>;
const POOL = { auto_pad: auto_pad!, kernel_shape: "ints!", strides: strides!, pads: pads! } as const;

defineOperator("MaxPool", {
  inputs: ["x"],
  outputs: ["y", "indices?"],
  attributes: { ...POOL, dilations: dilations!, ceil_mode: ["int", 0], storage_order: ["int", 0] },
  since: 12,
  infer(node) {
    const shape = pooled(node);
    return [{ dtype: node.dtypeOf(0, [...FLOATS, "int8", "uint8"]), shape }, { dtype: "int64", shape }];
  },
});
defineOperator("AveragePool", {
  inputs: ["x"],
  attributes: { ...POOL, ceil_mode: ["int", 0], count_include_pad: ["int", 0], dilations: dilations! },
  since: 11,
  infer: (node) => [{ dtype: node.dtypeOf(0, FLOATS), shape: pooled(node) }],
});
defineOperator("LpPool", {
  inputs: ["x"],
  attributes: { ...POOL, p: ["int", 2], dilations: dilations!, ceil_mode: ["int", 0] },
  since: 11,
  infer: (node) => [{ dtype: node.dtypeOf(0, FLOATS), shape: pooled(node) }],
});
for (const opType of ["GlobalAveragePool", "GlobalMaxPool"]) {
  defineOperator(opType, {
    inputs: ["x"],
    infer(node): ValueType[] {
      const { shape } = node.input(0);
      if (shape.length < 3) throw node.fail(`expected ${node.describe(0)} to be [N, C, spatial…]`);
      return [{ dtype: node.dtypeOf(0, FLOATS), shape: [...shape.slice(0, 2), ...shape.slice(2).map(() => 1)] }];
    },
  });
}
defineOperator("MaxUnpool", {
  inputs: ["x", "indices", "output_shape?"],
  attributes: { kernel_shape: "ints!", strides: strides!, pads: pads! },
  since: 11,
  infer(node) {
    const x = node.input(0).shape;
    node.dtypeOf(1, ["int64"]);
    if (formatShape(x) !== formatShape(node.input(1).shape)) {
      throw node.fail(`expected ${node.describe(1)} to have the shape of ${node.describe(0)}`);
    }
    const dtype = node.dtypeOf(0, FLOATS);
    const wanted = node.inputs[2]?.elements;
    if (wanted) return [{ dtype, shape: wanted }];
    if (node.inputs[2]) return [{ dtype, shape: x.map((_, i) => node.unknownDim(0, i)) }];
    const n = x.length - 2;
    const window: Window = {
      kernel: node.ints("kernel_shape"),
      strides: node.ints("strides", new Array<number>(n).fill(1)),
      dilations: new Array<number>(n).fill(1),
      pads: node.ints("pads", new Array<number>(2 * n).fill(0)),
      autoPad: "NOTSET",
    };
    if (window.kernel.length !== n || window.strides.length !== n || window.pads!.length !== 2 * n) {
      throw node.fail(`expected a kernel, strides and pads for ${n} dimensions of ${node.describe(0)}`);
    }
    const sizes = transposedOutput(x.slice(2), window, new Array<number>(n).fill(0));
    return [{ dtype, shape: [x[0]!, x[1]!, ...sizes] }];
  },
});

/** The window of a MaxPool or AveragePool with all defaults filled in. */
export function poolWindow(node: Node): Window {
  return readWindow(node, node.ints("kernel_shape"));
}

function pooled(node: Node) {
  const { shape } = node.input(0);
  if (shape.length < 3) throw node.fail(`expected ${node.describe(0)} to be [N, C, spatial…]`);
  const ceil = node.spec?.attributes["ceil_mode"] !== undefined && node.int("ceil_mode") === 1;
  const window = poolWindow(node);
  if (window.pads && isStatic(window.pads) && window.autoPad === "NOTSET") {
    const n = shape.length - 2;
    window.pads.forEach((pad, i) => {
      const kernel = window.kernel[i % n]!, extent = (kernel - 1) * window.dilations[i % n]! + 1;
      if (pad >= extent) throw node.fail(`expected pads below the kernel's ${extent}, found ${pad}`);
    });
  }
  return [shape[0]!, shape[1]!, ...windowOutput(node, window, ceil)];
}

function poolAttributes(opType: string, x: Value, kernel: PerDimension, options: PoolOptions) {
  const n = Math.max(0, x.rank - 2);
  return {
    kernel_shape: perDimension(kernel, n, `${opType}: kernel`),
    ...windowAttributes(opType, n, options),
    ceil_mode: options.ceilMode,
  };
}

/** The largest element of each window: x [N, C, spatial…]. */
export const maxPool = (x: Value, kernel: PerDimension, options: PoolOptions = {}): Value =>
  apply("MaxPool", [x], poolAttributes("MaxPool", x, kernel, options), options);

/** `maxPool` with the flat index of each maximum within x [N, C, spatial…], int64. */
export function maxPoolWithIndices(x: Value, kernel: PerDimension, options: PoolOptions = {}): [Value, Value] {
  const attributes = poolAttributes("MaxPool", x, kernel, options);
  return x.graph.node("MaxPool", [x], attributes, { name: options.name, outputs: 2 }) as [Value, Value];
}

/** The mean of each window; padding counts only with `countIncludePad`. */
export const averagePool = (
  x: Value,
  kernel: PerDimension,
  options: PoolOptions & { countIncludePad?: boolean } = {},
): Value =>
  apply("AveragePool", [x], {
    ...poolAttributes("AveragePool", x, kernel, options),
    count_include_pad: options.countIncludePad,
  }, options);

/** The mean over all spatial dimensions, which stay as 1: [N, C, 1, 1]. */
export const globalAveragePool = (x: Value, options?: Named): Value => apply("GlobalAveragePool", [x], {}, options);
/** The maximum over all spatial dimensions, which stay as 1: [N, C, 1, 1]. */
export const globalMaxPool = (x: Value, options?: Named): Value => apply("GlobalMaxPool", [x], {}, options);

/** Puts pooled elements back to where `maxPoolWithIndices` found them, zeros elsewhere. */
export function maxUnpool(
  x: Value,
  indices: Value,
  kernel: PerDimension,
  options: Named & Pick<WindowOptions, "strides" | "pads"> & { outputShape?: Value | readonly number[] } = {},
): Value {
  const { outputShape, strides, pads } = options;
  const n = x.rank - 2;
  const target = outputShape === undefined || "graph" in outputShape ? outputShape : x.graph.ints(outputShape);
  return apply("MaxUnpool", operands("MaxUnpool", [x, indices, target]), {
    kernel_shape: perDimension(kernel, n, "MaxUnpool: kernel"),
    ...windowAttributes("MaxUnpool", n, { strides, pads }),
  }, options);
}
