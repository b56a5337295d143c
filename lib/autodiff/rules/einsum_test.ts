/** The gradients of Einstein sums against central differences in double precision. */

import { einsum } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { checkGradients } from "../gradient_check.ts";

/** Equations with the shapes of their operands as letters' sizes: a 2, b 3, c 4, d 2, e 3; "1" is a size of 1. */
const EQUATIONS: readonly (readonly [equation: string, ...shapes: string[]])[] = [
  ["ab,bc->ac", "ab", "bc"],
  ["bac,bcd->bad", "bac", "bcd"],
  ["ab,ab->", "ab", "ab"],
  ["ab,ab->ab", "ab", "ab"],
  ["a,b->ab", "a", "b"],
  ["a,b->ba", "a", "b"],
  ["ab,cb->ca", "ab", "cb"],
  ["abc,c->ab", "abc", "c"],
  ["abcd,ebd->aecd", "abcd", "ebd"],
  ["ab,bc", "ab", "bc"], // the output is worked out
  ["ab,cd->ac", "ab", "cd"], // b and d are summed away on their own
  ["ab,c->c", "ab", "c"],
  ["aa,ab->b", "aa", "ab"], // a diagonal
  ["aa,b->ab", "aa", "b"],
  ["aab,b->a", "aab", "b"],
  ["...ab,...bc->...ac", "deab", "debc"],
  ["...ab,bc->...ac", "deab", "bc"],
  ["a...,a...->...", "abc", "abc"],
  ["ab->ba", "ab"], // one operand
  ["ab->b", "ab"],
  ["aa->a", "aa"],
  ["aa->", "aa"],
  ["ab,bc,cd->ad", "ab", "bc", "cd"], // three operands
];
const SIZES: Readonly<Record<string, number>> = { a: 2, b: 3, c: 4, d: 2, e: 3, "1": 1 };

for (const [equation, ...shapes] of EQUATIONS) {
  Deno.test(`einsum "${equation}" has the central differences as gradients`, async () => {
    await checkGradients(3, Random.seeded("einsum", equation), () => ({
      inputs: Object.fromEntries(
        shapes.map((letters, i) => [`x${i}`, { shape: [...letters].map((letter) => SIZES[letter]!) }]),
      ),
      build: (inputs) => einsum(equation, shapes.map((_, i) => inputs[`x${i}`]!)),
    }));
  });
}
