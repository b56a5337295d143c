/** `bench adapters`: how long few-shot adapters take to fit on cached embeddings of the whole Pokédex. */

import { type ProgressListener, Random, type Tensor, tensor, zeros } from "../../lib/runtime/mod.ts";
import {
  type Adapter,
  clipAdapter,
  gda,
  type LabelledFeatures,
  linearProbe,
  lpPlusPlus,
  nearestPrototype,
  tipAdapter,
  tipAdapterF,
} from "../../lib/vlm/mod.ts";
import { type BenchRow, benchRow } from "./row.ts";

const ADAPTERS: readonly (() => Adapter)[] = [
  nearestPrototype,
  gda,
  tipAdapter,
  lpPlusPlus,
  linearProbe,
  clipAdapter,
  tipAdapterF,
];

export interface AdapterBenchOptions {
  /** Training pictures; default 20,000. */
  readonly pictures?: number;
  /** Validation pictures; default 2,050. */
  readonly validation?: number;
  /** Default: 1,025. */
  readonly classes?: number;
  /** Numbers of an embedding; default 512. */
  readonly dimension?: number;
  /** Default: 2. */
  readonly threads?: number;
  /** Names of adapters; default: all. */
  readonly adapters?: readonly string[];
  readonly onProgress?: ProgressListener;
}

/** A row an adapter: seconds of fitting with its own settings, the search by validation included. */
export async function benchAdapters(options: AdapterBenchOptions = {}): Promise<BenchRow[]> {
  const { pictures = 20_000, validation = 2050, classes = 1025, dimension = 512, threads = 2, onProgress } = options;
  const random = Random.seeded("bench adapters");
  const centres = rows(classes, dimension, random.fork("centres"));
  const split = (count: number, name: string): LabelledFeatures => {
    const labels = Int32Array.from({ length: count }, (_, i) => i % classes);
    return { features: rows(count, dimension, random.fork(name), (i) => [centres, labels[i]!]), labels };
  };
  const train = split(pictures, "train"), judged = split(validation, "validation");
  const texts = rows(classes, dimension, random.fork("texts"), (k) => [centres, k]);
  const result: BenchRow[] = [];
  for (const make of ADAPTERS) {
    const adapter = make();
    if (options.adapters && !options.adapters.includes(adapter.name)) continue;
    const start = performance.now();
    await using _ = await adapter.fit({
      train,
      texts,
      classes,
      validation: judged,
      logitScale: 100,
      threads,
      ...(onProgress ? { onProgress } : {}),
    });
    const seconds = (performance.now() - start) / 1e3;
    const title = `${adapter.name}, ${pictures} x ${dimension}, ${classes} classes, ${threads} threads`;
    result.push(benchRow("adapters", title, "s", seconds, {}));
  }
  return result;
}

/** Rows of length 1, each drawn about another row if one is given. */
function rows(
  count: number,
  dimension: number,
  random: Random,
  about: (row: number) => [Tensor<"float32">, number] = () => [zeros("float32", [1, dimension]), 0],
): Tensor<"float32"> {
  const data = new Float32Array(count * dimension);
  for (let row = 0; row < count; row++) {
    const own = data.subarray(row * dimension, (row + 1) * dimension), [centres, at] = about(row);
    let square = 0;
    for (let d = 0; d < dimension; d++) {
      own[d] = centres.data[at * dimension + d]! + 3 * random.normal() / Math.sqrt(dimension);
      square += own[d]! ** 2;
    }
    for (let d = 0; d < dimension; d++) own[d] = own[d]! / Math.sqrt(square);
  }
  return tensor("float32", [count, dimension], data);
}
