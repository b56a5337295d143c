/** Resizing of maps, and sampling at given places. */

import { type Dim, mayEqual, mulDims } from "../dims.ts";
import type { Node } from "../node.ts";
import { defineOperator } from "../registry.ts";
import type { Value } from "../value.ts";
import { apply, FLOATS, type Named } from "./operand.ts";

/** How output places map to input places (ONNX, "Resize"). */
export type CoordinateMode = "half_pixel" | "pytorch_half_pixel" | "align_corners" | "asymmetric";
/** How places between elements are filled in. */
export type ResizeMode = "nearest" | "linear" | "cubic";
/** How "nearest" rounds. */
export type NearestMode = "round_prefer_floor" | "round_prefer_ceil" | "floor" | "ceil";

const RESIZE: Readonly<Record<string, readonly string[]>> = {
  "mode": ["nearest", "linear", "cubic"],
  "coordinate_transformation_mode": [
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
  ],
  "nearest_mode": ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"],
};

defineOperator("Resize", {
  inputs: ["x", "roi?", "scales?", "sizes?"],
  attributes: {
    coordinate_transformation_mode: ["string", "half_pixel"],
    cubic_coeff_a: ["float", -0.75],
    exclude_outside: ["int", 0],
    extrapolation_value: ["float", 0],
    mode: ["string", "nearest"],
    nearest_mode: ["string", "round_prefer_floor"],
  },
  since: 13,
  infer(node) {
    for (const [name, allowed] of Object.entries(RESIZE)) {
      if (!allowed.includes(node.string(name))) {
        throw node.fail(`expected ${name} to be ${allowed.join(", ")}, found ${node.string(name)}`);
      }
    }
    const { dtype, shape } = node.input(0);
    const scales = node.inputs[2], sizes = node.inputs[3];
    const scaled = scales !== undefined && String(scales.shape) !== "0";
    if (scaled === (sizes !== undefined)) throw node.fail(`expected either scales or sizes, found both or none`);
    const given = scaled ? scales : sizes!;
    if (given.rank !== 1 || !mayEqual(given.shape[0]!, shape.length)) {
      throw node.fail(`expected a scale or size for each dimension of ${node.describe(0)}, found ${given}`);
    }
    const entries = given.elements ?? shape.map((_, i) => node.unknownDim(0, i));
    return [{
      dtype,
      shape: scaled && given.elements ? shape.map((dim, i) => scale(node, dim, entries[i]!, i)) : entries,
    }];
  },
});
defineOperator("GridSample", {
  inputs: ["x", "grid"],
  attributes: { mode: ["string", "bilinear"], padding_mode: ["string", "zeros"], align_corners: ["int", 0] },
  since: 16,
  infer(node) {
    const dtype = node.dtypeOf(0, FLOATS);
    const x = node.expectRank(0, 4), grid = node.expectRank(1, 4);
    if (!mayEqual(x[0]!, grid[0]!) || !mayEqual(grid[3]!, 2)) {
      throw node.fail(`expected ${node.describe(1)} to be [${x[0]}, height, width, 2] for ${node.describe(0)}`);
    }
    return [{ dtype, shape: [x[0]!, x[1]!, grid[1]!, grid[2]!] }];
  },
});

function scale(node: Node, dim: Dim, factor: Dim, dimension: number): Dim {
  if (factor === 1) return dim;
  if (typeof dim === "number" && typeof factor === "number") {
    if (!(factor > 0)) throw node.fail(`expected scales above 0, found ${factor}`);
    return Math.floor(dim * factor);
  }
  return typeof factor === "number" && Number.isInteger(factor) && factor > 0
    ? mulDims(dim, factor)
    : node.unknownDim(0, dimension);
}

/** Settings of `resize`. */
export interface ResizeOptions extends Named {
  /** A factor for each dimension, or `sizes`. */
  readonly scales?: readonly number[];
  /** The output's shape, or `scales`. */
  readonly sizes?: readonly number[] | Value;
  /** Default: "nearest". */
  readonly mode?: ResizeMode;
  /** Default: "half_pixel". */
  readonly coordinates?: CoordinateMode;
  /** Default: "round_prefer_floor". */
  readonly nearest?: NearestMode;
}

/** x resized by factors or to sizes, one for each dimension. Throws OnnxError unless one of the two is given. */
export function resize(x: Value, options: ResizeOptions): Value {
  const { graph } = x;
  const { scales, sizes } = options;
  const target = sizes === undefined || "graph" in sizes ? sizes : graph.ints(sizes);
  return apply("Resize", [x, undefined, scales && graph.constant(scales), target], {
    mode: options.mode,
    coordinate_transformation_mode: options.coordinates,
    nearest_mode: options.nearest,
  }, options);
}

/** x [N, C, H, W] sampled at the places of grid [N, h, w, 2], (x, y) from −1 to 1 (Jaderberg et al. 2015). */
export const gridSample = (
  x: Value,
  grid: Value,
  options: Named & {
    mode?: "bilinear" | "nearest" | "bicubic";
    padding?: "zeros" | "border" | "reflection";
    alignCorners?: boolean;
  } = {},
): Value =>
  apply("GridSample", [x, grid], {
    mode: options.mode,
    padding_mode: options.padding,
    align_corners: options.alignCorners,
  }, options);
