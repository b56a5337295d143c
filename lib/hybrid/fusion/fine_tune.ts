/** Phase 2: backbone, image tower and fusion learn together, on pictures, each at its own rate. */

import {
  logitsTask,
  sharesOf,
  type TaskNetwork,
  trainExperiment,
  type TrainingConfig,
  type TrainOptions,
  type TrainResult,
} from "../../experiment/mod.ts";
import { InputError, sha256 } from "../../runtime/mod.ts";
import { toModel } from "../../onnx/mod.ts";
import type { Species } from "../../species/mod.ts";
import { FUSION_VALUES } from "./classifier.ts";
import { type FusionConfig, PARTS, unfrozenConfig } from "./config.ts";
import { type JoinedGraph, joinedGraph, type JoinedGraphOptions } from "./joined_graph.ts";
import { fusionLoss, TARGETS } from "./loss.ts";

/** Settings of `fineTuneHybrid`: those of `trainExperiment`, whose pictures, runs and resuming it has. */
export interface FineTuneHybridOptions
  extends
    Omit<TrainOptions, "config" | "task" | "recorded">,
    Pick<JoinedGraphOptions, "backbone" | "tower" | "fusion"> {
  readonly config: FusionConfig;
  /** Side of the backbone's pictures, for settings that name none. */
  readonly size: number;
}

/**
 * Trains the joined graph as `config.unfrozen` says: the learning rate of each part is the schedule's times its factor in `rates`, and a
 * part with 0 stays as it is, bit for bit. The run's model.onnx takes pictures and needs neither cached features nor a tower beside
 * it; networks and fusion stand in the log by their hashes. Throws as `joinedGraph` and `trainExperiment`.
 */
export async function fineTuneHybrid(
  { config, backbone, tower, fusion, size: own, ...options }: FineTuneHybridOptions,
): Promise<TrainResult> {
  const { rates, size = own } = config.unfrozen, { classes } = options.data;
  const frozen = PARTS.filter((part) => rates[part] === 0);
  const joined = await joinedGraph({ backbone, tower, fusion, size, frozen });
  const outputs = fusion.outputs.find(({ name }) => name === FUSION_VALUES.logits)?.shape[1];
  if (outputs !== classes.length) {
    throw new InputError(
      `fusion "${fusion.name}": expected logits of the data set's ${classes.length} species, found ${outputs}`,
    );
  }
  return await trainExperiment({
    ...options,
    config: unfrozenConfig(config, { size, parts: joined.parts }),
    task: (settings) => hybridTask(settings, joined, { config, classes, size }),
    recorded: {
      hybrid: {
        ...{ fusion: sha256(toModel(fusion)), ...joined.identities, rates: { ...rates } },
        tasks: { ...config.tasks },
        tower_picture: {
          ...tower.preprocessing,
          mean: [...tower.preprocessing.mean],
          std: [...tower.preprocessing.std],
        },
      },
    },
  });
}

/** The joined graph as the task of a training. */
export function hybridTask(
  settings: TrainingConfig,
  { graph }: JoinedGraph,
  { config, classes, size }: {
    readonly config: Pick<FusionConfig, "tasks" | "loss">;
    readonly classes: readonly Species[];
    readonly size: number;
  },
): TaskNetwork {
  const outputs = [FUSION_VALUES.types, FUSION_VALUES.generation].filter((name) =>
    graph.outputs.some((output) => output.name === name)
  );
  const task = logitsTask(settings, {
    ...{ graph, size, outputs, classes: classes.length },
    loss: fusionLoss(config, classes),
    targets: ({ targets }) => ({ [TARGETS]: sharesOf(targets, classes.length) }),
  });
  return {
    ...task,
    describe(way) {
      const { outputs, decode } = task.describe(way);
      return { outputs, decode: { ...decode, family: "hybrid" } };
    },
  };
}
