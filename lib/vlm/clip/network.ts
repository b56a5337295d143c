/** The graph that a CLIP is trained with, its loss, and what a step is fed. */

import { add, exp, gather, Graph, min, mul, type Value } from "../../onnx/mod.ts";
import { Random, type Tensor } from "../../runtime/mod.ts";
import type { Batch, LossContext, LossResult } from "../../train/mod.ts";
import { infoNce } from "../../train/mod.ts";
import type { TokenizedTexts } from "../tokenizer/mod.ts";
import type { ClipConfig } from "./config.ts";
import { type ClipShape, imageTower, textTower } from "./towers.ts";

/** The highest scale: beyond it training becomes unstable (Radford et al. 2021, section 2.5). */
export const HIGHEST_SCALE = 100;

/** Name of the parameter whose exponential is the scale. */
export const LOG_SCALE = "logit_scale";

/** Outputs of the graph that is trained. */
const OUT = { images: "images/embeds", texts: "texts/embeds", names: "names/embeds", scale: "scale" } as const;

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
}

/** How much a step is fed, by the settings. */
export function clipSizes(
  { loss, training: { batch } }: Pick<ClipConfig, "loss" | "training">,
  { species, nameLength }: { readonly species: number; readonly nameLength: number },
): ClipSizes {
  const left = species - batch, negatives = Math.min(loss.negatives, left);
  const names = loss.names.weight > 0 ? batch + Math.min(loss.names.negatives, left) : 0;
  return { batch, negatives, names, nameLength };
}

/** Both towers in one graph with fresh weights, for batches of one size. */
export function clipGraph(
  shape: ClipShape,
  { batch, negatives, names, nameLength }: ClipSizes,
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
  return graph;
}

/** The loss of `clipGraph`: the symmetric infoNce, and the pictures among names. */
export function clipLoss(
  { batch, negatives, names }: ClipSizes,
  { names: { weight } }: ClipConfig["loss"],
): (context: LossContext) => LossResult {
  return ({ graph, output }) => {
    const scale = output(OUT.scale), images = output(OUT.images);
    const rows = (of: Value, from: number, count: number) =>
      gather(of, graph.ints(Array.from({ length: count }, (_, i) => from + i)), { axis: 0 });
    const parts = (name: string, more: number): { own: Value; negatives?: Value } => {
      const all = output(name);
      return more === 0 ? { own: all } : { own: rows(all, 0, batch), negatives: rows(all, batch, more) };
    };
    const { own, ...others } = parts(OUT.texts, negatives);
    const contrastive = infoNce(images, own, { scale, ...others });
    if (names === 0) return { loss: contrastive, metrics: { scale } };
    const { own: named, ...rivals } = parts(OUT.names, names - batch);
    const naming = infoNce(images, named, { scale, direction: "rows", ...rivals });
    return { loss: add(contrastive, mul(naming, weight)), metrics: { scale, contrastive, naming } };
  };
}

/** A batch of the graph that is trained. */
export function clipBatch(images: Tensor, texts: TokenizedTexts, names: TokenizedTexts | undefined): Batch {
  return { images, ...clipTexts(texts, names) };
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
