/** Which trainings a sweep tries, and the settings of each. */

import { checkConfig, mergeConfig, Random, type YamlValue } from "../../runtime/mod.ts";
import { type TrainingConfig, trainingConfigSchema } from "../config.ts";
import { atPath, BASE, type ParameterRange, type SweepConfig } from "./settings.ts";

/** One training of a sweep. */
export interface Trial {
  /** From 1, in the order of the plan. */
  readonly number: number;
  /** Trials of one variant have the same settings and different seeds; from 1. */
  readonly variant: number;
  /** The switch's name, or the values: "schedule.learningRate 0.001". */
  readonly label: string;
  /** What is varied, by path; of an ablation nothing. */
  readonly parameters: Readonly<Record<string, YamlValue>>;
  /** What is laid over the base. */
  readonly overlay: YamlValue;
  /** Of the training. */
  readonly seed: number;
}

/**
 * All trials. The same settings and seed give the same trials, and more `trials` begin with those of fewer. `seed` is used where
 * the settings name none.
 */
export function planTrials(sweep: SweepConfig, { seed }: { readonly seed: number }): Trial[] {
  const variants = sweep.method === "ablation"
    ? [
      { label: BASE, parameters: {}, overlay: {} },
      ...(sweep.only ?? Object.keys(sweep.switches))
        .map((label) => ({ label, parameters: {}, overlay: sweep.switches[label]! })),
    ]
    : combinations(sweep, sweep.seed ?? seed).map((parameters) => ({
      label: Object.entries(parameters).map(([path, value]) => `${path} ${valueText(value)}`).join(", "),
      parameters,
      overlay: Object.entries(parameters).map(([path, value]) => atPath(path, value)).reduce<YamlValue>(overlaid, {}),
    }));
  const seeds = sweep.method === "halving" ? undefined : sweep.seeds;
  return variants.flatMap((variant, index) =>
    (seeds ?? [sweep.seed ?? seed]).map((seed) => ({ ...variant, variant: index + 1, seed }))
  ).map((trial, index) => ({ number: index + 1, ...trial }));
}

/** The settings that all trials vary. Throws InputError in one line where they are impossible. */
export function baseSettings(base: TrainingConfig, sweep: SweepConfig): TrainingConfig {
  const config = checked(overlaid(plain(base), sweep.settings), `${sweep.base} with the sweep's settings`);
  if (sweep.method === "halving") return withEpochs(config, sweep.largestEpochs);
  const { epochs = config.training.epochs, steps } = sweep;
  const { training, ...rest } = withEpochs(config, epochs);
  return { ...rest, training: steps === undefined ? training : { ...training, steps } };
}

/** A trial's own settings, of another number of epochs where it is given. Throws InputError in one line where they are impossible. */
export function trialSettings(
  base: TrainingConfig,
  { overlay, number }: Pick<Trial, "overlay" | "number">,
  { epochs }: { readonly epochs?: number | undefined } = {},
): TrainingConfig {
  const config = checked(overlaid(plain(base), overlay), `trial ${number}`);
  return epochs === undefined ? config : checked(plain(withEpochs(config, epochs)), `trial ${number}`);
}

/** Whether the rate at a step does not depend on how many steps there are, so that a finished training can be gone on with. */
export function canGoOn({ schedule: { kind } }: TrainingConfig): boolean {
  return kind === "constant" || kind === "step";
}

/** With so many epochs; the warm-up keeps its share of a schedule that is as long as the training. */
function withEpochs(config: TrainingConfig, epochs: number): TrainingConfig {
  const { schedule, training } = config;
  const share = canGoOn(config) ? 1 : epochs / training.epochs;
  return {
    ...config,
    schedule: { ...schedule, warmUpEpochs: schedule.warmUpEpochs * share },
    training: { ...training, epochs },
  };
}

/** Lays `over` on `base` as `mergeConfig` does; a key that is null in `over` is taken away. */
export function overlaid(base: YamlValue, over: YamlValue): YamlValue {
  return without(mergeConfig(base, over), over);
}

/** A value as a reader writes it. */
export function valueText(value: YamlValue): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function without(value: YamlValue, over: YamlValue): YamlValue {
  if (!isMap(value) || !isMap(over)) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([key]) => over[key] !== null)
      .map(([key, inner]) => [key, key in over ? without(inner, over[key]!) : inner]),
  );
}

function isMap(value: YamlValue): value is { [key: string]: YamlValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Without what is undefined. */
function plain(config: TrainingConfig): YamlValue {
  return JSON.parse(JSON.stringify(config));
}

function checked(value: YamlValue, name: string): TrainingConfig {
  return checkConfig(value, trainingConfigSchema, name);
}

type Combination = Record<string, YamlValue>;

function combinations(sweep: Exclude<SweepConfig, { method: "ablation" }>, seed: number): Combination[] {
  if (sweep.method === "grid") {
    return Object.entries(sweep.parameters).reduce<Combination[]>(
      (before, [path, values]) => before.flatMap((each) => values.map((value) => ({ ...each, [path]: value }))),
      [{}],
    );
  }
  const found = new Map<string, Combination>();
  for (let draw = 0; found.size < sweep.trials; draw++) {
    const drawn = Object.fromEntries(
      Object.entries(sweep.parameters).map(([path, choice]) => {
        const random = Random.seeded("sweep", seed, draw, path);
        return [path, Array.isArray(choice) ? random.pick(choice) : drawFrom(choice, random)];
      }),
    );
    found.set(JSON.stringify(drawn), drawn); // a combination that was drawn before is drawn anew
    if (draw > 1000 * sweep.trials) break; // few whole numbers in a range, and all of them are there
  }
  return [...found.values()];
}

/** Uniform in the range or in its logarithm; of whole numbers each end's share is as large as the others'. */
function drawFrom({ low, high, scale, integer }: ParameterRange, random: Random): number {
  const half = integer ? 0.5 : 0;
  const drawn = scale === "log"
    ? Math.exp(random.uniform(Math.log(low - half), Math.log(high + half)))
    : random.uniform(low - half, high + half);
  return Math.min(high, Math.max(low, integer ? Math.round(drawn) : Number(drawn.toPrecision(4))));
}
