/** The settings of a fusion and its two phases of training: one YAML file, checked strictly, with the overlay of a profile. */

import { z } from "zod";
import { overlayPath, type TrainingConfig, trainingConfigSchema } from "../../experiment/mod.ts";
import { checkConfig, exists, readConfig } from "../../runtime/mod.ts";
import { FUSIONS } from "./fusions.ts";

const count = z.int().min(1);
const share = z.number().min(0).max(1);
const { optimizer, schedule, training, data } = trainingConfigSchema.shape;

const fusion = z.strictObject({
  /** How the modalities are joined; "visual" and "embedding" read one of them alone. */
  kind: z.enum(FUSIONS),
  /** Numbers of the joined features. */
  width: count.default(256),
  /** Of the attention; they share the width. */
  heads: count.default(4),
  /** Ratio of dropout before the heads. */
  dropout: z.number().min(0).lt(1).default(0),
  /** Which of the visual scales are read, the finest is 0. Default: all. */
  scales: z.array(z.int().min(0)).min(1).optional(),
  /** Inputs less their means over their deviations in train. */
  standardise: z.boolean().default(true),
  /** Cosines with the text prototypes are added to the logits. */
  prototypes: z.boolean().default(true),
});

const tasks = z.strictObject({
  /** Also learn the species' types and generation. */
  types: z.boolean().default(true),
  generation: z.boolean().default(true),
  /** How the tasks' losses become one: by learned uncertainty, or their plain sum. */
  weighting: z.enum(["uncertainty", "sum"]).default("uncertainty"),
});

/** The training of one phase. */
const phase = { optimizer, schedule, training } as const;

const schema = z.strictObject({
  kind: z.literal("fusion"),
  name: trainingConfigSchema.shape.name,
  fusion,
  tasks: tasks.prefault({}),
  loss: z.strictObject({ labelSmoothing: share.default(0) }).prefault({}),
  /** Phase 1: fusion and heads on cached features. */
  frozen: z.strictObject(phase),
  /** Phase 2: everything, on pictures. */
  unfrozen: z.strictObject({
    ...phase,
    /** Side of the pictures; default: that of the picture network. */
    size: z.int().min(32).multipleOf(32).optional(),
    data,
    /** Factors of the learning rate by part; 0 leaves a part as it is, bit for bit. */
    rates: z.strictObject({
      backbone: z.number().min(0).default(0.1),
      tower: z.number().min(0).default(0.01),
      fusion: z.number().min(0).default(1),
    }).prefault({}),
  }),
});

/** Figures that tell which weights are best. */
const MONITORS: readonly string[] = ["top1", "top5", "nll"];

/** All settings of a fusion; `configs/hybrid/fusion.yaml` says what each is for. */
export const fusionConfigSchema = schema.superRefine(
  ({ fusion: { kind, width, heads }, frozen, unfrozen }, context) => {
    const refuse = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
    if (kind === "attention" && width % heads !== 0) refuse(["fusion", "heads"], `a divisor of the width ${width}`);
    for (const [phase, { training: { monitor } }] of Object.entries({ frozen, unfrozen })) {
      if (!MONITORS.includes(monitor)) refuse([phase, "training", "monitor"], MONITORS.join(" or "));
    }
    if (Object.values(unfrozen.rates).every((rate) => rate === 0)) refuse(["unfrozen", "rates"], "one rate above 0");
  },
);

export type FusionConfig = z.output<typeof fusionConfigSchema>;

/** Reads a fusion's settings with the overlay of a profile, as `readTrainingConfig`. Throws InputError with file, line and column. */
export async function readFusionConfig(
  path: string,
  { profile }: { readonly profile?: string | undefined } = {},
): Promise<FusionConfig> {
  const overlay = profile === undefined ? undefined : overlayPath(path, profile);
  return await readConfig(path, fusionConfigSchema, overlay && await exists(overlay) ? [overlay] : []);
}

/** Name of each part's weights in the joined graph, before a "/". */
export const PARTS = ["backbone", "tower", "fusion"] as const;

/**
 * The settings of phase 2 as `trainExperiment` takes them, for pictures of `size` pixels and a graph with these parts. Throws InputError
 * for what no training can be.
 */
export function unfrozenConfig(
  { name, loss, unfrozen }: FusionConfig,
  { size, parts }: { readonly size: number; readonly parts: readonly (typeof PARTS[number])[] },
): TrainingConfig {
  const { optimizer, schedule, training, data, rates } = unfrozen;
  const multipliers = parts.filter((part) => rates[part] > 0).map((part) => ({
    pattern: `${part}/*`,
    factor: rates[part],
  }));
  return checkConfig(
    {
      name: `${name}-unfrozen`,
      model: { family: "residual", size },
      ...{ data, schedule, training },
      loss: { labelSmoothing: loss.labelSmoothing },
      optimizer: { ...optimizer, multipliers: [...optimizer.multipliers, ...multipliers] },
    },
    trainingConfigSchema,
    `${name}: unfrozen`,
  );
}
