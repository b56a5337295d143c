/** The cache of Tip-Adapter: some keys a class, and what their nearness says about a picture's class. */

import { exp, gemm, Graph, mul, reduceSum, reshape, sub, toModel, type Value } from "../../onnx/mod.ts";
import { openSession, Random, type Session, type Tensor, tensor } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";
import { normalizeRows } from "../cosines.ts";
import { chunks } from "./products.ts";

/** Keys, class by class, each class with the same number of places. */
export interface Cache {
  /** [C · places, D]; rows of length 1, of zeros where a class has fewer keys. */
  readonly keys: Tensor<"float32">;
  /** [C · places]; 1 for a key, 0 for an empty place. */
  readonly taken: Float32Array;
  readonly classes: number;
  readonly places: number;
}

/** Numbers of a table of affinities that is worked out at a time: 64 MiB. */
const AFFINITIES = 1 << 24;

/**
 * Every picture is a key, but no more than `limit` a class: the pictures of a class that has more are drawn into so many groups of
 * nearly equal size, and each group's normalised mean is a key (the ablation "Cache Size" of Zhang et al. 2022).
 */
export function buildCache(
  { features, labels }: LabelledFeatures,
  classes: number,
  limit: number,
  seed: string | number,
): Cache {
  const dimension = features.shape[1]!, random = Random.seeded("cache", seed);
  const members = Array.from({ length: classes }, (): number[] => []);
  labels.forEach((label, row) => members[label]!.push(row));
  const places = Math.min(limit, Math.max(...members.map(({ length }) => length)));
  const keys = new Float32Array(classes * places * dimension), taken = new Float32Array(classes * places);
  members.forEach((rows, label) => {
    const order = rows.length > places ? random.fork(label).shuffle(rows) : rows;
    order.forEach((row, number) => {
      const place = label * places + number % places;
      taken[place] = 1;
      for (let d = 0; d < dimension; d++) {
        const at = place * dimension + d;
        keys[at] = keys[at]! + features.data[row * dimension + d]!;
      }
    });
  });
  return { keys: normalizeRows(tensor("float32", [classes * places, dimension], keys)), taken, classes, places };
}

/** Σ over a class's keys of exp(−β (1 − f · key)), [N, C]: exp(−β (1 − f Kᵀ)) L of Zhang et al. 2022, L never made. */
export function cacheScores(x: Value, keys: Value, beta: Value | number, { taken, classes, places }: Cache): Value {
  const affinities = exp(mul(sub(gemm(x, keys, undefined, { transB: true }), 1), beta));
  const { graph } = x;
  const counted = taken.includes(0)
    ? mul(affinities, graph.constant(taken, { name: "taken", shape: [taken.length] }))
    : affinities;
  return reduceSum(reshape(counted, [-1, classes, places]), { axes: 2 });
}

/** Scores of a cache for any features and sharpness. */
export class CacheModel implements AsyncDisposable {
  readonly #session: Session;
  readonly #cache: Cache;

  private constructor(session: Session, cache: Cache) {
    this.#session = session;
    this.#cache = cache;
  }

  static async open(cache: Cache, threads: number | undefined): Promise<CacheModel> {
    const graph = new Graph("cache"), dimension = cache.keys.shape[1]!;
    const x = graph.input("x", "float32", ["N", dimension]), beta = graph.input("beta", "float32", []);
    graph.output(cacheScores(x, graph.constant(cache.keys, { name: "keys" }), beta, cache), "scores");
    return new CacheModel(await openSession(toModel(graph), { threads }), cache);
  }

  /** [N, C] of features [N, D]; rows are taken so many at a time that the affinities fit into 64 MiB. */
  async scores(features: Tensor<"float32">, beta: number): Promise<Tensor<"float32">> {
    const { classes, places } = this.#cache, rows = features.shape[0]!;
    const result = new Float32Array(rows * classes);
    let at = 0;
    for (const x of chunks(features, Math.max(1, Math.floor(AFFINITIES / (classes * places))))) {
      const { scores } = await this.#session.run({ x, beta: tensor("float32", [], [beta]) });
      result.set(scores!.data as Float32Array, at);
      at += scores!.data.length;
    }
    return tensor("float32", [rows, classes], result);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.dispose();
  }
}
