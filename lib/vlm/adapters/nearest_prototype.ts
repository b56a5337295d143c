/** Each class is a point: the mean of its pictures, drawn towards its text. */

import { tensor } from "../../runtime/mod.ts";
import { normalizeRows } from "../cosines.ts";
import type { Adapter, Trial } from "./adapter.ts";
import { checkInput } from "./inputs.ts";
import { linearAdapter } from "./linear.ts";
import { classMeans, Products, singles } from "./products.ts";
import { bestTrial, judge } from "./search.ts";

/** Settings of `nearestPrototype`. */
export interface NearestPrototypeOptions {
  /** Weights of the text that are tried; 0: pictures only, 1: text only. Default: 0, 0.1, … 1. */
  readonly textWeights?: readonly number[];
  /** The weight without validation pictures. Default: 0. */
  readonly textWeight?: number;
}

/**
 * Logits s · f · p_k with p_k the normalised (1 − w) · m_k + w · t_k, where m_k is the normalised mean of the class's features: the
 * nearest class mean (Mensink et al. 2013, "Distance-Based Image Classification", eq. 1; Snell, Swersky and Zemel 2017,
 * "Prototypical Networks", eq. 1) by cosine. w is chosen by validation.
 */
export function nearestPrototype(
  { textWeights = Array.from({ length: 11 }, (_, i) => i / 10), textWeight = 0 }: NearestPrototypeOptions = {},
): Adapter {
  const name = "nearest prototype";
  return {
    name,
    settings: { textWeights, textWeight },
    learns: true,
    draws: false,
    async fit(input) {
      checkInput(name, input);
      const { train, texts, classes, validation, logitScale, threads } = input;
      const means = normalizeRows(singles(texts.shape, classMeans(train, classes))).data;
      const prototypes = (weight: number) => {
        const mixed = means.map((value, at) => (1 - weight) * value + weight * texts.data[at]!);
        const { data } = normalizeRows(tensor("float32", texts.shape, mixed));
        return tensor("float32", texts.shape, data.map((value) => value * logitScale));
      };
      const tried: Trial[] = [];
      if (validation) {
        await using products = await Products.open(threads);
        for (const weight of textWeights) {
          input.signal?.throwIfAborted();
          const scores = await products.scores(validation.features, prototypes(weight));
          tried.push({ settings: { textWeight: weight }, ...judge(scores, validation.labels) });
        }
      }
      const chosen = tried.length > 0 ? bestTrial(tried).settings : { textWeight };
      return await linearAdapter({ adapter: name, weights: prototypes(chosen.textWeight!), chosen, tried, threads });
    },
  };
}
