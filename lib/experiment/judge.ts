/** Runs a network over pictures and gathers what it says of each: distributions over the classes, detections, losses. */

import {
  type DetectedImage,
  nonMaximumSuppression,
  type ScoredBox,
  type Scores,
  type SuppressionOptions,
} from "../evaluate/mod.ts";
import type { ProgressListener, Session, Tensor } from "../runtime/mod.ts";
import type { Batch, TruthBox } from "../train/mod.ts";
import { CANDIDATES, OUTPUTS } from "./graphs.ts";

/** Pictures with the truth about them. */
export interface JudgedBatch {
  /** [N, 3, size, size]. */
  readonly images: Tensor;
  /** The class of each, as the model counts. */
  readonly labels: ArrayLike<number>;
  /** True boxes in pixels of the input, a list a picture. */
  readonly boxes: readonly (readonly TruthBox[])[];
  /** What the graph is fed besides, for a loss. */
  readonly targets?: Batch;
}

/** What was found of all pictures, in their order. */
export interface Judgement {
  readonly labels: Int32Array;
  /** By output name. */
  readonly distributions: Readonly<Record<string, Scores>>;
  /** Empty where the graph gives no boxes. */
  readonly detected: readonly DetectedImage[];
  /** Means over the pictures, by output name; empty where the graph has no loss. */
  readonly losses: Readonly<Record<string, number>>;
}

/** Settings of `judge`. */
export interface JudgeOptions {
  readonly classes: number;
  /** Side of the input, pixels. */
  readonly size: number;
  /** Of the boxes; default: all are kept. */
  readonly suppression?: SuppressionOptions | undefined;
  readonly total?: number;
  readonly label?: string;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Runs a session of `judgingGraph`, or of a shipped graph with `keepCandidates`, over all batches. */
export async function judge(
  session: Session,
  batches: AsyncIterable<JudgedBatch>,
  { classes, size, suppression, total, label = "evaluate", onProgress, signal }: JudgeOptions,
): Promise<Judgement> {
  const names = session.outputs.map(({ name }) => name);
  const ways = names.filter((name) => name === OUTPUTS.probabilities || name.startsWith(`${OUTPUTS.probabilities}/`));
  const lossNames = names.filter((name) => name === "loss" || name.startsWith("loss/"));
  const parts = new Map<string, Float32Array[]>(ways.map((name) => [name, []]));
  const sums = new Map<string, number>(lossNames.map((name) => [name, 0]));
  const labels: number[] = [], detected: DetectedImage[] = [];
  for await (const batch of batches) {
    signal?.throwIfAborted();
    const targets = lossNames.length > 0 ? batch.targets : {};
    const found = await session.run({ [session.inputs[0]!.name]: batch.images, ...targets });
    const count = batch.labels.length;
    for (let i = 0; i < count; i++) labels.push(batch.labels[i]!);
    for (const name of ways) parts.get(name)!.push(found[name]!.data as Float32Array);
    for (const name of lossNames) sums.set(name, sums.get(name)! + count * Number(found[name]!.data[0]));
    if (found[CANDIDATES.scores]) {
      const boxes = detectionsOf(found, { classes, size, suppression });
      for (let i = 0; i < count; i++) detected.push({ truth: batch.boxes[i]!, detections: boxes[i]! });
    }
    onProgress?.({ label, done: labels.length, total, unit: "pictures" });
  }
  return {
    labels: Int32Array.from(labels),
    distributions: Object.fromEntries(ways.map((name) => [name, { values: joined(parts.get(name)!), classes }])),
    detected,
    losses: Object.fromEntries([...sums].map(([name, sum]) => [name, sum / labels.length])),
  };
}

/** The detections of each picture of a run, surest first, in pixels of the input, cut to it. */
export function detectionsOf(
  found: Readonly<Record<string, Tensor>>,
  { classes, size, suppression }: Pick<JudgeOptions, "classes" | "size" | "suppression">,
): ScoredBox[][] {
  const { data: edges, shape: [count = 0, rows = 0] } = found[OUTPUTS.boxes] as Tensor<"float32">;
  const { data: scores, shape: [, kept = 0] } = found[CANDIDATES.scores] as Tensor<"float32">;
  const { data: places } = found[CANDIDATES.places] as Tensor<"int64">;
  const { scoreThreshold = 0 } = suppression ?? {};
  const inside = (x: number) => Math.min(size, Math.max(0, x * size));
  return Array.from({ length: count }, (_, picture) => {
    const boxes: ScoredBox[] = [];
    for (let k = picture * kept; k < (picture + 1) * kept; k++) {
      if (!(scores[k]! >= scoreThreshold)) break; // they are sorted
      const place = Number(places[k]), at = 4 * (picture * rows + Math.floor(place / classes));
      const [left, top, right, bottom] = [0, 1, 2, 3].map((i) => inside(edges[at + i]!)) as [
        number,
        number,
        number,
        number,
      ];
      boxes.push({ classId: place % classes, score: scores[k]!, left, top, right, bottom });
    }
    return nonMaximumSuppression(boxes, { ...suppression, scoreThreshold: 0 });
  });
}

/** Parts one after another. */
export function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
