/** Where the windows of a convolution or a pool lie: ONNX names the zeros on each side, TFLite knows SAME and VALID. */

import type { Node } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import type { TflitePadding } from "./schema.ts";

/** What TFLite needs of it; strides, kernel and dilations as [rows, columns]. */
export interface Windows {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly padding: TflitePadding;
  /** Zeros to lay around the map first, [top, left, bottom, right]; undefined: none. */
  readonly pads: readonly number[] | undefined;
}

/**
 * The windows of a node over a map of these rows and columns. SAME, where it puts the zeros where ONNX wants them; else VALID, after zeros
 * that are laid by an operator of their own. Throws InputError for `ceil_mode` and `SAME_LOWER`.
 */
export function windowsOf(
  node: Node,
  map: readonly [number, number],
  kernel: readonly [number, number],
  place: string,
): Windows {
  const pair = (name: string): [number, number] => {
    const [rows, columns] = node.ints(name, [1, 1]);
    return [rows ?? 1, columns ?? 1];
  };
  const strides = pair("strides"), dilations = node.has("dilations") ? pair("dilations") : [1, 1] as const;
  if (node.opType !== "Conv" && node.int("ceil_mode", 0) !== 0) {
    throw new InputError(`${place}: expected windows that lie within the map, found ceil_mode`);
  }
  const same = [0, 1].map((d) => sameZeros(map[d]!, kernel[d]!, strides[d]!, dilations[d]!));
  const sameZerosAround = [same[0]![0], same[1]![0], same[0]![1], same[1]![1]];
  const auto = node.string("auto_pad", "NOTSET");
  if (auto === "SAME_LOWER") throw new InputError(`${place}: expected pads, SAME_UPPER or VALID, found SAME_LOWER`);
  const pads = auto === "SAME_UPPER"
    ? sameZerosAround
    : auto === "VALID"
    ? [0, 0, 0, 0]
    : node.ints("pads", [0, 0, 0, 0]);
  const common = { kernel, strides, dilations };
  if (pads.every((each) => each === 0)) return { ...common, padding: "VALID", pads: undefined };
  if (String(pads) === String(sameZerosAround)) return { ...common, padding: "SAME", pads: undefined };
  return { ...common, padding: "VALID", pads };
}

/** Zeros before and behind of TFLite's SAME (tensorflow/lite/kernels/padding.h). */
function sameZeros(size: number, kernel: number, stride: number, dilation: number): readonly [number, number] {
  const results = Math.ceil(size / stride), reach = dilation * (kernel - 1) + 1;
  const zeros = Math.max(0, (results - 1) * stride + reach - size), before = Math.floor(zeros / 2);
  return [before, zeros - before];
}
