/** Normalisation over batches, layers and instances, and dropout. */

import { formatShape, mayEqual, type Shape } from "../dims.ts";
import type { Node } from "../node.ts";
import { defineOperator } from "../registry.ts";
import type { Value } from "../value.ts";
import { apply, FLOATS, type Named, operands, sameAsInput } from "./operand.ts";

defineOperator("BatchNormalization", {
  inputs: ["x", "scale", "bias", "mean", "variance"],
  outputs: ["y", "running_mean?", "running_variance?"],
  attributes: { epsilon: ["float", 1e-5], momentum: ["float", 0.9], training_mode: ["int", 0] },
  since: 15,
  infer(node) {
    const dtype = node.dtypeOf(0, FLOATS);
    expectChannels(node, [1, 2, 3, 4]);
    const training = node.int("training_mode") === 1;
    if (!training && node.outputCount > 1) {
      throw node.fail(`expected 1 output unless training_mode is 1, found ${node.outputCount}`);
    }
    const statistics = { dtype: node.input(3).dtype, shape: node.input(3).shape };
    return [{ dtype, shape: node.input(0).shape }, statistics, statistics];
  },
});
defineOperator("InstanceNormalization", {
  inputs: ["x", "scale", "bias"],
  attributes: { epsilon: ["float", 1e-5] },
  since: 6,
  infer(node) {
    if (node.input(0).rank < 3) throw node.fail(`expected ${node.describe(0)} to be [N, C, spatial…]`);
    expectChannels(node, [1, 2]);
    return sameAsInput(FLOATS)(node);
  },
});
defineOperator("LayerNormalization", {
  inputs: ["x", "scale", "bias?"],
  outputs: ["y", "mean?", "inverse_deviation?"],
  attributes: { axis: ["int", -1], epsilon: ["float", 1e-5], stash_type: ["int", 1] },
  since: 17,
  infer(node) {
    const { shape } = node.input(0);
    const axis = node.axis(node.int("axis"), shape.length);
    const tail = shape.slice(axis);
    for (const index of [1, 2]) {
      const weight = node.inputs[index];
      if (!weight) continue;
      const fits = weight.rank <= shape.length &&
        weight.shape.every((dim, i) => dim === 1 || mayEqual(dim, shape[shape.length - weight.rank + i]!));
      if (!fits) {
        throw node.fail(`expected ${node.describe(index)} to broadcast to the normalised ${formatShape(tail)}`);
      }
    }
    const statistics: Shape = [...shape.slice(0, axis), ...tail.map(() => 1)];
    return [
      { dtype: node.dtypeOf(0, FLOATS), shape },
      { dtype: "float32", shape: statistics },
      { dtype: "float32", shape: statistics },
    ];
  },
});
defineOperator("GroupNormalization", {
  inputs: ["x", "scale", "bias"],
  attributes: { num_groups: "int!", epsilon: ["float", 1e-5] },
  since: 21,
  infer(node) {
    expectChannels(node, [1, 2]);
    const channels = node.input(0).shape[1]!, groups = node.int("num_groups");
    if (typeof channels === "number" && channels % groups !== 0) {
      throw node.fail(`expected ${node.describe(0)} to have a multiple of ${groups} channels`);
    }
    return sameAsInput(FLOATS)(node);
  },
});
defineOperator("LpNormalization", {
  inputs: ["x"],
  attributes: { axis: ["int", -1], p: ["int", 2] },
  infer(node) {
    node.axis(node.int("axis"), node.input(0).rank);
    return sameAsInput(FLOATS)(node);
  },
});
defineOperator("LRN", {
  inputs: ["x"],
  attributes: { size: "int!", alpha: ["float", 1e-4], beta: ["float", 0.75], bias: ["float", 1] },
  infer: sameAsInput(FLOATS),
});
defineOperator("Dropout", {
  inputs: ["x", "ratio?", "training_mode?"],
  outputs: ["y", "mask?"],
  attributes: { seed: "int" },
  since: 12,
  infer(node) {
    const { shape } = node.input(0);
    return [{ dtype: node.dtypeOf(0, FLOATS), shape }, { dtype: "bool", shape }];
  },
});

function expectChannels(node: Node, indices: readonly number[]): void {
  const x = node.input(0);
  if (x.rank < 2) throw node.fail(`expected ${node.describe(0)} to be [N, C, …]`);
  for (const index of indices) {
    const { shape } = node.input(index);
    if (shape.length !== 1 || !mayEqual(shape[0]!, x.shape[1]!)) {
      throw node.fail(`expected ${node.describe(index)} to be [${x.shape[1]}], the channels of ${node.describe(0)}`);
    }
  }
}

/** Settings of normalisations. */
export interface NormalizationOptions extends Named {
  /** Added to the variance; default 1e-5. */
  readonly epsilon?: number | undefined;
}

/**
 * (x − mean) / √(variance + ε) · scale + bias, for each channel of x [N, C, …] (Ioffe and Szegedy 2015), with given
 * statistics, each [C].
 */
export const batchNormalization = (
  x: Value,
  scale: Value,
  bias: Value,
  mean: Value,
  variance: Value,
  options: NormalizationOptions = {},
): Value => apply("BatchNormalization", [x, scale, bias, mean, variance], { epsilon: options.epsilon }, options);

/**
 * Batch normalisation with the batch's own statistics. The running ones come back as
 * running · momentum + batch · (1 − momentum) (default momentum 0.9; PyTorch counts the other way), with the
 * population variance. With momentum 0 they are the batch's own.
 */
export function batchNormalizationTraining(
  x: Value,
  scale: Value,
  bias: Value,
  mean: Value,
  variance: Value,
  options: NormalizationOptions & { momentum?: number | undefined } = {},
): { y: Value; runningMean: Value; runningVariance: Value } {
  const attributes = { epsilon: options.epsilon, momentum: options.momentum, "training_mode": 1 };
  const inputs = [x, scale, bias, unshared(mean), unshared(variance)];
  const [y, runningMean, runningVariance] = x.graph.node("BatchNormalization", inputs, attributes, {
    name: options.name,
    outputs: 3,
  });
  return { y: y!, runningMean: runningMean!, runningVariance: runningVariance! };
}

/** A constant of the node's own: ONNX Runtime's CPU kernel may write the running statistics over their inputs. */
function unshared(value: Value): Value {
  return value.kind === "constant" ? value.graph.constant(value.tensor!, { name: "running" }) : value;
}

/** Normalises each channel of each example: x [N, C, spatial…], scale and bias [C] (Ulyanov et al. 2016). */
export const instanceNormalization = (
  x: Value,
  scale: Value,
  bias: Value,
  options: NormalizationOptions = {},
): Value => apply("InstanceNormalization", [x, scale, bias], { epsilon: options.epsilon }, options);

/** Normalises the dimensions from `axis` (default: the last) to the end of each example (Ba et al. 2016). */
export const layerNormalization = (
  x: Value,
  scale: Value,
  bias?: Value,
  options: NormalizationOptions & { axis?: number | undefined } = {},
): Value => apply("LayerNormalization", [x, scale, bias], { axis: options.axis, epsilon: options.epsilon }, options);

/**
 * Normalises groups of channels of each example: x [N, C, …], scale and bias [C] (Wu and He 2018). Written as other
 * operators below opset 21.
 */
export const groupNormalization = (
  x: Value,
  groups: number,
  scale: Value,
  bias: Value,
  options: NormalizationOptions = {},
): Value => apply("GroupNormalization", [x, scale, bias], { num_groups: groups, epsilon: options.epsilon }, options);

/** x over its p-norm (1 or 2) along an axis. */
export const lpNormalization = (x: Value, options: Named & { axis?: number; p?: 1 | 2 } = {}): Value =>
  apply("LpNormalization", [x], { axis: options.axis, p: options.p }, options);

/**
 * Dropout (Srivastava et al. 2014): with `training`, elements are zeroed with probability `ratio` (default 0.5) and the
 * others scaled by 1 / (1 − ratio); else the identity. For masks that are the same everywhere, feed one and multiply.
 */
export function dropout(
  x: Value,
  options: Named & { ratio?: number; training?: boolean; seed?: number } = {},
): { y: Value; mask: Value } {
  const { graph } = x;
  const ratio = options.ratio === undefined ? undefined : graph.constant(options.ratio, { dtype: x.dtype });
  const training = options.training ? graph.constant(true, { dtype: "bool" }) : undefined;
  const [y, mask] = graph.node("Dropout", operands("Dropout", [x, ratio, training]), { seed: options.seed }, {
    name: options.name,
    outputs: 2,
  });
  return { y: y!, mask: mask! };
}
