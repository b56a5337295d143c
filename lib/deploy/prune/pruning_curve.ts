/** Accuracy against multiplications and size: one model pruned to several shares. */

import { type Share, shareOf } from "../../evaluate/mod.ts";
import { type ModelFolders, openDataset } from "../../experiment/mod.ts";
import { fromFile, toModel } from "../../onnx/mod.ts";
import { InputError, sha256 } from "../../runtime/mod.ts";
import { KeptResults } from "../kept_results.ts";
import { guessesOf, samplePictures } from "../quantize/pictures.ts";
import { join } from "node:path";
import { fineTunePruned, type FineTuneRun, readForPruning, sampleFor } from "./prune_model.ts";
import { pruneGraph, type PruneOptions } from "./prune_graph.ts";

/** Settings of `pruningCurve`. */
export interface PruningCurveOptions extends Omit<PruneOptions, "share" | "pictures"> {
  /** As of `pruneModel`. */
  readonly model: string;
  readonly folders?: ModelFolders;
  readonly dataFolder: string;
  /** Shares of the multiplications to prune to. Default: 0.9, 0.75, 0.5. */
  readonly shares?: readonly number[];
  /** Pictures of the train split for the importance "taylor". Default: 256. */
  readonly sample?: number;
  /** Pictures of the validation split to judge on, a stratified sample. Default: 1000. */
  readonly judged?: number;
  /** Chooses them. Default: 0. */
  readonly seed?: number;
  /** Without: only pruned. Each share is a run of its own below `runsFolder/SHARE`, which goes on where it was stopped. */
  readonly fineTune?: Omit<FineTuneRun, "resume"> | undefined;
  /** A file that keeps what was judged, a line a share: a study that was stopped goes on. */
  readonly file?: string | undefined;
}

/** One model of the curve. */
export interface PruningPoint {
  /** As asked for; 1: the whole model. */
  readonly share: number;
  /** Multiply-accumulate steps of one picture. */
  readonly macs: number;
  readonly parameters: number;
  /** Of the file with float32 weights. */
  readonly bytes: number;
  /** Top-1 on validation, as pruned. */
  readonly before: Share;
  /** After fine-tuning. */
  readonly after?: Share;
}

/**
 * Prunes a model to several shares of its multiplications and judges each on validation, before and after fine-tuning; the whole
 * model comes first. Throws InputError as `pruneModel`, for a file with results of something else, and for a fine-tuning that
 * was interrupted.
 */
export async function pruningCurve(
  {
    model,
    folders,
    dataFolder,
    shares = [0.9, 0.75, 0.5],
    sample,
    judged = 1000,
    seed = 0,
    fineTune,
    file,
    ...options
  }: PruningCurveOptions,
): Promise<PruningPoint[]> {
  const source = await readForPruning(model, folders), { card } = source.package;
  const { importance = "taylor", threads } = options;
  const {
    runsFolder,
    threads: _,
    workers: __,
    signal: ___,
    onProgress: ____,
    warn: _____,
    callbacks: ______,
    ...tuning
  } = fineTune ?? { runsFolder: "" };
  const { multiple, least, leastShare } = options;
  const settings = { importance, multiple, least, leastShare, sample, judged, seed, tuning: fineTune && tuning };
  using kept = await KeptResults.open<PruningPoint>(
    file,
    sha256(JSON.stringify([card.file.sha256, settings])),
    "points of this model, its settings and pictures",
  );
  const dataset = await openDataset({ dataFolder });
  const view = { card, dex: card.classes.dex }, { name } = card.input;
  const validation = await samplePictures({ dataset, split: "validation" }, view, { count: judged, seed, batch: 16 });
  const labels = validation.flatMap((batch) => [...batch.labels]);
  const judge = async (bytes: Uint8Array) => {
    const guesses = await guessesOf(bytes, validation, { name, threads });
    return shareOf(guesses.filter((guess, i) => guess === labels[i]).length, labels.length);
  };
  const pictures = importance === "taylor" ? await sampleFor(source, dataFolder, sample) : [];
  const points: PruningPoint[] = [];
  const keep = (point: PruningPoint) => {
    kept.set(String(point.share), point);
    points.push(point);
  };
  for (const share of shares) {
    const known = kept.get(String(share));
    if (known) {
      points.push(known);
      continue;
    }
    const pruned = await pruneGraph(source.graph, { ...options, share, importance, pictures });
    const bytes = toModel(pruned.graph), before = await judge(bytes);
    if (!kept.get("1")) {
      const whole = { share: 1, macs: pruned.macs, parameters: pruned.parameters, bytes: pruned.sourceBytes };
      kept.set("1", { ...whole, before: await judge(toModel(source.graph)) });
    }
    let after: Share | undefined;
    if (fineTune) {
      const run = { ...fineTune, runsFolder: join(runsFolder, String(share)), resume: "auto", dataFolder };
      const tuned = await fineTunePruned(source, pruned, run);
      if (!tuned) throw new InputError("pruningCurve: expected the fine-tuning to end, found it interrupted");
      after = await judge(toModel(await fromFile(join(tuned.folder, tuned.card.file.name))));
    }
    keep({
      ...{ share, macs: pruned.left, parameters: pruned.parametersLeft, bytes: bytes.length, before },
      ...(after ? { after } : {}),
    });
  }
  const whole = kept.get("1");
  return whole ? [whole, ...points] : points;
}
