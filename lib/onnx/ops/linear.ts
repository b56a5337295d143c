/** Linear algebra: matrix products and Einstein sums. */

import { broadcastDims, broadcastShapes, type Dim, mayEqual } from "../dims.ts";
import type { Node } from "../node.ts";
import { defineOperator } from "../registry.ts";
import type { Value } from "../value.ts";
import { apply, FLOATS, INTEGERS, type Named, NUMBERS } from "./operand.ts";

const PRODUCTS = [...FLOATS, ...INTEGERS.filter((dtype) => /^u?int(32|64)$/.test(dtype))];

defineOperator("MatMul", {
  inputs: ["a", "b"],
  since: 1,
  infer(node) {
    node.dtypeOf(0, PRODUCTS);
    return [{ dtype: node.sameDType(0, 1), shape: matMulShape(node, 0, 1) }];
  },
});
defineOperator("Gemm", {
  inputs: ["a", "b", "c?"],
  attributes: { alpha: ["float", 1], beta: ["float", 1], transA: ["int", 0], transB: ["int", 0] },
  since: 11,
  infer(node) {
    node.dtypeOf(0, PRODUCTS);
    const turned = (index: number, flag: string) => {
      const shape = node.expectRank(index, 2);
      return node.int(flag) === 0 ? shape : [shape[1]!, shape[0]!];
    };
    const a = turned(0, "transA"), b = turned(1, "transB");
    if (!mayEqual(a[1]!, b[0]!)) {
      throw node.fail(
        `expected ${node.describe(0)} (transA ${node.int("transA")}) and ${node.describe(1)} (transB ${
          node.int("transB")
        }) to share the inner dimension, found ${a[1]} and ${b[0]}`,
      );
    }
    const shape = [a[0]!, b[1]!];
    if (node.inputs[2]) {
      const result = broadcastShapes(shape, node.inputs[2].shape);
      if (!result || result.length > 2 || result.some((dim, i) => !mayEqual(dim, shape[i]!))) {
        throw node.fail(`expected ${node.describe(2)} to broadcast to [${shape.join(", ")}]`);
      }
    }
    return [{ dtype: node.sameDType(0, 1, 2), shape }];
  },
});
defineOperator("Einsum", {
  inputs: ["x", "x*"],
  attributes: { equation: "string!" },
  since: 12,
  infer(node) {
    node.dtypeOf(0, NUMBERS);
    const dtype = node.sameDType(...node.inputs.map((_, i) => i));
    const { terms, output } = einsumTerms(node);
    const sizes = new Map<string, Dim>();
    terms.forEach((term, i) => {
      node.input(i).shape.forEach((dim, at) => {
        const letter = term[at]!;
        const known = sizes.get(letter);
        const merged = known === undefined ? dim : broadcastDims(known, dim);
        if (merged === undefined) {
          throw node.fail(`expected ${node.describe(i)} to have ${known} for "${letter}" at ${at}, found ${dim}`);
        }
        sizes.set(letter, merged);
      });
    });
    return [{ dtype, shape: output.map((letter) => sizes.get(letter)!) }];
  },
});

/**
 * An Einsum's equation taken apart: one label for each dimension of each input and of the output. The dimensions of an
 * ellipsis are labelled "...0", "...1", … aligned at the end. Throws OnnxError for a wrong equation.
 */
export function einsumTerms(node: Node): { terms: readonly string[][]; output: readonly string[] } {
  const equation = node.string("equation").replaceAll(" ", "");
  const [left = "", right, ...rest] = equation.split("->");
  const wrong = (what: string) => node.fail(`expected ${what} in the equation, found "${equation}"`);
  if (rest.length > 0 || !/^[A-Za-z.,]*$/.test(left) || !/^[A-Za-z.]*$/.test(right ?? "")) {
    throw wrong("letters, commas, ellipses and at most one ->");
  }
  const texts = left.split(",");
  if (texts.length !== node.inputs.length) throw wrong(`${node.inputs.length} terms`);
  let widest = 0;
  const split = (text: string, width: number | undefined) => {
    const [before = "", after, ...others] = text.split("...");
    if (others.length > 0 || before.includes(".") || after?.includes(".")) throw wrong("at most one ellipsis a term");
    if (after === undefined) return [...before];
    const count = width === undefined ? widest : width - before.length - after.length;
    if (count < 0) throw wrong("as many letters as dimensions");
    widest = Math.max(widest, count);
    return [...before, ...Array.from({ length: count }, (_, i) => `...${count - 1 - i}`), ...after];
  };
  const terms = texts.map((text, i) => {
    const term = split(text, node.input(i).rank);
    if (term.length !== node.input(i).rank) throw wrong(`${node.input(i).rank} letters for ${node.describe(i)}`);
    return term;
  });
  const all = terms.flat();
  let output: string[];
  if (right !== undefined) {
    output = split(right, undefined);
    const missing = output.find((letter) => !all.includes(letter));
    if (missing !== undefined) throw wrong(`an output label that an input has instead of ${missing}`);
    if (new Set(output).size < output.length) throw wrong("each output label once");
  } else {
    const once = [...new Set(all)].filter((letter) => !letter.startsWith(".") && count(all, letter) === 1).sort();
    output = [...Array.from({ length: widest }, (_, i) => `...${widest - 1 - i}`), ...once];
  }
  return { terms, output };
}

/** The shape of a matrix product as NumPy's matmul has it. */
export function matMulShape(node: Node, left: number, right: number): readonly Dim[] {
  const a = node.input(left).shape, b = node.input(right).shape;
  if (a.length === 0 || b.length === 0) {
    throw node.fail(`expected ${node.describe(left)} and ${node.describe(right)} to have at least one dimension`);
  }
  const inner = a.at(-1)!, other = b.length === 1 ? b[0]! : b.at(-2)!;
  if (!mayEqual(inner, other)) {
    throw node.fail(
      `expected ${node.describe(left)} and ${
        node.describe(right)
      } to share the inner dimension, found ${inner} and ${other}`,
    );
  }
  const batch = broadcastShapes(a.slice(0, -2), b.slice(0, -2));
  if (!batch) {
    throw node.fail(`expected batch shapes that broadcast, found ${node.describe(left)} and ${node.describe(right)}`);
  }
  return [...batch, ...(a.length > 1 ? [a.at(-2)!] : []), ...(b.length > 1 ? [b.at(-1)!] : [])];
}

function count(letters: readonly string[], letter: string): number {
  return letters.filter((other) => other === letter).length;
}

/** The matrix product; leading dimensions broadcast, as NumPy's matmul. */
export const matMul = (a: Value, b: Value, options?: Named): Value => apply("MatMul", [a, b], {}, options);

/** alpha · A · B + beta · C on two dimensions, A and B transposed on demand; C broadcasts. */
export const gemm = (
  a: Value,
  b: Value,
  c?: Value,
  options: Named & { alpha?: number; beta?: number; transA?: boolean; transB?: boolean } = {},
): Value =>
  apply("Gemm", [a, b, c], {
    alpha: options.alpha,
    beta: options.beta,
    transA: options.transA,
    transB: options.transB,
  }, options);

/** An Einstein sum, e.g. `einsum("bij,bjk->bik", [a, b])`. */
export const einsum = (equation: string, inputs: readonly Value[], options?: Named): Value =>
  apply("Einsum", inputs, { equation }, options);
