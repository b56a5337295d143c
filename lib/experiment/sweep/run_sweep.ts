/** Runs a sweep: trial after trial, whatever kills and resumes lie between. */

import { join } from "node:path";
import { stringify } from "yaml";
import { checkConfig, describeError, lockFolder, WorkError, writeAtomic, type YamlValue } from "../../runtime/mod.ts";
import { configHash } from "../../track/mod.ts";
import { type CardFigures, figuresSchema } from "../card.ts";
import type { TrainingConfig } from "../config.ts";
import { halvingRungs } from "./halving.ts";
import { SweepLog, type TrialEntry } from "./log.ts";
import { ablationDifferences, byMonitor, monitored, type SweepResult, variantResults } from "./results.ts";
import type { SweepConfig } from "./settings.ts";
import { baseSettings, canGoOn, planTrials, type Trial, trialSettings } from "./trials.ts";

/** What is to be trained. */
export interface TrialTask {
  readonly trial: Trial;
  /** All settings; the name is no other training's of this sweep. */
  readonly config: TrainingConfig;
  readonly seed: number;
  /** The folder of this sweep's runs. */
  readonly runsFolder: string;
  readonly signal?: AbortSignal;
}

/** What a trial reached. */
export interface TrialOutcome {
  /** The run's id. */
  readonly run?: string;
  readonly validation: CardFigures;
  /** For each picture of validation whether the first guess is right. */
  readonly answers?: readonly boolean[];
  /** Tells the pictures and their order. */
  readonly pictures?: string;
}

/**
 * Trains one trial, going on with a run of that name where there is one, also a finished one of fewer epochs. Returns undefined
 * when it was interrupted; what it throws is the trial's failure.
 */
export type RunTrial = (task: TrialTask) => Promise<TrialOutcome | undefined>;

/** Settings of `runSweep`. */
export interface SweepOptions {
  /** From `readSweepConfig`. */
  readonly settings: SweepConfig;
  /** The settings that `settings.base` names, with the profile's overlay. */
  readonly base: TrainingConfig;
  readonly profile: string;
  /** Used where the settings name none. */
  readonly seed: number;
  /** What tells the data set from another: with other data it is another sweep. */
  readonly dataset: YamlValue;
  /** The folder of sweeps, e.g. `runs/sweeps`. */
  readonly folder: string;
  readonly runTrial: RunTrial;
  /** Try again what failed before. */
  readonly retryFailed?: boolean;
  /** When it is aborted, the trial in progress stops, and the same sweep can be gone on with. */
  readonly signal?: AbortSignal;
  /** Told of each trial that is over, and of those before a resume; `total` counts all trials of all rounds. */
  readonly onTrial?: (event: { entry: TrialEntry; value: number | undefined; done: number; total: number }) => void;
}

/**
 * Runs the trials that have no line in `FOLDER/NAME-HASH/sweep.jsonl` yet, and writes `results.json`. The hash is that of
 * everything that decides what is trained: a changed sweep is another. A trial that fails is noted with its cause and the rest goes
 * on; a full disk ends the sweep. Throws InputError where the base is impossible, WorkError where another process runs the sweep.
 *
 * In halving, a trial that is promoted goes on from its last checkpoint when its schedule is constant or in steps, which is
 * then the same as one training; other schedules are as long as the training, so it is trained anew with the larger budget.
 */
export async function runSweep(options: SweepOptions): Promise<SweepResult> {
  const { settings, profile, folder: sweeps, base, seed, dataset, retryFailed = false } = options;
  const trials = planTrials(settings, options), trained = baseSettings(base, settings);
  const identity = JSON.parse(JSON.stringify({ settings, base, profile, seed, dataset })) as YamlValue;
  const folder = join(sweeps, `${settings.name}-${configHash(identity).slice(0, 8)}`);
  const lock = await lockFolder(folder);
  try {
    await writeAtomic(join(folder, "sweep.yaml"), stringify(identity));
    using log = await SweepLog.open(folder);
    const before = new Set(log.entries.filter(({ status }) => status === "done" || !retryFailed));
    const state = await runRounds(options, { trials, base: trained, log, folder, before });
    const result: SweepResult = {
      ...{ name: settings.name, method: settings.method, monitor: settings.monitor, profile, state, folder },
      variants: variantResults(trials, log.entries, settings.monitor),
      ...(settings.method === "ablation" ? { differences: ablationDifferences(trials, log.entries) } : {}),
    };
    await writeAtomic(join(folder, "results.json"), JSON.stringify(result, null, 2) + "\n");
    return result;
  } finally {
    lock.release();
  }
}

/** What the rounds work with. */
interface Rounds {
  readonly trials: readonly Trial[];
  readonly base: TrainingConfig;
  readonly log: SweepLog;
  readonly folder: string;
  /** Lines of an earlier call that stand. */
  readonly before: ReadonlySet<TrialEntry>;
}

async function runRounds(options: SweepOptions, rounds: Rounds): Promise<SweepResult["state"]> {
  const { settings, onTrial } = options, { trials, log, before } = rounds;
  const rungs = settings.method === "halving"
    ? halvingRungs({ ...settings, trials: trials.length })
    : [{ trials: trials.length, epochs: undefined }];
  const total = rungs.reduce((sum, rung) => sum + rung.trials, 0);
  let running = trials, done = 0;
  for (const [rung, { epochs }] of rungs.entries()) {
    for (const trial of running) {
      const found = log.find(trial.number, rung);
      const entry = found && before.has(found) ? found : await runOne(options, rounds, { trial, rung, epochs });
      if (!entry) return "interrupted";
      if (entry !== found) log.append(entry);
      const value = entry.validation && monitored(entry.validation, settings.monitor);
      onTrial?.({ entry, value, done: ++done, total });
    }
    const best = running.map(({ number }) => log.find(number, rung)!).filter(({ status }) => status === "done")
      .sort(byMonitor(settings.monitor)).slice(0, rungs[rung + 1]?.trials ?? 0);
    running = best.map(({ trial }) => trials[trial - 1]!);
  }
  return "finished";
}

/** Trains one trial; undefined when it was interrupted. */
async function runOne(
  { settings: { name, monitor }, runTrial, signal }: SweepOptions,
  { base, folder }: Rounds,
  { trial, rung, epochs }: { trial: Trial; rung: number; epochs: number | undefined },
): Promise<TrialEntry | undefined> {
  if (signal?.aborted) return undefined;
  const begun = performance.now(), { number, label, seed } = trial;
  const over = (budget: number) => ({
    ...{ trial: number, rung, label, seed, epochs: budget },
    seconds: Math.round(performance.now() - begun) / 1000,
    time: new Date().toISOString(),
  });
  let budget = epochs ?? base.training.epochs;
  try {
    const config = trialSettings(base, trial, { epochs });
    budget = config.training.epochs;
    const own = `${name}-${String(number).padStart(3, "0")}`;
    const outcome = await runTrial({
      ...{ trial, seed, runsFolder: join(folder, "runs") },
      config: { ...config, name: epochs === undefined || canGoOn(config) ? own : `${own}-${budget}-epochs` },
      ...(signal ? { signal } : {}),
    });
    if (!outcome) {
      if (signal?.aborted) return undefined;
      throw new WorkError("expected a finished training, found one that stopped");
    }
    const { run, answers, pictures } = outcome;
    const validation = checkConfig(outcome.validation, figuresSchema, "validation");
    if (monitored(validation, monitor) === undefined) {
      throw new WorkError(`validation: expected the monitored figure ${monitor}, found none`);
    }
    return {
      ...over(budget),
      ...{ status: "done", validation },
      ...(run === undefined ? {} : { run }),
      ...(answers === undefined ? {} : { answers: answers.map(Number).join("") }),
      ...(pictures === undefined ? {} : { pictures }),
    };
  } catch (error) {
    if (signal?.aborted) return undefined;
    if (isDiskFull(error)) throw error;
    return { ...over(budget), status: "failed", cause: describeError(error) };
  }
}

/** No trial's own failure: the next would fail by it as well. */
function isDiskFull(error: unknown): boolean {
  return error instanceof WorkError && /no space left on the disk/.test(error.message);
}
