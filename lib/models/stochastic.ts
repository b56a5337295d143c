/** Layers that are random in training and the identity at inference: dropout and stochastic depth. */

import { concat, constantOfShape, type Graph, mul, removeDead, replaceUses, shape, type Value } from "../onnx/mod.ts";
import { ModelError } from "./errors.ts";

/** Settings of `dropout` and `dropPath`. */
export interface DropOptions {
  /** Names the node, and with it the masks of training, which are the same for the same name, seed and step. */
  readonly name: string;
  /** The probability that an element, or a picture's whole branch, is dropped: from 0, below 1. With 0 no node is made. */
  readonly ratio: number;
}

/**
 * Dropout (Srivastava et al. 2014): a training step (`compileStep`) zeroes elements with probability `ratio` and divides the
 * others by 1 − ratio; an inference session gives x. Throws ModelError for a ratio out of range.
 */
export function dropout(x: Value, options: DropOptions): Value {
  return dropped(x, options);
}

/**
 * Stochastic depth (Huang et al. 2016, section 3): for the branch of a residual block, x [N, …] → x [N, …]. A training step
 * takes the branch of each picture away with probability `ratio` and divides those that stay by 1 − ratio, so that its
 * mean is x, as timm's `drop_path`; an inference session gives x. Throws ModelError for a ratio out of range.
 *
 * In the graph: the branch times Dropout of ones [N, 1, …]; `withoutDropout` takes both away.
 */
export function dropPath(x: Value, options: DropOptions): Value {
  if (options.ratio === 0) return x;
  const rest = x.graph.ints(new Array<number>(x.rank - 1).fill(1));
  const ones = constantOfShape(concat([shape(x, { start: 0, end: 1 }), rest], 0), { value: 1, dtype: x.dtype });
  return mul(x, dropped(ones, options), { name: `${options.name}.kept` });
}

/**
 * The ratios of `dropPath` for blocks 1 … `blocks`: from `last` / blocks in a straight line to `last` (Huang et al. 2016,
 * the linear decay rule), early blocks being needed by all later ones.
 */
export function dropPathRatios(blocks: number, last: number): number[] {
  return Array.from({ length: blocks }, (_, i) => last * (i + 1) / blocks);
}

/**
 * Takes dropout and stochastic depth out of a graph for inference, which they do not change: Dropout nodes without a training
 * mode, and products with the ones of `dropPath`. A node whose output is the graph's own stays. Returns how many Dropout
 * nodes went.
 */
export function withoutDropout(graph: Graph): number {
  let count = 0;
  for (const node of [...graph.nodes]) {
    if (node.opType !== "Dropout" || node.domain !== "" || node.inputs[2]) continue;
    const [y, mask] = node.outputs, x = node.input(0);
    const readers = graph.consumers();
    if (!y || graph.outputs.includes(y) || (mask && (readers.has(mask) || graph.outputs.includes(mask)))) continue;
    for (const product of isOnes(x) ? readers.get(y) ?? [] : []) {
      const branch = product.inputs.find((input) => input !== y);
      const out = product.output();
      if (product.opType !== "Mul" || !branch || graph.outputs.includes(out)) continue;
      if (String(branch.shape) === String(out.shape)) replaceUses(graph, out, branch);
    }
    replaceUses(graph, y, x);
    count++;
  }
  if (count > 0) removeDead(graph);
  return count;
}

function dropped(x: Value, { name, ratio }: DropOptions): Value {
  if (!(ratio >= 0 && ratio < 1)) {
    throw new ModelError(`layer "${name}": expected a ratio from 0, below 1, found ${ratio}`);
  }
  if (ratio === 0) return x;
  return x.graph.node("Dropout", [x, x.graph.constant(ratio, { dtype: x.dtype, shape: [] })], {}, {
    name,
    outputs: 1,
  })[0]!;
}

function isOnes({ producer, tensor: known }: Value): boolean {
  const value = producer?.domain === "" && producer.opType === "ConstantOfShape"
    ? producer.attributes.get("value")
    : undefined;
  const content = value?.kind === "tensor" ? value.value : known;
  return content !== undefined && Array.from(content.data, Number).every((element) => element === 1);
}
