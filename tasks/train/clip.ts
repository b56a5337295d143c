/** `deno task train` with settings of the kind "clip". */

import { parseSeed, type Profile } from "../../lib/experiment/mod.ts";
import { progress } from "../../lib/notebook/mod.ts";
import { InputError, integerFlag } from "../../lib/runtime/mod.ts";
import { type ClipConfig, copyClip, readClipConfig, trainClip, type TrainClipResult } from "../../lib/vlm/mod.ts";
import { clipFiguresText } from "../evaluate/clip.ts";
import { dataOf } from "./data_of.ts";

/** The task's flags that a CLIP's training looks at. */
export interface ClipFlags {
  readonly resume: string | undefined;
  readonly "find-rate": boolean;
  readonly "force-new-run": boolean;
  readonly device: string;
  readonly engine: string;
  readonly source: string | undefined;
  readonly data: string | undefined;
  readonly "split-mode": string | undefined;
  readonly runs: string;
  readonly name: string | undefined;
  readonly epochs: string | undefined;
  readonly pretrained: string | undefined;
  readonly seed: string | undefined;
  readonly threads: string | undefined;
  readonly workers: string | undefined;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function figuresText({ model, difference, fit, folder, waitShare }: TrainClipResult): string {
  const lines = [
    `${folder}: ${fit.reason} after ${fit.epochs} epochs, ${fit.step} steps, ${Math.round(fit.seconds)} s, ` +
    `${(fit.images / fit.seconds).toFixed(1)} pictures a second; ${
      percent(waitShare)
    } % of the steps' time waiting for pictures`,
  ];
  if (!model) lines.push(`no model yet; "--resume auto" goes on from ${fit.checkpoint ?? "the last checkpoint"}`);
  for (const split of ["validation", "test"] as const) {
    lines.push(...clipFiguresText(split, model?.card.metrics[split] ?? {}));
  }
  if (model) {
    lines.push(`${model.folder}: both towers; difference to the training's graph ${difference?.toExponential(1)}`);
  }
  return lines.join("\n");
}

/** Trains a CLIP as the task's flags say, and prints its figures. Throws InputError for a flag that it does not have. */
export async function trainClipByFlags(
  path: string,
  profile: Profile,
  flags: ClipFlags,
  { signal }: { readonly signal: AbortSignal },
): Promise<TrainClipResult> {
  const other = flags["find-rate"]
    ? "find-rate"
    : (["pretrained", "split-mode"] as const).find((flag) => flags[flag] !== undefined);
  if (other) throw new InputError(`--${other}: expected settings of a detector or classifier, found a CLIP's, ${path}`);
  if (flags.device !== "cpu") throw new InputError(`--device: expected cpu for a CLIP, found "${flags.device}"`);
  if (flags.engine !== "onnx") throw new InputError(`--engine: expected onnx for a CLIP, found "${flags.engine}"`);
  const settings = await readClipConfig(path, { profile: profile.name });
  const lowest = Math.floor(settings.schedule.warmUpEpochs) + 1;
  const config: ClipConfig = flags.epochs === undefined
    ? settings
    : { ...settings, training: { ...settings.training, epochs: integerFlag("epochs", flags.epochs, lowest) } };
  const result = await trainClip({
    ...{ config, data: await dataOf(profile, { folder: flags.data, source: flags.source }), signal },
    ...{ runsFolder: flags.runs, profile: profile.name, resume: flags.resume, forceNewRun: flags["force-new-run"] },
    seed: flags.seed === undefined ? profile.seed : parseSeed(flags.seed, "--seed"),
    ...(flags.threads === undefined ? {} : { threads: integerFlag("threads", flags.threads, 1, 1024) }),
    ...(flags.workers === undefined ? {} : { workers: integerFlag("workers", flags.workers, 0, 64) }),
    onProgress: progress("train"),
    warn: console.error,
  });
  console.error(figuresText(result));
  if (result.model && flags.name !== undefined) {
    await copyClip(result.model.folder, flags.name);
    console.error(`${flags.name}: the model as a folder of its own`);
  }
  return result;
}
