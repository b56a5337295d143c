/**
 * Layers of transformers on the graph builder (Vaswani et al. 2017). Sequences are rows: N sequences of L tokens with W numbers
 * each are [N · L, W], so that every connected layer is one product of two matrices. A layer called twice with one name in one
 * graph has one set of weights.
 */

import {
  add,
  gather,
  gelu,
  gemm,
  layerNormalization,
  matMul,
  mul,
  reshape,
  sigmoid,
  softmax,
  tensor,
  transpose,
  type Value,
} from "../../onnx/mod.ts";
import { ModelError } from "../errors.ts";
import { constant, normal } from "../initializers.ts";
import type { WeightSource } from "../layers.ts";
import { sharedWeight } from "./weights.ts";

/** What every layer here takes. */
export interface TransformerLayerOptions {
  /** Names the weights: `NAME.weight` and so on. */
  readonly name: string;
  readonly random: WeightSource;
}

/** Settings of `denseRows`. */
export interface DenseRowsOptions extends TransformerLayerOptions {
  readonly outputs: number;
  /** Deviation of the starting weights. Default: 1 / √inputs. */
  readonly deviation?: number;
  /** Default: true. */
  readonly bias?: boolean;
}

/** A connected layer on each row: x [R, W] → [R, outputs], with `NAME.weight` [outputs, W] and `NAME.bias` [outputs]. */
export function denseRows(x: Value, { name, random, outputs, deviation, bias = true }: DenseRowsOptions): Value {
  const inputs = widthOf(x, name), { graph } = x;
  const weight = sharedWeight(graph, `${name}.weight`, {
    shape: [outputs, inputs],
    random,
    init: (stream) => normal(stream, { deviation: deviation ?? 1 / Math.sqrt(inputs) }),
  });
  const shift = bias
    ? sharedWeight(graph, `${name}.bias`, { shape: [outputs], random, init: () => constant(0) })
    : undefined;
  return gemm(x, weight, shift, { transB: true, name });
}

/** Settings of `layerNorm`. */
export interface LayerNormOptions extends Pick<TransformerLayerOptions, "name"> {
  /** Added to the variance. Default: 1e-5. */
  readonly epsilon?: number;
}

/** Layer normalisation of each row (Ba et al. 2016), x [R, W] → [R, W], with `NAME.weight` (1 at first) and `NAME.bias` [W]. */
export function layerNorm(x: Value, { name, epsilon = 1e-5 }: LayerNormOptions): Value {
  const shape = [widthOf(x, name)], { graph } = x;
  // Ones and zeros need no random numbers, whatever the other weights start from.
  const scale = graph.values.get(graph.scoped(`${name}.weight`)) ??
    graph.parameter(`${name}.weight`, { shape, init: constant(1) });
  const shift = graph.values.get(graph.scoped(`${name}.bias`)) ??
    graph.parameter(`${name}.bias`, { shape, init: constant(0) });
  return layerNormalization(x, scale, shift, { axis: -1, epsilon, name });
}

/** Settings of `tokenEmbedding`. */
export interface TokenEmbeddingOptions extends TransformerLayerOptions {
  /** Number of different tokens. */
  readonly vocabulary: number;
  /** The most tokens of a sequence. */
  readonly context: number;
  readonly width: number;
}

/**
 * Tokens with their places: ids [N, L] (int64) → [N · L, W], `NAME.token.weight` [vocabulary, W] plus `NAME.position.weight`
 * [context, W], of which the first L places count. Starting deviations as in CLIP: 0.02 and 0.01 (Radford et al. 2021, code).
 * Throws ModelError unless L is known and at most `context`.
 */
export function tokenEmbedding(ids: Value, options: TokenEmbeddingOptions): Value {
  const { name, random, vocabulary, context, width } = options, { graph } = ids;
  const length = ids.shape[1];
  if (ids.rank !== 2 || typeof length !== "number" || length > context) {
    throw new ModelError(`tokenEmbedding "${name}": expected ids [N, L] with L up to ${context}, found ${ids}`);
  }
  const tokens = sharedWeight(graph, `${name}.token.weight`, {
    shape: [vocabulary, width],
    random,
    init: (stream) => normal(stream, { deviation: 0.02 }),
  });
  const positions = sharedWeight(graph, `${name}.position.weight`, {
    shape: [context, width],
    random,
    init: (stream) => normal(stream, { deviation: 0.01 }),
  });
  const places = length === context
    ? positions
    : gather(positions, graph.ints(Array.from({ length }, (_, place) => place)), { axis: 0 });
  return reshape(add(gather(tokens, ids, { axis: 0 }), places), [-1, width], { name });
}

/** Settings of `multiHeadAttention`. */
export interface AttentionOptions extends TransformerLayerOptions {
  /** Tokens of a sequence: L. */
  readonly length: number;
  readonly heads: number;
  /** Whether a token sees only itself and those before it. Default: false. */
  readonly causal?: boolean;
  /** Deviation of the output layer's starting weights. Default: 1 / √W. */
  readonly outputDeviation?: number;
}

/** What is added to the score of a token that must not be seen: enough for a probability of 0, finite so that no NaN arises. */
const UNSEEN = -1e9;

/**
 * softmax(Q · Kᵀ / √d) · V in `heads` heads of d = W / heads numbers each, joined and projected (Vaswani et al. 2017, section
 * 3.2): x [N · L, W] → [N · L, W]. Layers `NAME.query`, `NAME.key`, `NAME.value`, `NAME.output`. Throws ModelError unless `heads`
 * divides W.
 */
export function multiHeadAttention(x: Value, options: AttentionOptions): Value {
  const { name, random, length, heads, causal = false, outputDeviation } = options;
  const width = widthOf(x, name), { graph } = x, size = width / heads;
  if (!Number.isInteger(size)) {
    throw new ModelError(`attention "${name}": expected heads that divide ${width}, found ${heads}`);
  }
  const project = (part: string) => denseRows(x, { name: `${name}.${part}`, random, outputs: width });
  const split = (rows: Value) => transpose(reshape(rows, [-1, length, heads, size]), [0, 2, 1, 3]);
  const query = split(mul(project("query"), 1 / Math.sqrt(size))), value = split(project("value"));
  const key = transpose(reshape(project("key"), [-1, length, heads, size]), [0, 2, 3, 1]);
  let scores = matMul(query, key); // [N, heads, L, L]
  if (causal) {
    const mask = Float32Array.from(
      { length: length * length },
      (_, i) => i % length > Math.floor(i / length) ? UNSEEN : 0,
    );
    scores = add(scores, graph.constant(tensor("float32", [length, length], mask), { name: `${name}.mask` }));
  }
  const seen = matMul(softmax(scores, { axis: -1 }), value);
  const joined = reshape(transpose(seen, [0, 2, 1, 3]), [-1, width]);
  return denseRows(joined, {
    ...{ name: `${name}.output`, random, outputs: width },
    ...(outputDeviation === undefined ? {} : { deviation: outputDeviation }),
  });
}

/** x · σ(1.702 x): the approximation of GELU that CLIP was trained with (Hendrycks and Gimpel 2016, section 2). */
export function quickGelu(x: Value): Value {
  return mul(x, sigmoid(mul(x, 1.702)));
}

/** Settings of `multilayerPerceptron`. */
export interface PerceptronOptions extends TransformerLayerOptions {
  /** Default: four times the width. */
  readonly hidden?: number;
  /** Default: "quickGelu". */
  readonly activation?: "gelu" | "quickGelu";
  /** Deviation of the output layer's starting weights. Default: 1 / √hidden. */
  readonly outputDeviation?: number;
}

/** Two connected layers `NAME.hidden` and `NAME.output` with GELU between: x [R, W] → [R, W]. */
export function multilayerPerceptron(x: Value, options: PerceptronOptions): Value {
  const width = widthOf(x, options.name);
  const { name, random, hidden = 4 * width, activation = "quickGelu", outputDeviation } = options;
  const inner = denseRows(x, { name: `${name}.hidden`, random, outputs: hidden });
  return denseRows(activation === "gelu" ? gelu(inner) : quickGelu(inner), {
    ...{ name: `${name}.output`, random, outputs: width },
    ...(outputDeviation === undefined ? {} : { deviation: outputDeviation }),
  });
}

/** Settings of `transformerBlock`. */
export interface TransformerBlockOptions
  extends Omit<AttentionOptions, "outputDeviation">, Pick<PerceptronOptions, "hidden" | "activation"> {
  /** Blocks of the whole network: what is added to the sum starts smaller the more there are. Default: 1. */
  readonly blocks?: number;
}

/**
 * A block that normalises first (Radford et al. 2019, GPT-2, section 2.3): x + attention(norm(x)), then y + perceptron(norm(y)), with
 * `NAME.norm1`, `NAME.attention`, `NAME.norm2`, `NAME.perceptron`. The layers that write to the sum start with their usual deviation
 * divided by √(2 · blocks). x [N · L, W] → [N · L, W].
 */
export function transformerBlock(x: Value, options: TransformerBlockOptions): Value {
  const width = widthOf(x, options.name);
  const { name, random, length, heads, causal = false, hidden = 4 * width, activation = "quickGelu", blocks = 1 } =
    options;
  const less = 1 / Math.sqrt(2 * blocks);
  const attended = multiHeadAttention(layerNorm(x, { name: `${name}.norm1` }), {
    ...{ name: `${name}.attention`, random, length, heads, causal },
    outputDeviation: less / Math.sqrt(width),
  });
  const y = add(x, attended);
  const more = multilayerPerceptron(layerNorm(y, { name: `${name}.norm2` }), {
    ...{ name: `${name}.perceptron`, random, hidden, activation },
    outputDeviation: less / Math.sqrt(hidden),
  });
  return add(y, more);
}

function widthOf(x: Value, name: string): number {
  const width = x.shape[1];
  if (x.rank === 2 && typeof width === "number") return width;
  throw new ModelError(`layer "${name}": expected rows [R, W] with a known W, found ${x}`);
}
