/** Tip-Adapter: pictures near to a key of the cache are of the key's class; with trained keys it is Tip-Adapter-F. */

import { add, gemm, Graph, mul } from "../../onnx/mod.ts";
import { InputError, type Tensor, tensor } from "../../runtime/mod.ts";
import type { Adapter, AdapterInput, FittedAdapter, Settings, Trial } from "./adapter.ts";
import { type TrainingOptions, trainOnBatches } from "./batches.ts";
import { buildCache, type Cache, CacheModel, cacheScores } from "./cache_model.ts";
import { checkInput, checkRows } from "./inputs.ts";
import { pause } from "./pause.ts";
import { Products } from "./products.ts";
import { bestTrial, mix, tryWeights } from "./search.ts";
import { scaledTexts } from "./texts.ts";

/** Settings of `tipAdapter`. */
export interface TipAdapterOptions {
  /** Weights of the cache that are tried. Default: 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10. */
  readonly alphas?: readonly number[];
  /** Sharpnesses of the cache that are tried. Default: 0.5, 1, 2, 3.5, 5.5, 7, 10. */
  readonly betas?: readonly number[];
  /** The weight without validation pictures. Default: 1. */
  readonly alpha?: number;
  /** The sharpness without validation pictures. Default: 5.5, as the authors'. */
  readonly beta?: number;
  /**
   * At most so many keys in all: of a class at most this over the number of classes, at least one. Default: 6,150, which are 6 of each of
   * 1,025 classes. What a class has more is averaged in groups (`buildCache`). Memory and time grow with it.
   */
  readonly keys?: number;
}

/** Settings of `tipAdapterF`. */
export interface TipAdapterFOptions extends TipAdapterOptions, Partial<TrainingOptions> {}

/**
 * Logits s · f · t_k + α · Σ over keys of class k of exp(−β (1 − f · key)) (Zhang et al. 2022, "Tip-Adapter: Training-free Adaption of CLIP for
 * Few-shot Classification", the logits of its training-free form). α and β are chosen by validation.
 */
export function tipAdapter(options: TipAdapterOptions = {}): Adapter {
  return makeAdapter("tip-adapter", options, undefined);
}

/**
 * Tip-Adapter whose keys are trained (the same paper, "Tip-Adapter-F") from those of the cache with the α and β that are best for it: by
 * default AdamW with rate 1e-3 falling along a cosine, ε = 1e-4, 20 epochs of batches of 256, as the authors'. α and β are then chosen
 * again. The last keys count: the authors keep the epoch that is best on the test pictures.
 */
export function tipAdapterF(
  { epochs = 20, batch = 256, learningRate = 1e-3, weightDecay = 0.01, epsilon = 1e-4, ...options }:
    TipAdapterFOptions = {},
): Adapter {
  return makeAdapter("tip-adapter-f", options, { epochs, batch, learningRate, weightDecay, epsilon });
}

function makeAdapter(
  name: string,
  {
    alphas = [0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10],
    betas = [0.5, 1, 2, 3.5, 5.5, 7, 10],
    alpha = 1,
    beta = 5.5,
    keys = 6150,
  }: TipAdapterOptions,
  training: TrainingOptions | undefined,
): Adapter {
  if (!(Number.isInteger(keys) && keys >= 1)) throw new InputError(`${name}: expected keys from 1, found ${keys}`);
  return {
    name,
    settings: { alphas, betas, alpha, beta, keys, ...training },
    learns: true,
    draws: true,
    async fit(input) {
      checkInput(name, input);
      const limit = Math.max(1, Math.floor(keys / input.classes));
      const cache = buildCache(input.train, input.classes, limit, input.seed ?? 0);
      const search = async (of: Cache) => {
        await using model = await CacheModel.open(of, input.threads);
        return await tryAll(model, input, alphas, betas);
      };
      const chosenOf = (tried: readonly Trial[]) => tried.length > 0 ? bestTrial(tried).settings : { alpha, beta };
      const first = await search(cache);
      if (!training) return await openAdapter(name, input, cache, chosenOf(first), first);
      const start = chosenOf(first);
      const trained = await trainOnBatches(network(input, cache, start), input, training, name);
      const tuned = { ...cache, keys: trained.value("keys").tensor as Tensor<"float32"> };
      const second = await search(tuned);
      const marked = [
        ...first.map((trial) => ({ ...trial, settings: { ...trial.settings, trained: 0 } })),
        ...second.map((trial) => ({ ...trial, settings: { ...trial.settings, trained: 1 } })),
      ];
      return await openAdapter(name, input, tuned, chosenOf(second), marked);
    },
  };
}

/** All pairs of α and β on the validation pictures; none without them. */
async function tryAll(
  model: CacheModel,
  { validation, texts, logitScale, threads, signal }: AdapterInput,
  alphas: readonly number[],
  betas: readonly number[],
): Promise<Trial[]> {
  if (!validation) return [];
  await using products = await Products.open(threads);
  const base = await products.scores(validation.features, scaledTexts({ texts, logitScale }));
  const tried: Trial[] = [];
  for (const beta of betas) {
    await pause(signal);
    const extra = await model.scores(validation.features, beta);
    tried.push(...tryWeights(base, extra, validation.labels, alphas, (alpha) => ({ alpha, beta })));
  }
  return tried;
}

/** The graph that is trained: the keys are its only parameter. */
function network(input: AdapterInput, cache: Cache, { alpha, beta }: Settings): Graph {
  const graph = new Graph("tip-adapter-f");
  const x = graph.input("x", "float32", ["N", cache.keys.shape[1]!]);
  const keys = graph.parameter("keys", tensor("float32", cache.keys.shape, cache.keys.data.slice()));
  const texts = graph.constant(scaledTexts(input), { name: "texts" });
  const zeroShot = gemm(x, texts, undefined, { transB: true });
  graph.output(add(zeroShot, mul(cacheScores(x, keys, beta!, cache), alpha!)), "logits");
  return graph;
}

async function openAdapter(
  name: string,
  input: AdapterInput,
  cache: Cache,
  chosen: Settings,
  tried: readonly Trial[],
): Promise<FittedAdapter> {
  const model = await CacheModel.open(cache, input.threads), products = await Products.open(input.threads);
  const texts = scaledTexts(input), dimension = cache.keys.shape[1]!;
  return {
    adapter: name,
    chosen,
    tried,
    async logits(features) {
      checkRows(`${name}: features`, features, dimension);
      const base = await products.scores(features, texts);
      const extra = await model.scores(features, chosen.beta!);
      return tensor("float32", base.shape, mix(base.data, extra.data, chosen.alpha!, base.data));
    },
    async [Symbol.asyncDispose]() {
      await model[Symbol.asyncDispose]();
      await products[Symbol.asyncDispose]();
    },
  };
}
