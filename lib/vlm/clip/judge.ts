/** How well a CLIP recognises species that it was trained on by their names, and others by what is said of them. */

import type { PictureCache, Split } from "../../data/mod.ts";
import { type Dataset, evaluationLoader, type ShownAs } from "../../experiment/mod.ts";
import { type Classification, judgeClassification, type Share } from "../../evaluate/mod.ts";
import { toModel } from "../../onnx/mod.ts";
import { openSession, type Tensor, tensor } from "../../runtime/mod.ts";
import { cosines } from "../cosines.ts";
import type { ClipTokenizer } from "../tokenizer/mod.ts";
import { embedPixels, embedTexts } from "./embed.ts";
import type { PartedData } from "./held_out.ts";
import { classTexts } from "./texts.ts";
import { type ClipShape, textGraph, visionGraph } from "./towers.ts";

/** Accuracies of one split; those without pictures are left out. */
export interface ClipFigures {
  /** Of the trained species, by name captions over all of them. */
  readonly trained?: { readonly top1: Share; readonly top5: Share };
  /** Of the held-out species, by attribute captions over all of them. */
  readonly heldOut?: { readonly top1: Share; readonly top5: Share };
}

/** Weights by name, as `Step.parameters` gives them. */
export type Weights = Readonly<Record<string, Tensor>>;

/** A tower's graph with trained weights. */
export function withWeights<G extends ReturnType<typeof visionGraph>>(graph: G, weights: Weights): G {
  for (const [name, content] of Object.entries(weights)) {
    const value = graph.values.get(name);
    if (value?.tensor) graph.setTensor(value, content);
  }
  return graph;
}

/** Settings of `ClipJudge`. */
export interface ClipJudgeOptions {
  readonly shape: ClipShape;
  readonly tokenizer: ClipTokenizer;
  readonly shown: ShownAs;
  readonly cache: PictureCache;
  readonly threads: number;
}

/** Judges weights on a split of the data. */
export class ClipJudge {
  readonly #data: PartedData;
  readonly #options: ClipJudgeOptions;
  readonly #texts: ReturnType<typeof classTexts>;

  constructor(data: PartedData, options: ClipJudgeOptions) {
    this.#data = data;
    this.#options = options;
    this.#texts = classTexts(data.trained.classes, data.heldOut.classes);
  }

  /** The figures of a split. Throws what `signal` was aborted with. */
  async judge(
    split: Split,
    weights: Weights,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ClipFigures> {
    const { shape, threads } = this.#options;
    const graphs = [visionGraph(shape, "zeros"), textGraph(shape, "zeros")].map((graph) => withWeights(graph, weights));
    await using vision = await openSession(toModel(graphs[0]!), { threads, name: "vision" });
    await using text = await openSession(toModel(graphs[1]!), { threads, name: "text" });
    const part = async (data: Dataset, texts: readonly string[]) => {
      if (data.rows[split].length === 0 || texts.length === 0) return undefined;
      const rows = await embedTexts(text, this.#options.tokenizer, texts, shape.dimension);
      const { top1, top5 } = await this.#classify(data, split, { vision, rows, signal });
      return { top1, top5 };
    };
    const trained = await part(this.#data.trained, this.#texts.names);
    const heldOut = await part(this.#data.heldOut, this.#texts.descriptions);
    return { ...(trained ? { trained } : {}), ...(heldOut ? { heldOut } : {}) };
  }

  async #classify(
    data: Dataset,
    split: Split,
    { vision, rows, signal }: {
      readonly vision: Parameters<typeof embedPixels>[0];
      readonly rows: Tensor<"float32">;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<Classification> {
    const { cache, shown, shape: { dimension } } = this.#options;
    // Drawn in this thread: the workers of the training draw its next batches meanwhile.
    using loader = evaluationLoader(data, split, cache, shown, { workers: 0 });
    const embeds = new Float32Array(data.rows[split].length * dimension), labels: number[] = [];
    for await (const { images, shape, labels: own } of loader.epoch(0)) {
      signal?.throwIfAborted();
      const { data: found } = await embedPixels(vision, tensor("float32", shape, images));
      embeds.set(found, labels.length * dimension);
      labels.push(...own);
    }
    const { data: values } = await cosines(tensor("float32", [labels.length, dimension], embeds), rows);
    return judgeClassification({ values, classes: data.classes.length }, Int32Array.from(labels));
  }
}

/** The figures as a validation's, by the names that `training.monitor` knows. */
export function validationFigures({ trained, heldOut }: ClipFigures): Record<string, number> {
  return {
    ...(trained ? { top1: trained.top1.share, top5: trained.top5.share } : {}),
    ...(heldOut ? { heldOutTop1: heldOut.top1.share, heldOutTop5: heldOut.top5.share } : {}),
  };
}
