/** Adapters that are one matrix in the end. */

import { type Tensor, tensor } from "../../runtime/mod.ts";
import type { FittedAdapter, LinearWeights, Settings, Trial } from "./adapter.ts";
import { checkRows } from "./inputs.ts";
import { Products } from "./products.ts";

/** f ↦ f · weightsᵀ + bias; bias by default zeros. */
export async function linearAdapter(
  { adapter, weights, bias, chosen, tried = [], threads }: {
    readonly adapter: string;
    readonly weights: Tensor<"float32">;
    readonly bias?: Tensor<"float32">;
    readonly chosen: Settings;
    readonly tried?: readonly Trial[];
    readonly threads: number | undefined;
  },
): Promise<FittedAdapter> {
  const [classes, dimension] = weights.shape as [number, number];
  const linear: LinearWeights = {
    weights,
    bias: bias ?? tensor("float32", [classes], new Float32Array(classes)),
  };
  const products = await Products.open(threads);
  return {
    adapter,
    chosen,
    tried,
    linear,
    logits(features) {
      checkRows(`${adapter}: features`, features, dimension);
      return products.scores(features, linear.weights, linear.bias);
    },
    [Symbol.asyncDispose]: () => products[Symbol.asyncDispose](),
  };
}
