/** How visual features of several scales and an embedding become one vector: functions of the graph builder. */

import { linear, ModelError } from "../../models/mod.ts";
import {
  add,
  concat,
  layerNormalization,
  matMul,
  mul,
  relu,
  reshape,
  sigmoid,
  softmax,
  sub,
  tanh,
  transpose,
  unsqueeze,
  type Value,
} from "../../onnx/mod.ts";
import type { Random } from "../../runtime/mod.ts";

/** The kinds of fusion; the last two read one modality alone. */
export const FUSIONS = ["concatenation", "gated", "film", "attention", "visual", "embedding"] as const;

/** The name of a fusion. */
export type FusionKind = typeof FUSIONS[number];

/** What is joined. */
export interface Modalities {
  /** [N, Cᵢ] each, the finest scale first; at least one. */
  readonly visual: readonly Value[];
  /** [N, D]. */
  readonly embedding: Value;
}

/** Settings of a fusion. */
export interface FusionOptions {
  /** Numbers of the result. */
  readonly width: number;
  /** Of the attention. Default: 4. */
  readonly heads?: number;
  readonly random: Random;
}

/** Appends a fusion; its weights are named "NAME.weight" and "NAME.bias". Gives [N, width]. */
export type Fusion = (modalities: Modalities, options: FusionOptions) => Value;

/** relu(W · [visual; embedding] + b). */
export const concatenation: Fusion = ({ visual, embedding }, { width, random }) =>
  relu(linear(joined([...visual, embedding]), { name: "joint", outputs: width, random }));

/**
 * The gated multimodal unit (Arevalo et al. 2017, "Gated multimodal units for information fusion", equations 1 to 4): h_v =
 * tanh(W_v · v), h_t = tanh(W_t · t), z = σ(W_z · [v; t]), h = z · h_v + (1 − z) · h_t, with v all visual scales and t the embedding.
 * The gate says for every number of the result which modality it is from. (With biases, which the paper leaves out.)
 */
export const gatedSum: Fusion = ({ visual, embedding }, { width, random }) => {
  const v = joined(visual);
  const layer = (x: Value, name: string) => linear(x, { name, outputs: width, random });
  const seen = tanh(layer(v, "visual")), told = tanh(layer(embedding, "embedding"));
  const gate = sigmoid(layer(joined([v, embedding]), "gate"));
  return add(mul(gate, seen), mul(sub(1, gate), told));
};

/**
 * FiLM (Perez et al. 2018, "FiLM: Visual reasoning with a general conditioning layer", equation 2): relu(γ(t) · (W · v + b) + β(t)),
 * with γ and β linear in the embedding t. What is learned of γ is its distance from 1, as in section 3 there.
 */
export const film: Fusion = ({ visual, embedding }, { width, random }) => {
  const seen = linear(joined(visual), { name: "visual", outputs: width, random });
  const scale = add(linear(embedding, { name: "scale", outputs: width, random }), 1);
  return relu(add(mul(scale, seen), linear(embedding, { name: "shift", outputs: width, random })));
};

/**
 * The embedding looks at the scales (Vaswani et al. 2017, "Attention is all you need", sections 3.2 and 3.1): each scale is projected
 * to a key and a value of its own weights, the embedding to the query; softmax(q · kᵀ / √(width / heads)) · v over the scales, in
 * `heads` parts, projected, and added to the projected embedding before layer normalisation. Throws ModelError unless the heads
 * divide the width.
 */
export const crossAttention: Fusion = ({ visual, embedding }, { width, heads = 4, random }) => {
  if (width % heads !== 0) {
    throw new ModelError(`attention: expected heads that divide the width ${width}, found ${heads}`);
  }
  const { graph } = embedding, size = width / heads;
  const layer = (x: Value, name: string) => linear(x, { name, outputs: width, random });
  // [N, scales, width] → [N, heads, scales, size]
  const parted = (rows: readonly Value[]) => {
    const tokens = concat(rows.map((row) => unsqueeze(row, [1])), 1);
    return transpose(reshape(tokens, [0, rows.length, heads, size]), [0, 2, 1, 3]);
  };
  const query = parted([layer(embedding, "query")]);
  const keys = parted(visual.map((x, i) => layer(x, `key${i}`)));
  const values = parted(visual.map((x, i) => layer(x, `value${i}`)));
  const weights = softmax(mul(matMul(query, transpose(keys, [0, 1, 3, 2])), 1 / Math.sqrt(size)), { axis: -1 });
  const found = reshape(transpose(matMul(weights, values), [0, 2, 1, 3]), [0, width]);
  const together = add(layer(embedding, "embedding"), layer(found, "attended"));
  const constant = (name: string, value: number) =>
    graph.parameter(name, { shape: [width], dtype: together.dtype, init: () => new Array<number>(width).fill(value) });
  return layerNormalization(together, constant("norm.scale", 1), constant("norm.bias", 0), { axis: -1 });
};

/** relu(W · v + b) of the visual scales alone. */
export const visualAlone: Fusion = ({ visual }, { width, random }) =>
  relu(linear(joined(visual), { name: "visual", outputs: width, random }));

/** relu(W · t + b) of the embedding alone. */
export const embeddingAlone: Fusion = ({ embedding }, { width, random }) =>
  relu(linear(embedding, { name: "embedding", outputs: width, random }));

/** The function of a name. */
export const fusionOf: Readonly<Record<FusionKind, Fusion>> = {
  concatenation,
  gated: gatedSum,
  film,
  attention: crossAttention,
  visual: visualAlone,
  embedding: embeddingAlone,
};

/** Which modalities a kind reads. */
export const readsVisual = (kind: FusionKind) => kind !== "embedding";
export const readsEmbedding = (kind: FusionKind) => kind !== "visual";

function joined(values: readonly Value[]): Value {
  return values.length === 1 ? values[0]! : concat(values, 1);
}
