/** No learning: the texts alone. */

import type { Adapter } from "./adapter.ts";
import { checkInput } from "./inputs.ts";
import { linearAdapter } from "./linear.ts";
import { scaledTexts } from "./texts.ts";

/** Logits s · f · t_k, s the logit scale (Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", 3.1). */
export function zeroShot(): Adapter {
  const name = "zero-shot";
  return {
    name,
    settings: {},
    learns: false,
    draws: false,
    async fit(input) {
      checkInput(name, input, { learns: false });
      return await linearAdapter({ adapter: name, weights: scaledTexts(input), chosen: {}, threads: input.threads });
    },
  };
}
