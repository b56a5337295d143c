/** The settings of a sweep: which trainings are tried, and how one is judged. One YAML file, checked strictly. */

import { z } from "zod";
import { exists, readConfig, type YamlValue } from "../../runtime/mod.ts";
import { overlayPath, trainingConfigSchema } from "../config.ts";

const count = z.int().min(1);
const seed = z.int().min(0).max(4294967295);
const value: z.ZodType<YamlValue> = z.json();

/** Part of a training's settings; null takes one away. */
const overlay = z.record(z.string(), value);

const values = z.array(value).min(1);

/** Numbers between two ends. */
const range = z.strictObject({
  low: z.number(),
  high: z.number(),
  /** Log: every factor is as likely as any other. */
  scale: z.enum(["linear", "log"]).default("linear"),
  integer: z.boolean().default(false),
}).superRefine(({ low, high, scale, integer }, context) => {
  const refuse = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
  if (high <= low) refuse("high", `more than the low end, ${low}`);
  if (scale === "log" && low <= 0) refuse("low", "more than 0 for a log scale");
  if (integer && !Number.isInteger(low)) refuse("low", "a whole number");
  if (integer && !Number.isInteger(high)) refuse("high", "a whole number");
});

const path = z.string().regex(/^[A-Za-z]\w*(\.\w+)*$/, "a setting's path, e.g. schedule.learningRate");
const some = { error: "at least one" };
const isFilled = (record: Record<string, unknown>) => Object.keys(record).length > 0;
const choices = z.record(path, z.union([values, range], { error: "a list of values, or a range {low, high, scale}" }))
  .refine(isFilled, some);

const shared = {
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "a name of letters, digits, ., _ and -"),
  /** The settings that trials vary: a file, relative to the project. */
  base: z.string().min(1),
  /** Laid over the base for all trials. */
  settings: overlay.default({}),
  /** The validation figure that decides; nll counts downwards. */
  monitor: z.enum(["top1", "top5", "mAP50", "mAP50_95", "nll"]).default("top1"),
  /** Of what is drawn at random, and of trainings where `seeds` names none. Default: the profile's. */
  seed: seed.optional(),
};

const trained = {
  /** In place of the base's; a warm-up keeps its share where the schedule is as long as the training. */
  epochs: count.optional(),
  /** Stop each training after so many steps. */
  steps: count.optional(),
  /** Each setting is trained once with each. */
  seeds: z.array(seed).min(1).refine((all) => new Set(all).size === all.length, { error: "different seeds" })
    .optional(),
};

/** All settings of a sweep; the files in `configs/sweeps/` say what each is for. */
export const sweepConfigSchema = z.discriminatedUnion("method", [
  z.strictObject({
    ...{ ...shared, ...trained, method: z.literal("grid") },
    parameters: z.record(path, values)
      .refine(isFilled, some),
  }),
  z.strictObject({ ...shared, ...trained, method: z.literal("random"), parameters: choices, trials: count }),
  z.strictObject({
    ...{ ...shared, method: z.literal("halving"), parameters: choices, trials: z.int().min(2) },
    /** One of so many trials goes on to the next budget, which is so many times as large. */
    eta: z.int().min(2).default(3),
    /** Budgets of the first and of the last trials. */
    smallestEpochs: count,
    largestEpochs: count,
  }),
  z.strictObject({
    ...{ ...shared, ...trained, method: z.literal("ablation") },
    /** By name, each applied alone. */
    switches: z.record(z.string().min(1), overlay.refine(isFilled, some)).refine(isFilled, some),
    /** Of the switches only these, in this order: a profile's choice. Default: all. */
    only: z.array(z.string()).min(1).refine((all) => new Set(all).size === all.length, { error: "different switches" })
      .optional(),
  }),
], { error: "grid, random, halving or ablation" }).superRefine((sweep, context) => {
  const refuse = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  const unknown = unknownSetting(sweep.settings);
  if (unknown !== undefined) refuse(["settings", ...unknown], "a setting of a training");
  if (sweep.method === "ablation") {
    for (const [name, part] of Object.entries(sweep.switches)) {
      const unknown = unknownSetting(part);
      if (unknown !== undefined) refuse(["switches", name, ...unknown], "a setting of a training");
      if (name === BASE) refuse(["switches", name], `another name than that of the base, "${BASE}"`);
    }
    for (const [index, name] of (sweep.only ?? []).entries()) {
      if (!Object.hasOwn(sweep.switches, name)) refuse(["only", String(index)], "the name of a switch");
    }
    return;
  }
  for (const path of Object.keys(sweep.parameters)) {
    if (unknownSetting(atPath(path, 0))) refuse(["parameters", path], "a setting of a training");
    if (sweep.method === "halving" && path === "training.epochs") {
      refuse(["parameters", path], "a setting that halving does not set itself");
    }
  }
  if (sweep.method === "grid") return;
  const different = Object.values<YamlValue[] | unknown>(sweep.parameters)
    .reduce<number>((product, each) => product * (Array.isArray(each) ? each.length : Infinity), 1);
  if (different < sweep.trials) refuse(["trials"], `at most ${different}, as many as the values can be combined`);
  if (sweep.method === "halving" && sweep.largestEpochs < sweep.smallestEpochs) {
    refuse(["largestEpochs"], `at least smallestEpochs, ${sweep.smallestEpochs}`);
  }
});

/** See `sweepConfigSchema`. */
export type SweepConfig = z.output<typeof sweepConfigSchema>;

/** A range of numbers to draw from. */
export type ParameterRange = z.output<typeof range>;

/** What an ablation's untouched settings are called. */
export const BASE = "base";

/**
 * Reads a sweep's settings, with the overlay of a profile as `readTrainingConfig` has it. Throws InputError that names file,
 * line and column; also for a path that is no setting of a training.
 */
export async function readSweepConfig(
  file: string,
  { profile }: { readonly profile?: string | undefined } = {},
): Promise<SweepConfig> {
  const over = profile === undefined ? undefined : overlayPath(file, profile);
  return await readConfig(file, sweepConfigSchema, over && await exists(over) ? [over] : []);
}

/** ("schedule.learningRate", 1) → { schedule: { learningRate: 1 } }. */
export function atPath(path: string, value: YamlValue): { [key: string]: YamlValue } {
  const [key, ...rest] = path.split(".") as [string, ...string[]];
  return { [key]: rest.length === 0 ? value : atPath(rest.join("."), value) };
}

/** The path of the first key that is no setting of a training. */
function unknownSetting(part: YamlValue): string[] | undefined {
  const issues = trainingConfigSchema.safeParse(part).error?.issues ?? [];
  const unknown = issues.find((issue) => issue.code === "unrecognized_keys");
  return unknown && [...unknown.path.map(String), unknown.keys[0]!];
}
