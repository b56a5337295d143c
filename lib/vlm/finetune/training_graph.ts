/** Both sides of a CLIP in one graph that is trained: pictures or features, and texts or prototypes; and what it is fed. */

import { add, clip, exp, Graph, squeeze, sub, type Value } from "../../onnx/mod.ts";
import { stopGradient } from "../../autodiff/mod.ts";
import { InputError, Random, type Tensor, tensor } from "../../runtime/mod.ts";
import { type Batch, infoNce, type LossContext } from "../../train/mod.ts";
import { classLoss } from "./class_loss.ts";
import { contextFeeds, joinContext } from "./context.ts";
import { classesOfStep, type ExampleBatch, type ExampleSource } from "./examples.ts";
import { joinTower, promptRows, type PromptTokens, textFeeds, type Tower } from "./tower.ts";

/** What stands on the text side. */
export type TextSide =
  | { readonly kind: "prototypes"; readonly prototypes: Tensor<"float32"> }
  | { readonly kind: "tower"; readonly tower: Tower; readonly prompts: PromptTokens }
  | {
    readonly kind: "context";
    readonly tower: Tower;
    readonly prompts: PromptTokens;
    readonly vectors: Tensor<"float32">;
    readonly start: number;
  };

/** Settings of `tuningGraph`. */
export interface TuningGraphOptions {
  readonly source: ExampleSource;
  /** Runs on pixels; cached features need none. */
  readonly image: Tower | undefined;
  readonly text: TextSide;
  readonly objective: "classes" | "pairs";
  readonly logitScale: number;
  readonly learnLogitScale: boolean;
  /** Classes that a step compares. */
  readonly classesPerStep: number | undefined;
  readonly seed: string | number;
}

/** A graph to be trained and how it is fed. */
export interface TuningGraph {
  readonly graph: Graph;
  readonly loss: (context: LossContext) => { loss: Value };
  /** The tensors of one step. */
  feed(epoch: number, step: number): Promise<{ batch: Batch; images: number }>;
}

/** The learned scale's logarithm. */
export const LOGIT_SCALE = "logit_scale";

/** The largest scale that is learned (Radford et al. 2021, section 2.5). */
const LARGEST_SCALE = 100;

/** Writes the graph. Throws InputError where towers, texts and examples do not go together. */
export function tuningGraph(options: TuningGraphOptions): TuningGraph {
  const { source, image, text, objective, logitScale } = options;
  const graph = new Graph("fine-tuning");
  const pairs = objective === "pairs";
  const classes = text.kind === "prototypes" ? text.prototypes.shape[0]! : text.prompts.inputIds.shape[0]!;
  const count = text.kind === "prototypes" ? classes : Math.min(options.classesPerStep ?? classes, classes);
  if (!(Number.isInteger(count) && count >= 1)) {
    throw new InputError(`fine-tuning: expected classesPerStep from 1, found ${options.classesPerStep}`);
  }
  if (pairs && text.kind !== "tower") {
    throw new InputError(`fine-tuning: expected a text tower and prompts for pairs, found ${text.kind}`);
  }
  if (!source.cached && !image) {
    throw new InputError("fine-tuning: expected an image tower for pictures, or cached features, found neither");
  }
  const images = source.cached
    ? graph.input("image_features", "float32", ["N", ...source.sizes])
    : joinTower(graph, image!, { rows: "N", sizes: source.sizes }).embeds;
  const texts = textEmbeds(graph, text, pairs ? "N" : count);
  const [d, e] = [images.shape.at(-1), texts.shape.at(-1)];
  if (typeof d === "number" && typeof e === "number" && d !== e) {
    throw new InputError(`fine-tuning: expected embeddings of one length, found ${d} of images and ${e} of texts`);
  }
  graph.output(images, "images");
  graph.output(texts, "texts");
  if (options.learnLogitScale) graph.output(learnedScale(graph, logitScale), "scale");
  const read = ({ output }: LossContext) => ({
    images: output("images"),
    texts: output("texts"),
    scale: options.learnLogitScale ? output("scale") : logitScale,
  });
  return {
    graph,
    loss(context) {
      const { images, texts, scale } = read(context);
      if (pairs) return { loss: infoNce(images, texts, { scale }) };
      return { loss: classLoss(images, texts, context.input("labels", "int64", ["N"]), scale).loss };
    },
    async feed(epoch, step) {
      const found = await source.batch(epoch, step);
      const fed = source.cached ? "image_features" : image!.input.name;
      const random = Random.seeded("classes of a step", options.seed, epoch, step);
      const chosen = classesOfStep(found.labels, { classes, count: pairs ? classes : count, random });
      const targets = pairs ? {} : { labels: tensor("int64", [chosen.labels.length], chosen.labels) };
      const batch = { [fed]: found.rows, ...targets, ...textBatch(text, pairs, found, chosen.rows) };
      return { batch, images: found.labels.length };
    },
  };
}

function textEmbeds(graph: Graph, text: TextSide, rows: number | string): Value {
  if (text.kind === "prototypes") return graph.constant(text.prototypes, { name: "prototypes" });
  const length = text.prompts.inputIds.shape[1]!;
  return text.kind === "context"
    ? joinContext(graph, text.tower, { vectors: text.vectors, start: text.start, rows, length }).embeds
    : joinTower(graph, text.tower, { rows, sizes: [length] }).embeds;
}

function textBatch(text: TextSide, pairs: boolean, found: ExampleBatch, rows: readonly number[]): Batch {
  if (text.kind === "prototypes") return {};
  if (text.kind === "context") return contextFeeds(text.tower, text.prompts, text.vectors, rows);
  const own = pairs ? found.texts ?? promptRows(text.prompts, [...found.labels]) : promptRows(text.prompts, rows);
  return textFeeds(text.tower, own);
}

/** e^s with s trained; above the limit the scale stays at it, while the gradient still leads s back. */
function learnedScale(graph: Graph, start: number): Value {
  const s = graph.parameter(LOGIT_SCALE, tensor("float32", [1], [Math.log(start)]));
  const limited = add(s, stopGradient(sub(clip(s, undefined, Math.log(LARGEST_SCALE)), s)));
  return exp(squeeze(limited, [0]));
}
