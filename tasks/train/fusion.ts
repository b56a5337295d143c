/** `deno task train` with settings of the kind "fusion". */

import { copyPackage, openModel, parseSeed, type Profile } from "../../lib/experiment/mod.ts";
import {
  type FusionConfig,
  readFusionConfig,
  SHIPPED_NETWORK,
  type TrainedHybrid,
  trainHybrid,
  writeHybrid,
} from "../../lib/hybrid/mod.ts";
import { progress } from "../../lib/notebook/mod.ts";
import { InputError, integerFlag } from "../../lib/runtime/mod.ts";
import { openVlm, SHIPPED_CLIP } from "../../lib/vlm/mod.ts";
import type { ClipFlags } from "./clip.ts";
import { dataOf } from "./data_of.ts";

/** The task's flags that a fusion's training looks at. */
export interface FusionFlags extends ClipFlags {
  readonly model: string | undefined;
  readonly encoder: string | undefined;
  /** Also phase 2. */
  readonly unfrozen: boolean;
}

/** What the task prints. */
export interface FusionDone {
  readonly document: unknown;
  /** Whether training came to its end. */
  readonly finished: boolean;
}

const percent = (share: number) => (100 * share).toFixed(1);

/** Trains a fusion as the task's flags say, and prints its figures. Throws InputError for a flag that it does not have. */
export async function trainFusionByFlags(
  path: string,
  profile: Profile,
  { model = SHIPPED_NETWORK, encoder: told = SHIPPED_CLIP, ...flags }: FusionFlags,
  { signal }: { readonly signal: AbortSignal },
): Promise<FusionDone> {
  const other = flags["find-rate"]
    ? "find-rate"
    : (["pretrained", "split-mode"] as const).find((flag) => flags[flag] !== undefined);
  if (other) {
    throw new InputError(`--${other}: expected settings of a detector or classifier, found a fusion's, ${path}`);
  }
  if (flags.device !== "cpu") throw new InputError(`--device: expected cpu for a fusion, found "${flags.device}"`);
  if (flags.engine !== "onnx") throw new InputError(`--engine: expected onnx for a fusion, found "${flags.engine}"`);
  const config = withEpochs(await readFusionConfig(path, { profile: profile.name }), flags);
  const data = await dataOf(profile, { folder: flags.data, source: flags.source });
  await using network = await openModel(model, { runs: flags.runs });
  await using encoder = await openVlm(told);
  const { hybrid, unfrozen } = await trainHybrid({
    ...{ config, data, network, encoder, signal, unfrozen: flags.unfrozen },
    ...{ runsFolder: flags.runs, profile: profile.name, resume: flags.resume, forceNewRun: flags["force-new-run"] },
    seed: flags.seed === undefined ? profile.seed : parseSeed(flags.seed, "--seed"),
    ...(flags.threads === undefined ? {} : { threads: integerFlag("threads", flags.threads, 1, 1024) }),
    ...(flags.workers === undefined ? {} : { workers: integerFlag("workers", flags.workers, 0, 64) }),
    onProgress: progress("train"),
    warn: console.error,
  }).catch((error): TrainedHybrid => {
    if (signal.aborted && error === signal.reason) return {}; // stopped while it made features, which are kept
    throw error;
  });
  if (!hybrid) {
    console.error("stopped; the same command goes on");
    return { document: {}, finished: false };
  }
  const { folder, figures, parameters } = hybrid;
  console.error(`${folder}: the hybrid`);
  for (const [member, { test: { n, top1, "top1_ci95": ends, top5, ece } }] of Object.entries(figures)) {
    console.error(
      `${member}: test top-1 ${percent(top1)} % [${ends.map(percent).join(", ")}], top-5 ${percent(top5)} %, ` +
        `calibration error ${percent(ece)} % (${n} pictures)`,
    );
  }
  if (flags.name !== undefined) {
    if (!flags.unfrozen) await writeHybrid(flags.name, hybrid.parts);
    else if (unfrozen?.model) await copyPackage(unfrozen.folder, flags.name);
    console.error(`${flags.name}: ${flags.unfrozen ? "the model as a package" : "the hybrid as a folder of its own"}`);
  }
  if (unfrozen) {
    const test = unfrozen.model?.card.metrics.test;
    console.error(
      `${unfrozen.folder}: ${unfrozen.fit.reason} after ${unfrozen.fit.epochs} epochs on pictures` +
        (test ? `; test top-1 ${percent(test.top1)} % [${test.top1_ci95.map(percent).join(", ")}]` : ""),
    );
  }
  const phase2 = unfrozen && {
    ...{ run: unfrozen.run, folder: unfrozen.folder, ...unfrozen.fit, metrics: unfrozen.model?.card.metrics },
  };
  return { document: { folder, figures, parameters, unfrozen: phase2 }, finished: !unfrozen || !!unfrozen.model };
}

/** --epochs counts for the phase that is asked for last. */
function withEpochs(
  config: FusionConfig,
  { epochs, unfrozen }: Pick<FusionFlags, "epochs" | "unfrozen">,
): FusionConfig {
  if (epochs === undefined) return config;
  const phase = unfrozen ? "unfrozen" : "frozen", settings = config[phase];
  const lowest = Math.floor(settings.schedule.warmUpEpochs) + 1;
  const training = { ...settings.training, epochs: integerFlag("epochs", epochs, lowest) };
  return { ...config, [phase]: { ...settings, training } };
}
