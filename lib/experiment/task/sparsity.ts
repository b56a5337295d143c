/** Training towards channels that can be taken away: a penalty on the scales of batch normalisation. */

import { abs, add, mul, reduceSum, type Value } from "../../onnx/mod.ts";
import type { TaskNetwork } from "./task.ts";

/**
 * The task with λ · Σ |γ| in its loss, over the scales γ of all its batch normalisations (Liu et al. 2017, "Learning efficient
 * convolutional networks through network slimming", equation 1): scales of channels that matter little go to 0. The loss of
 * validation stays without it. A network without batch normalisation is left as it is.
 */
export function withSparsity(task: TaskNetwork, weight: number): TaskNetwork {
  const norms = task.graph.nodes.filter(({ opType, domain }) => opType === "BatchNormalization" && domain === "");
  const scales = norms.map((node) => node.input(1).name);
  if (scales.length === 0) return task;
  return {
    ...task,
    loss(context) {
      const own = task.loss(context), sums = scales.map((name) => reduceSum(abs(context.value(name))));
      const sparsity = sums.reduce((total: Value, each) => add(total, each));
      const { loss, metrics = {} } = "loss" in own ? own : { loss: own, metrics: {} };
      return { loss: add(loss, mul(sparsity, weight)), metrics: { ...metrics, sparsity } };
    },
  };
}
