/** CLIP-Adapter: two small layers bend the embeddings, which stay mostly as they are. */

import { add, div, gemm, Graph, mul, reduceSum, relu, sqrt, toModel } from "../../onnx/mod.ts";
import { kaimingUniform } from "../../models/mod.ts";
import { openSession, Random, type Tensor } from "../../runtime/mod.ts";
import type { Adapter, AdapterInput, FittedAdapter, Trial } from "./adapter.ts";
import { type TrainingOptions, trainOnBatches } from "./batches.ts";
import { checkInput, checkRows } from "./inputs.ts";
import { bestTrial, judge } from "./search.ts";
import { scaledTexts } from "./texts.ts";

/** Settings of `clipAdapter`. */
export interface ClipAdapterOptions extends Partial<TrainingOptions> {
  /** Shares of the bent embedding that are tried, each with a training of its own. Default: 0.2, 0.4, 0.6, 0.8. */
  readonly ratios?: readonly number[];
  /** Without validation pictures. Default: 0.2, as the authors' for ImageNet. */
  readonly ratio?: number;
  /** The hidden layer has D over this. Default: 4, as the authors'. */
  readonly reduction?: number;
  /** First weights, [D / reduction, D] and [D, D / reduction]; default: drawn, uniform within ±1/√(inputs), as PyTorch's Linear. */
  readonly initial?: ClipAdapterWeights;
}

/** The two layers, without biases. */
export interface ClipAdapterWeights {
  readonly down: Tensor<"float32">;
  readonly up: Tensor<"float32">;
}

/**
 * Logits s · g · t_k with g the normalised r · relu(relu(f · W₁) · W₂) + (1 − r) · f (Gao et al. 2021, "CLIP-Adapter: Better Vision-Language
 * Models with Feature Adapters"; the texts are not bent, as in the authors' best form). r is chosen by validation.
 * Trained by AdamW with rate 1e-3 falling along a cosine, 20 epochs of batches of 256.
 */
export function clipAdapter(
  {
    ratios = [0.2, 0.4, 0.6, 0.8],
    ratio = 0.2,
    reduction = 4,
    initial,
    epochs = 20,
    batch = 256,
    learningRate = 1e-3,
    weightDecay = 0.01,
    epsilon = 1e-8,
  }: ClipAdapterOptions = {},
): Adapter {
  const name = "clip-adapter";
  const training = { epochs, batch, learningRate, weightDecay, epsilon };
  return {
    name,
    settings: { ratios, ratio, reduction, ...training, ...(initial ? { initial: "given" } : {}) },
    learns: true,
    draws: true,
    async fit(input) {
      const { dimension } = checkInput(name, input);
      const hidden = Math.max(1, Math.floor(dimension / reduction));
      const tried: Trial[] = [];
      let kept: { fitted: FittedAdapter; trial: Trial | undefined } | undefined;
      const choices = input.validation ? ratios : [ratio];
      for (const [number, share] of choices.entries()) {
        const { onProgress } = input;
        const onPart: AdapterInput = {
          ...input,
          onProgress: onProgress && ((report) =>
            onProgress({
              ...report,
              done: number * (report.total ?? 0) + report.done,
              total: choices.length * (report.total ?? 0),
            })),
        };
        const trained = await trainOnBatches(network(input, hidden, share, initial), onPart, training, name)
          .catch(async (error) => {
            await kept?.fitted[Symbol.asyncDispose]();
            throw error;
          });
        const fitted = await openAdapter(trained, share, dimension, input.threads);
        const { validation } = input;
        const trial = validation &&
          { settings: { ratio: share }, ...judge(await fitted.logits(validation.features), validation.labels) };
        if (trial) tried.push(trial);
        const better = !kept || bestTrial(tried) === trial;
        await (better ? kept?.fitted : fitted)?.[Symbol.asyncDispose]();
        if (better) kept = { fitted, trial };
      }
      return { ...kept!.fitted, tried };
    },
  };
}

function network(input: AdapterInput, hidden: number, ratio: number, initial: ClipAdapterWeights | undefined): Graph {
  const dimension = input.texts.shape[1]!;
  const random = Random.seeded("clip-adapter weights", input.seed ?? 0),
    init = kaimingUniform(random, { slope: Math.sqrt(5) });
  const graph = new Graph("clip-adapter");
  const x = graph.input("x", "float32", ["N", dimension]);
  const down = graph.parameter("down", initial?.down ?? { shape: [hidden, dimension], init });
  const up = graph.parameter("up", initial?.up ?? { shape: [dimension, hidden], init });
  const bent = relu(gemm(relu(gemm(x, down, undefined, { transB: true })), up, undefined, { transB: true }));
  const mixed = add(mul(bent, ratio), mul(x, 1 - ratio));
  const unit = div(mixed, sqrt(reduceSum(mul(mixed, mixed), { axes: 1, keepdims: true })));
  const texts = graph.constant(scaledTexts(input), { name: "texts" });
  graph.output(gemm(unit, texts, undefined, { transB: true }), "logits");
  return graph;
}

async function openAdapter(
  graph: Graph,
  ratio: number,
  dimension: number,
  threads: number | undefined,
): Promise<FittedAdapter> {
  const session = await openSession(toModel(graph), { threads });
  return {
    adapter: "clip-adapter",
    chosen: { ratio },
    tried: [],
    async logits(features) {
      checkRows("clip-adapter: features", features, dimension);
      return (await session.run({ x: features })).logits as Tensor<"float32">;
    },
    [Symbol.asyncDispose]: () => session.dispose(),
  };
}
