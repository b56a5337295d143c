/** `bench infer`: the residual classifier in int8 beside itself in float32, with one thread, in turns. */

import { calibrate, prepareForQuantization, quantizeStatic } from "../../lib/deploy/mod.ts";
import { type Latency, measureLatency } from "../../lib/evaluate/mod.ts";
import { residualNet } from "../../lib/models/mod.ts";
import { tensor, toModel } from "../../lib/onnx/mod.ts";
import { type ProgressListener, Random } from "../../lib/runtime/mod.ts";
import { CLASSES } from "./networks.ts";
import { type BenchRow, benchRow } from "./row.ts";

/** Settings of `benchInt8`. */
export interface Int8BenchOptions {
  /** Pictures in a run; default 1 and 16. */
  readonly batches?: readonly number[];
  /** Side of the pictures; default 80, as the model that ships. */
  readonly size?: number;
  /** Multiplies channels. Default: 1. */
  readonly width?: number;
  /** How often the two take turns; the best turn of each counts. Default: 5. */
  readonly rounds?: number;
  /** Runs in each turn. Default: 10. */
  readonly runs?: number;
  readonly onProgress?: ProgressListener;
}

/** Two rows a batch, pictures a second and the median run's milliseconds; the peer is the same network in float32. */
export async function benchInt8(options: Int8BenchOptions = {}): Promise<BenchRow[]> {
  const { batches = [1, 16], size = 80, width = 1, rounds = 5, runs = 10, onProgress = () => {} } = options;
  const random = Random.seeded("bench int8"), rows: BenchRow[] = [];
  const graph = await prepareForQuantization(residualNet({ classes: CLASSES, size, width, random }).graph);
  const shape = [16, 3, size, size];
  const images = tensor("float32", shape, Float32Array.from({ length: 48 * size ** 2 }, () => random.uniform()));
  const calibration = await calibrate(graph, [{ images }], { method: "minMax", threads: 1 });
  const models = { int8: toModel(await quantizeStatic(graph, calibration)), float32: toModel(graph) };
  for (const [i, batch] of batches.entries()) {
    const turns = { int8: [] as Latency[], float32: [] as Latency[] };
    for (let round = 0; round < rounds; round++) {
      onProgress({ label: "bench int8", done: i * rounds + round, total: batches.length * rounds, unit: "turns" });
      for (const name of ["int8", "float32"] as const) {
        turns[name].push(...await measureLatency(models[name], { batches: [batch], threads: 1, runs, warmUp: 2 }));
      }
    }
    const [ours, theirs] = [turns.int8, turns.float32].map((list) => Math.min(...list.map(({ p50 }) => p50)));
    const title = `residual-${size} in int8, batch ${batch}, 1 thread`;
    rows.push(
      benchRow("infer", title, "img/s", 1e3 * batch / ours!, { float32: 1e3 * batch / theirs! }),
      benchRow("infer", `${title}, median run`, "ms", ours!, { float32: theirs! }),
    );
  }
  return rows;
}
