/** `bench infer`: how fast exported detectors answer, batch normalisation folded, beside PyTorch CPU on the same networks. */

import { type ProgressListener, Random } from "../../lib/runtime/mod.ts";
import { foldBatchNormalization, toModel } from "../../lib/onnx/mod.ts";
import { type YoloNetwork, type YoloOptions, yoloV3, yoloV3Tiny } from "../../lib/models/mod.ts";
import { type Latency, measureLatency, quantile } from "../../lib/evaluate/mod.ts";
import { CLASSES } from "./networks.ts";
import { defaultPython, PytorchPeer } from "./pytorch_steps.ts";
import { type BenchRow, benchRow } from "./row.ts";

const PEER = "pytorch-cpu";

/** The networks; tests/peers/train_step.py has the same ones under INFERENCE. */
const INFER_CASES = { "yolov3-416": yoloV3, "yolov3-tiny-416": yoloV3Tiny } as const satisfies Record<
  string,
  (options: YoloOptions) => YoloNetwork
>;

/** The name of a network. */
export type InferCase = keyof typeof INFER_CASES;

export interface InferBenchOptions {
  /** Default: all. */
  readonly cases?: readonly InferCase[];
  /** Pictures in a run; default 1 and 16. */
  readonly batches?: readonly number[];
  /** Default: 2. */
  readonly threads?: number;
  /** How often the engines take turns; the best turn counts, of PyTorch in the faster of its layouts. Default: 2. */
  readonly rounds?: number;
  /** Runs in each turn of one picture; with more pictures fewer, but at least 3. Default: 12. */
  readonly runs?: number;
  /** The Python that has PyTorch; default: `defaultPython()`. "" leaves the peer out. */
  readonly python?: string;
  /** Multiplies channels; with anything but 1 PyTorch is left out, which has the whole networks only. */
  readonly width?: number;
  readonly onProgress?: ProgressListener;
}

/** Three rows a network and batch: pictures a second at the median run, and the median's and 95th percentile's milliseconds. */
export async function benchInfer(options: InferBenchOptions = {}): Promise<BenchRow[]> {
  const { cases = Object.keys(INFER_CASES) as InferCase[], batches = [1, 16], threads = 2, rounds = 2 } = options;
  const { runs = 12, width = 1, python = await defaultPython(), onProgress = () => {} } = options;
  const total = cases.length * batches.length;
  const rows: BenchRow[] = [];
  await using peer = await PytorchPeer.start(width === 1 ? python : "", threads);
  for (const name of cases) {
    const model = exported(name, width);
    for (const batch of batches) {
      onProgress({
        label: "bench infer",
        done: rows.length / 3,
        total,
        unit: "cases",
        note: `${name}, batch ${batch}`,
      });
      const ours: Percentiles[] = [], theirs: Percentiles[] = [];
      const counted = Math.max(3, Math.ceil(runs / batch));
      for (let round = 0; round < rounds; round++) {
        ours.push(...await measureLatency(model, { batches: [batch], threads, runs: counted, warmUp: 1 }));
        // PyTorch's default layout and the one that its users turn to for speed.
        for (const layout of ["nchw", "nhwc"] as const) {
          const found = await peer?.runs(name, batch, counted, layout);
          if (found) theirs.push(percentiles(found.ms));
        }
      }
      rows.push(...figures(`${name}, batch ${batch}, ${threads} threads`, batch, best(ours)!, best(theirs)));
    }
  }
  return rows;
}

type Percentiles = Pick<Latency, "p50" | "p95">;

/** The model's file as it is shipped. */
function exported(name: InferCase, width: number): Uint8Array {
  const { graph } = INFER_CASES[name]({ classes: CLASSES, size: 416, width, random: Random.seeded("bench") });
  foldBatchNormalization(graph);
  return toModel(graph);
}

function figures(title: string, batch: number, ours: Percentiles, theirs: Percentiles | undefined): BenchRow[] {
  const row = (what: string, unit: string, pick: (found: Percentiles) => number) =>
    benchRow("infer", title + what, unit, pick(ours), theirs ? { [PEER]: pick(theirs) } : {});
  return [
    row("", "img/s", ({ p50 }) => 1e3 * batch / p50),
    row(", median run", "ms", ({ p50 }) => p50),
    row(", 95th percentile", "ms", ({ p95 }) => p95),
  ];
}

function percentiles(times: readonly number[]): Percentiles {
  const sorted = times.toSorted((a, b) => a - b);
  return { p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95) };
}

function best(turns: readonly Percentiles[]): Percentiles | undefined {
  return turns.toSorted((a, b) => a.p50 - b.p50)[0];
}
