/** The part of the texts in an adapter's scores. */

import { type Tensor, tensor } from "../../runtime/mod.ts";
import type { AdapterInput } from "./adapter.ts";

/** The matrix of zero-shot classification, [C, D]: texts times the logit scale. */
export function scaledTexts({ texts, logitScale }: Pick<AdapterInput, "texts" | "logitScale">): Tensor<"float32"> {
  return tensor("float32", texts.shape, texts.data.map((value) => value * logitScale));
}
