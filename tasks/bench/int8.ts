/** `bench infer`: the residual classifier in int8 beside itself in float32, with one thread, by the processor's time. */

import process from "node:process";
import { calibrate, prepareForQuantization, quantizeStatic } from "../../lib/deploy/mod.ts";
import { quantile } from "../../lib/evaluate/mod.ts";
import { residualNet } from "../../lib/models/mod.ts";
import { type Tensor, tensor, toModel } from "../../lib/onnx/mod.ts";
import { openSession, type ProgressListener, Random } from "../../lib/runtime/mod.ts";
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

/**
 * Two rows a batch, pictures a second and the median run's milliseconds; the peer is the same network in float32. It is the
 * processor's time that is measured, which with one thread is the clock's on an idle machine. On a busy one the clock misleads: a run
 * of 2 ms ends before others get their turn and one of 6 ms does not, which made a ratio of 3 look like 32.
 */
export async function benchInt8(options: Int8BenchOptions = {}): Promise<BenchRow[]> {
  const { batches = [1, 16], size = 80, width = 1, rounds = 5, runs = 10, onProgress = () => {} } = options;
  const random = Random.seeded("bench int8"), rows: BenchRow[] = [];
  const graph = await prepareForQuantization(residualNet({ classes: CLASSES, size, width, random }).graph);
  const pictures = (count: number) =>
    tensor(
      "float32",
      [count, 3, size, size],
      Float32Array.from({ length: 3 * count * size ** 2 }, () => random.uniform()),
    );
  const calibration = await calibrate(graph, [{ images: pictures(16) }], { method: "minMax", threads: 1 });
  const models = { int8: toModel(await quantizeStatic(graph, calibration)), float32: toModel(graph) };
  for (const [i, batch] of batches.entries()) {
    const images = pictures(batch), medians = { int8: [] as number[], float32: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      onProgress({ label: "bench int8", done: i * rounds + round, total: batches.length * rounds, unit: "turns" });
      for (const name of ["int8", "float32"] as const) {
        medians[name].push(await medianProcessorTime(models[name], images, runs));
      }
    }
    const ours = Math.min(...medians.int8), theirs = Math.min(...medians.float32);
    const title = `residual-${size} in int8, batch ${batch}, 1 thread, processor time`;
    rows.push(
      benchRow("infer", title, "img/s", 1e3 * batch / ours, { float32: 1e3 * batch / theirs }),
      benchRow("infer", `${title}, median run`, "ms", ours, { float32: theirs }),
    );
  }
  return rows;
}

/** Milliseconds that the processor works in the median of some runs. */
async function medianProcessorTime(model: Uint8Array, images: Tensor, runs: number): Promise<number> {
  await using session = await openSession(model, { threads: 1 });
  const times: number[] = [];
  for (let i = -2; i < runs; i++) { // two to warm up
    const begun = process.cpuUsage();
    await session.run({ images });
    const { user, system } = process.cpuUsage(begun);
    if (i >= 0) times.push((user + system) / 1e3);
  }
  return quantile(times.sort((a, b) => a - b), 0.5);
}
