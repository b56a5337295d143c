/** The graph that a CLIP is trained with, its loss, and what a step is fed. */

import { add, concat, exp, gather, Graph, matMul, min, mul, transpose, type Value } from "../../onnx/mod.ts";
import { Random, type Tensor, tensor } from "../../runtime/mod.ts";
import {
  type Batch,
  crossEntropy,
  infoNce,
  type LossContext,
  type LossResult,
  normal,
  unitRows,
} from "../../train/mod.ts";
import type { TokenizedTexts } from "../tokenizer/mod.ts";
import type { ClipConfig } from "./config.ts";
import { type ClipShape, imageTower, textTower } from "./towers.ts";

/** The highest scale: beyond it training becomes unstable (Radford et al. 2021, section 2.5). */
export const HIGHEST_SCALE = 100;

/** Name of the parameter whose exponential is the scale. */
export const LOG_SCALE = "logit_scale";

/** Outputs of the graph that is trained. */
const OUT = {
  images: "images/embeds",
  texts: "texts/embeds",
  names: "names/embeds",
  scale: "scale",
  species: "species",
} as const;

/** What is fed of the species that pictures and texts belong to: numbers of prototypes. */
const LABELS = { images: "images/labels", texts: "texts/labels", names: "names/labels" } as const;

/** What is fed, and how much of it. */
export interface ClipSizes {
  /** Pictures, and captions that belong to them. */
  readonly batch: number;
  /** Further captions. */
  readonly negatives: number;
  /** Names, the batch's first; 0: none are fed. */
  readonly names: number;
  /** Tokens of a name caption. */
  readonly nameLength: number;
  /** Prototypes; 0: there are none, and no labels are fed. */
  readonly species: number;
}

/** How much a step is fed, by the settings. */
export function clipSizes(
  { loss, training: { batch } }: Pick<ClipConfig, "loss" | "training">,
  { species, nameLength }: { readonly species: number; readonly nameLength: number },
): ClipSizes {
  const left = species - batch, negatives = Math.min(loss.negatives, left);
  const names = loss.names.weight > 0 ? batch + Math.min(loss.names.negatives, left) : 0;
  const prototypes = loss.species.pictures + loss.species.texts > 0 ? species : 0;
  return { batch, negatives, names, nameLength, species: prototypes };
}

/** Both towers in one graph with fresh weights, for batches of one size. */
export function clipGraph(
  shape: ClipShape,
  { batch, negatives, names, nameLength, species }: ClipSizes,
  { seed, scale }: { readonly seed: number; readonly scale: number },
): Graph {
  const graph = new Graph("clip"), random = Random.seeded("clip", seed);
  const images = graph.input("images", "float32", [batch, 3, shape.size, shape.size]);
  const texts = (name: string, rows: number, length: number) =>
    textTower(
      graph.input(`${name}/ids`, "int64", [rows, length]),
      graph.input(`${name}/mask`, "int64", [rows, length]),
      shape,
      random,
    );
  graph.output(imageTower(images, shape, random), OUT.images);
  graph.output(texts("texts", batch + negatives, shape.text.context), OUT.texts);
  if (names > 0) graph.output(texts("names", names, nameLength), OUT.names);
  const log = graph.parameter(LOG_SCALE, { shape: [1], init: () => [Math.log(scale)] });
  graph.output(min([exp(log), HIGHEST_SCALE]), OUT.scale);
  if (species > 0) {
    const prototypes = { shape: [species, shape.dimension], init: normal(random) };
    graph.output(unitRows(graph.parameter("species.prototypes", prototypes)), OUT.species);
  }
  return graph;
}

/** The loss of `clipGraph`: the symmetric infoNce, the pictures among names, and pictures and texts among the species' prototypes. */
export function clipLoss(
  sizes: ClipSizes,
  loss: ClipConfig["loss"],
): (context: LossContext) => LossResult {
  const { batch, negatives, names } = sizes, { names: { weight } } = loss;
  return (context) => {
    const { graph, output } = context;
    const scale = output(OUT.scale), images = output(OUT.images);
    const rows = (of: Value, from: number, count: number) =>
      gather(of, graph.ints(Array.from({ length: count }, (_, i) => from + i)), { axis: 0 });
    const parts = (name: string, more: number): { own: Value; negatives?: Value } => {
      const all = output(name);
      return more === 0 ? { own: all } : { own: rows(all, 0, batch), negatives: rows(all, batch, more) };
    };
    const { own, ...others } = parts(OUT.texts, negatives);
    const contrastive = infoNce(images, own, { scale, ...others });
    const metrics: Record<string, Value> = { scale, contrastive };
    let whole = contrastive;
    if (names > 0) {
      const { own: named, ...rivals } = parts(OUT.names, names - batch);
      metrics.naming = infoNce(images, named, { scale, direction: "rows", ...rivals });
      whole = add(whole, mul(metrics.naming, weight));
    }
    for (const [name, { value, weight }] of Object.entries(speciesLosses(context, sizes, loss))) {
      metrics[name] = value;
      whole = add(whole, mul(value, weight));
    }
    return { loss: whole, metrics };
  };
}

/** The cross entropies among the prototypes, by their names in the log, each with its weight. */
function speciesLosses(
  { input, output }: LossContext,
  { batch, negatives, names, species }: ClipSizes,
  { species: { pictures, texts, labelSmoothing } }: ClipConfig["loss"],
): Record<string, { value: Value; weight: number }> {
  if (species === 0) return {};
  const prototypes = transpose(output(OUT.species), [1, 0]);
  const entropy = (embeds: Value, labels: Value) =>
    crossEntropy(mul(matMul(unitRows(embeds), prototypes), output(OUT.scale)), labels, { labelSmoothing });
  const labelled = (part: "images" | "texts" | "names", rows: number) =>
    [output(OUT[part]), input(LABELS[part], "int64", [rows])] as const;
  const told = [labelled("texts", batch + negatives), ...(names > 0 ? [labelled("names", names)] : [])];
  const all = (index: 0 | 1) => told.length === 1 ? told[0]![index] : concat(told.map((each) => each[index]), 0);
  return {
    ...(pictures > 0 ? { speciesOfPictures: { value: entropy(...labelled("images", batch)), weight: pictures } } : {}),
    ...(texts > 0 ? { speciesOfTexts: { value: entropy(all(0), all(1)), weight: texts } } : {}),
  };
}

/** A batch of the graph that is trained, without labels: for embeddings. */
export function clipBatch(images: Tensor, texts: TokenizedTexts, names: TokenizedTexts | undefined): Batch {
  return { images, ...clipTexts(texts, names) };
}

/** The labels of a batch, by input name: of its pictures, its texts and its names. */
export function clipLabels(
  { pictures, texts }: ClipConfig["loss"]["species"],
  labels: { readonly images: ArrayLike<number>; readonly texts: readonly number[]; readonly names: readonly number[] },
): Batch {
  const fed = (["images", "texts", "names"] as const)
    .filter((part) => (part === "images" ? pictures : texts) > 0 && labels[part].length > 0);
  return Object.fromEntries(fed.map((part) => {
    const values = Array.from(labels[part], BigInt);
    return [LABELS[part], tensor("int64", [values.length], values)];
  }));
}

/** The texts of a batch, by input name. */
export function clipTexts(texts: TokenizedTexts, names: TokenizedTexts | undefined): Batch {
  return {
    "texts/ids": texts.ids,
    "texts/mask": texts.mask,
    ...(names ? { "names/ids": names.ids, "names/mask": names.mask } : {}),
  };
}

/** What `Step.evaluate` gives of a batch: embeddings of the pictures, and of its texts. */
export function embedsOf(outputs: Readonly<Record<string, Tensor>>): { images: Tensor; texts: Tensor } {
  return { images: outputs[OUT.images]!, texts: outputs[OUT.texts]! };
}

/** The scale that a trained parameter stands for. */
export function scaleOf(log: Tensor): number {
  return Math.min(HIGHEST_SCALE, Math.exp(Number(log.data[0])));
}
