/** Ways to classify a picture, all asked alike: networks of pictures, language, and what joins them. */

import {
  fitTemperature,
  judgeClassification,
  logarithms,
  properScores,
  type Scores,
  softmaxOf,
} from "../../evaluate/mod.ts";
import { isClassifier, judgeModel, type OpenedModel, splitPictures } from "../../experiment/mod.ts";
import { fromFile } from "../../onnx/mod.ts";
import { InputError, type Tensor } from "../../runtime/mod.ts";
import { type Encoder, type FittedAdapter, zeroShotProbabilities } from "../../vlm/mod.ts";
import { aligned, type Answers } from "../answers.ts";
import { cascadeAnswers, cascadeCurve, type CascadePoint, chooseThreshold } from "../cascade.ts";
import { logitsOf } from "../fusion/train_fusion.ts";
import { fitLateFusion, fuseLate, type LateFusion } from "../late_fusion.ts";
import { type CostPart, type Costs, totalCost } from "./cost.ts";
import type { PictureView } from "./picture_view.ts";

/** What a way stands on. "distilled" has learned from a hybrid and is a network of pictures when it runs. */
export type Family = "pictures" | "language" | "hybrid" | "distilled";

/** What a way is. */
export type Kind =
  | "detector"
  | "classifier"
  | "zero-shot"
  | "adapter"
  | "hybrid"
  | "ensemble"
  | "cascade"
  | "distilled";

const FAMILIES: Readonly<Record<Kind, Family>> = {
  ...{ detector: "pictures", classifier: "pictures", "zero-shot": "language", adapter: "language" },
  ...{ hybrid: "hybrid", ensemble: "hybrid", cascade: "hybrid", distilled: "distilled" },
};

/** A way to classify. */
export interface Approach {
  readonly name: string;
  readonly kind: Kind;
  readonly family: Family;
  readonly costs: Costs;
  /** Probabilities [pictures, species] in the order of the view's features. A view is looked at once. */
  scores(view: PictureView): Promise<Scores>;
}

/** An approach that remembers what it said of a view. */
function approach(
  { scores, ...about }: Pick<Approach, "name" | "kind" | "costs"> & {
    readonly scores: (view: PictureView) => Promise<Scores>;
  },
): Approach {
  const known = new Map<PictureView, Promise<Scores>>();
  return {
    ...about,
    family: FAMILIES[about.kind],
    scores(view) {
      const found = known.get(view) ?? scores(view);
      known.set(view, found);
      return found;
    },
  };
}

/** A network of pictures, asked among the view's species. Species that it does not know get probability 0. */
export function networkApproach(
  name: string,
  model: OpenedModel,
  cost: CostPart,
  { kind = isClassifier(model.card.decode.family) ? "classifier" : "detector" }: { readonly kind?: Kind } = {},
): Approach {
  return approach({
    ...{ name, kind, costs: { always: [cost] } },
    async scores({ dataset, split, features }) {
      const { distributions: { probabilities }, labels, facts } = await judgeModel(
        model,
        splitPictures(dataset, split),
      );
      if (!probabilities) throw new InputError(`${name}: expected a model with probabilities, found none`);
      const dex = model.classes.map((species) => species.dex);
      return aligned({ model: name, probabilities, labels, pictures: facts.map(({ id }) => id), dex }, features)
        .probabilities;
    },
  });
}

/** The nearest text; `texts` are one embedding a species, in the view's order. */
export function zeroShotApproach(
  name: string,
  { logitScale }: Pick<Encoder, "logitScale">,
  texts: Tensor<"float32">,
  costs: Costs,
): Approach {
  const kind = "zero-shot";
  return approach({
    ...{ name, kind, costs },
    scores: ({ features: { embedding } }) => zeroShotProbabilities(embedding, texts, logitScale),
  });
}

/** A fitted adapter of embeddings. */
export function adapterApproach(name: string, fitted: FittedAdapter, costs: Costs): Approach {
  return approach({
    ...{ name, kind: "adapter", costs },
    async scores({ features: { embedding, dex } }) {
      return softmaxOf({ values: (await fitted.logits(embedding)).data, classes: dex.length });
    },
  });
}

/** A trained fusion of features and embeddings: the path of a graph from `trainFusion`. */
export function fusionApproach(
  name: string,
  graph: string,
  costs: Costs,
  { kind = "hybrid" }: { readonly kind?: Kind } = {},
): Approach {
  return approach({
    ...{ name, kind, costs },
    async scores({ features }) {
      return softmaxOf((await logitsOf(await fromFile(graph), [features]))[0]!);
    },
  });
}

/** Answers weighed as `fitLateFusion` finds it best on validation. */
export async function lateApproach(
  name: string,
  parts: readonly Approach[],
  validation: PictureView,
): Promise<Approach & { readonly fusion: LateFusion }> {
  const all = (view: PictureView) => Promise.all(parts.map((part) => part.scores(view)));
  const fusion = fitLateFusion(await all(validation), validation.features.labels);
  const own = approach({
    ...{ name, kind: "ensemble", costs: { always: parts.flatMap(({ costs }) => costs.always) } },
    scores: async (view) => fuseLate(fusion, await all(view)),
  });
  return { ...own, fusion };
}

/** A cascade at the threshold that validation chose, with its curve on these pictures. */
export interface CascadeApproach extends Approach {
  readonly chosen: CascadePoint;
  /** The curve on other pictures; costs in milliseconds. */
  curve(view: PictureView): Promise<CascadePoint[]>;
}

/** The first answers where it is sure, the second one else. What both run is paid once. */
export async function cascadeApproach(
  name: string,
  [cheap, dear]: readonly [cheap: Approach, dear: Approach],
  validation: PictureView,
  { loss }: { readonly loss?: number } = {},
): Promise<CascadeApproach> {
  const always = cheap.costs.always, parts = dear.costs.always;
  const latency = (share: number) => totalCost({ always, sometimes: { share, parts } }).latency;
  const costs = { cheap: latency(0), dear: latency(1) - latency(0) };
  const curveOf = async (view: PictureView) =>
    cascadeCurve({
      ...{ cheap: await cheap.scores(view), dear: await dear.scores(view), labels: view.features.labels, costs },
    });
  const chosen = chooseThreshold(await curveOf(validation), loss === undefined ? {} : { loss });
  const own = approach({
    ...{ name, kind: "cascade", costs: { always, sometimes: { share: chosen.asked, parts } } },
    scores: async (view) => cascadeAnswers(await cheap.scores(view), await dear.scores(view), chosen.threshold),
  });
  return { ...own, chosen, curve: curveOf };
}

/** What a way says of a view, as `studyHybrid` takes it. */
export async function answersOf(
  { name, scores }: Pick<Approach, "name" | "scores">,
  view: PictureView,
): Promise<Answers> {
  const { labels, pictures, dex } = view.features;
  return { model: name, probabilities: await scores(view), labels, pictures, dex };
}

/** Of each picture of a view whether a way's first answer is right. */
export async function rightAnswers({ scores }: Pick<Approach, "scores">, view: PictureView): Promise<boolean[]> {
  return Array.from(judgeClassification(await scores(view), view.features.labels).ranks, (rank) => rank === 0);
}

/** The way that is right most often; of equals that with the smaller negative log-likelihood. Throws InputError without any. */
export async function bestOf<Way extends Approach>(ways: readonly Way[], validation: PictureView): Promise<Way> {
  const { labels } = validation.features;
  const judged = await Promise.all(
    ways.map(async (way) => ({ way, ...figuresOf(await way.scores(validation), labels) })),
  );
  const [first, ...others] = judged;
  if (!first) throw new InputError("comparison: expected at least one way, found none");
  return others.reduce((top, each) => isBetter(each, top) ? each : top, first).way;
}

/** Whether figures of validation are better. */
export function isBetter(
  a: { readonly top1: number; readonly nll: number },
  b: { readonly top1: number; readonly nll: number },
): boolean {
  return a.top1 > b.top1 || a.top1 === b.top1 && a.nll < b.nll;
}

/** Top-1 and, at the temperature that fits, the negative log-likelihood. */
export function figuresOf(scores: Scores, labels: Int32Array): { readonly top1: number; readonly nll: number } {
  const { nll } = properScores(softmaxOf(logarithms(scores), fitTemperature(logarithms(scores), labels)), labels);
  return { top1: judgeClassification(scores, labels).top1.share, nll };
}
