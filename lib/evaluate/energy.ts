/** What a run costs a machine beside its time: bytes that move, and from these and the operations an estimate of energy. */

import { ancestors, elementCount, elementSize, type Graph, isStatic, type Node, type Value } from "../onnx/mod.ts";

import { type CountOptions, weightKinds, withSizes } from "./flops.ts";

/** Bytes that one run moves. */
export interface Traffic {
  /** All weights, read once, as they lie in the file. */
  readonly weights: number;
  /** What the operators read of each other and write. */
  readonly activations: number;
}

/** Operators that give the same bytes another shape or name. */
const VIEWS = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Shape", "Dropout"]);

/**
 * Counts the bytes of one run. Of every operator that reads pictures (or what was made of them) its inputs and its output count, so that
 * what a runtime fuses is counted too often: a yardstick for comparisons, not a measurement. Throws EvaluateError as `countOperations`.
 */
export function countTraffic(graph: Graph, options: CountOptions = {}): Traffic {
  const sized = withSizes(graph, options);
  const weights = [...weightKinds(sized).keys()].reduce(
    (sum, { tensor }) => sum + tensor!.data.length * elementSize(tensor!.dtype),
    0,
  );
  const fromInputs = new Set<Value | undefined>(sized.inputs);
  const needed: ReadonlySet<Node> = ancestors(sized.outputs, new Set()).nodes;
  let activations = 0;
  for (const node of sized.nodes) {
    if (!needed.has(node)) continue;
    const read = node.inputs.filter((input) => input !== undefined && fromInputs.has(input));
    if (read.length === 0) continue;
    for (const output of node.outputs) fromInputs.add(output);
    if (VIEWS.has(node.opType)) continue;
    for (const value of [...read, ...node.outputs]) {
      if (value?.type && isStatic(value.shape)) {
        activations += elementCount(value.staticShape) * elementSize(value.dtype);
      }
    }
  }
  return { weights, activations };
}

/**
 * Picojoules in a 45 nm process (Horowitz 2014, "Computing's energy problem", as Han et al. 2015, "Learning both weights and
 * connections", table 1, give them): a multiplication and an addition of 32-bit floats, a byte from DRAM, a byte from a cache.
 */
export const PICOJOULES = { multiplyAdd: 3.7 + 0.9, dramByte: 640 / 4, cacheByte: 5 / 4 } as const;

/** Millijoules of one run as if all weights came from DRAM and all activations from the cache. A proxy: it ranks, it does not measure. */
export function energyProxy({ macs, weights, activations }: Traffic & { readonly macs: number }): number {
  const { multiplyAdd, dramByte, cacheByte } = PICOJOULES;
  return (macs * multiplyAdd + weights * dramByte + activations * cacheByte) * 1e-9;
}
