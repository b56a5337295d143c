/** What a study compares: the settings of a fusion, and each of its parts taken away or exchanged. */

import { checkConfig } from "../../runtime/mod.ts";
import { type FusionConfig, fusionConfigSchema } from "../fusion/config.ts";
import { FUSIONS } from "../fusion/fusions.ts";

/** One row of a study: what it changes in the settings. */
export interface HybridVariant {
  readonly name: string;
  readonly fusion?: Partial<FusionConfig["fusion"]>;
  readonly tasks?: Partial<FusionConfig["tasks"]>;
}

/** What is tried in every variant; validation chooses. */
export interface HybridSettings {
  /** Highest learning rates. Default: that of the settings. */
  readonly learningRate?: readonly number[];
  /** Ratios of dropout. Default: that of the settings. */
  readonly dropout?: readonly number[];
}

/** One choice of them. */
export interface HybridSetting {
  readonly learningRate: number;
  readonly dropout: number;
}

/**
 * The rows of an ablation: the settings as they are, the other kinds of fusion, and every part of the settings taken away by itself;
 * the two modalities alone, without prototypes, which are the embedding's, for the visual one.
 */
export function ablationOf({ fusion, tasks }: FusionConfig, { scales }: { readonly scales: number }): HybridVariant[] {
  const isMultiTask = tasks.types || tasks.generation,
    read = fusion.scales ?? Array.from({ length: scales }, (_, i) => i);
  return [
    { name: fusion.kind },
    ...FUSIONS.filter((kind) => kind !== fusion.kind && kind !== "visual" && kind !== "embedding").map((kind) => ({
      name: kind,
      fusion: { kind },
    })),
    ...(fusion.prototypes ? [{ name: "without prototypes", fusion: { prototypes: false } }] : []),
    ...(isMultiTask ? [{ name: "without multi-task", tasks: { types: false, generation: false } }] : []),
    ...(isMultiTask && tasks.weighting === "uncertainty"
      ? [{ name: "without uncertainty weighting", tasks: { weighting: "sum" as const } }]
      : []),
    ...(fusion.standardise ? [{ name: "without standardisation", fusion: { standardise: false } }] : []),
    ...(read.length > 1 ? [{ name: "coarsest scale alone", fusion: { scales: [Math.max(...read)] } }] : []),
    { name: "visual alone", fusion: { kind: "visual", prototypes: false } },
    { name: "embedding alone", fusion: { kind: "embedding" } },
  ];
}

/** The settings of a variant with a choice. Throws InputError for settings that contradict each other. */
export function configOf(
  config: FusionConfig,
  { name, fusion, tasks }: HybridVariant,
  { learningRate, dropout }: HybridSetting,
): FusionConfig {
  const { frozen } = config;
  return checkConfig(
    {
      ...config,
      fusion: { ...config.fusion, ...fusion, dropout },
      tasks: { ...config.tasks, ...tasks },
      frozen: { ...frozen, schedule: { ...frozen.schedule, learningRate } },
    },
    fusionConfigSchema,
    `variant ${name}`,
  );
}

/** All choices. */
export function choicesOf(
  { fusion, frozen }: FusionConfig,
  { learningRate = [frozen.schedule.learningRate], dropout = [fusion.dropout] }: HybridSettings,
): HybridSetting[] {
  return learningRate.flatMap((rate) => dropout.map((ratio) => ({ learningRate: rate, dropout: ratio })));
}
