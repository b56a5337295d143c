/** The classifier on joined features: standardised inputs, a fusion, and a head for each task. */

import { CLASSIFIER_VALUES, constant, linear } from "../../models/mod.ts";
import { add, dropout, exp, Graph, matMul, mul, transpose, type Value } from "../../onnx/mod.ts";
import { InputError, Random, type Tensor } from "../../runtime/mod.ts";
import { type Species, types } from "../../species/mod.ts";
import { unitRows } from "../../train/mod.ts";
import { featureName } from "../backbone.ts";
import type { FusionConfig } from "./config.ts";
import { fusionOf, readsEmbedding, readsVisual } from "./fusions.ts";
import { type Moments, standardised } from "./standardise.ts";

/** Names of values of the classifier's graph beside the inputs "features0", … (`featureName`). */
export const FUSION_VALUES = {
  /** Input, [N, D], rows of length 1. */
  embedding: "embedding",
  /** What the heads read, [N, width]. */
  joined: "joined",
  /** Outputs: of the species [N, classes], of the 18 types [N, 18], of the generations [N, generations]. */
  logits: CLASSIFIER_VALUES.logits,
  types: "types",
  generation: "generation",
  /** Output: of the tasks in this order, [tasks]; for the loss. */
  logVariances: "log_variances",
} as const;

/** The generations of games, 1 … 9. */
export const GENERATIONS = 9;

/** Numbers of the inputs, and their means and deviations in train. */
export interface FeatureMoments {
  readonly visual: readonly Moments[];
  readonly embedding: Moments;
}

/** Settings of `fusionGraph`. */
export interface FusionGraphOptions {
  readonly config: Pick<FusionConfig, "name" | "fusion" | "tasks">;
  /** Of the training pictures; they also tell the widths. */
  readonly moments: FeatureMoments;
  readonly classes: number;
  /** One text embedding a class, [classes, D], rows of length 1. Needed where the settings ask for them. */
  readonly prototypes?: Tensor<"float32"> | undefined;
  readonly seed: number;
}

/** The scale of cosines before training: 1 / 0.07 (Radford et al. 2021, section 2.5), as a logarithm. */
const LOG_SCALE = Math.log(1 / 0.07);

/**
 * The graph from cached features to "logits" [N, classes], and with further tasks to "types" and "generation". It has only those inputs
 * that its fusion reads. With prototypes the logits are the linear head's plus s · cos(e + W · h, t_c): the embedding e, moved by what
 * was joined (W begins at 0: the start is zero-shot classification), against the text t_c of each class, with a learned scale s.
 * Throws InputError for scales that there are not, and where prototypes are missing or of another shape.
 */
export function fusionGraph({ config, moments, classes, prototypes, seed }: FusionGraphOptions): Graph {
  const { name, fusion, tasks } = config, { kind, width, heads, scales = moments.visual.map((_, i) => i) } = fusion;
  const missing = scales.find((scale) => !moments.visual[scale]);
  if (missing !== undefined) {
    throw new InputError(`${name}: fusion.scales: expected scales below ${moments.visual.length}, found ${missing}`);
  }
  const graph = new Graph(name), random = Random.seeded("fusion", seed);
  const input = (port: string, own: Moments) => {
    const raw = graph.input(port, "float32", ["N", own.mean.shape[0]!]);
    return { raw, ready: fusion.standardise ? standardised(raw, own, port) : raw };
  };
  const visual = readsVisual(kind) ? scales.map((i) => input(featureName(i), moments.visual[i]!).ready) : [];
  const embedding = readsEmbedding(kind) || fusion.prototypes
    ? input(FUSION_VALUES.embedding, moments.embedding)
    : undefined;
  const joined = graph.scope(
    "join",
    () => fusionOf[kind]({ visual, embedding: embedding?.ready ?? visual[0]! }, { width, heads, random }),
  );
  graph.rename(joined, FUSION_VALUES.joined);
  const features = fusion.dropout > 0 ? dropout(joined, { ratio: fusion.dropout, name: "head.dropout" }).y : joined;
  const head = (head: string, outputs: number) => linear(features, { name: `head.${head}`, outputs, random });
  let logits = head("species", classes);
  if (fusion.prototypes) {
    logits = add(logits, cosineLogits(features, embedding!.raw, { name, classes, prototypes, random }));
  }
  graph.output(logits, FUSION_VALUES.logits);
  if (tasks.types) graph.output(head("types", types.length), FUSION_VALUES.types);
  if (tasks.generation) graph.output(head("generation", GENERATIONS), FUSION_VALUES.generation);
  const count = 1 + Number(tasks.types) + Number(tasks.generation);
  if (count > 1 && tasks.weighting === "uncertainty") {
    const learned = graph.parameter("head.log_variances", { shape: [count], init: constant(0) });
    graph.output(learned, FUSION_VALUES.logVariances);
  }
  return graph;
}

/** s · cos(e + W · h, t_c), [N, classes]. */
function cosineLogits(
  joined: Value,
  embedding: Value,
  { name, classes, prototypes, random }: {
    readonly name: string;
    readonly classes: number;
    readonly prototypes: Tensor<"float32"> | undefined;
    readonly random: Random;
  },
): Value {
  const { graph } = joined, width = embedding.shape[1] as number;
  if (String(prototypes?.shape) !== String([classes, width])) {
    throw new InputError(
      `${name}: fusion.prototypes: expected text prototypes [${classes}, ${width}], found ${
        prototypes ? `[${prototypes.shape}]` : "none"
      }`,
    );
  }
  const moved = linear(joined, { name: "head.moved", outputs: width, random, weight: () => constant(0) });
  const texts = unitRows(graph.constant(prototypes!, { name: "prototypes" }));
  const scale = exp(graph.parameter("head.log_scale", { shape: [1], init: constant(LOG_SCALE) }));
  return mul(matMul(unitRows(add(embedding, moved)), transpose(texts, [1, 0])), scale);
}

/** What a species is besides itself, for the loss: [classes, 18] and [classes, generations], 1 where it is so. */
export interface SpeciesFacts {
  readonly types: Float32Array;
  readonly generation: Float32Array;
}

/** The facts of the classes of a model. */
export function factsOf(classes: readonly Species[]): SpeciesFacts {
  const typed = new Float32Array(classes.length * types.length), born = new Float32Array(classes.length * GENERATIONS);
  for (const [row, species] of classes.entries()) {
    for (const type of species.types) typed[row * types.length + types.indexOf(type)] = 1;
    born[row * GENERATIONS + species.generation - 1] = 1;
  }
  return { types: typed, generation: born };
}
