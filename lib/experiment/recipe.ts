/** What a training's settings mean: loss, optimizer, schedule. */

import type { YoloSpec } from "../models/mod.ts";
import {
  adam,
  adamW,
  type AssignmentOptions,
  constantRate,
  cosineRate,
  type FitOptions,
  lamb,
  linearRate,
  lion,
  type Monitor,
  oneCycle,
  type Optimizer,
  type Schedule,
  sgd,
  stepRate,
  warmUp,
  yoloLoss,
} from "../train/mod.ts";
import type { TrainingConfig } from "./config.ts";

/** How true boxes find their anchors; for `yoloTargets`. */
export function assignmentOf({ maxBoxes, anchorThreshold, neighbours }: TrainingConfig["loss"]): AssignmentOptions {
  return { maxBoxes, neighbours, ...(anchorThreshold === undefined ? {} : { anchorThreshold }) };
}

/** The loss of the network's raw heads. */
export function lossOf(spec: YoloSpec, loss: TrainingConfig["loss"]): ReturnType<typeof yoloLoss> {
  const { box, class: classLoss, gains, labelSmoothing, ignoreThreshold, normalisation } = loss;
  return yoloLoss(spec, {
    ...assignmentOf(loss),
    ...{ boxLoss: box, classLoss, gains, labelSmoothing, ignoreThreshold, normalisation },
  });
}

/** The optimizer. `decayFactor` is `nominalBatch`'s. */
export function optimizerOf(
  { name, momentum, nesterov, weightDecay, decayGroups, multipliers, clipNorm }: TrainingConfig["optimizer"],
  { decayFactor = 1 }: { readonly decayFactor?: number } = {},
): Optimizer {
  const shared = {
    weightDecay: weightDecay * decayFactor,
    decayGroups: decayGroups.map(({ pattern, rate }) => ({ pattern, rate: rate * decayFactor })),
    multipliers,
    ...(clipNorm === undefined ? {} : { clipNorm }),
  };
  if (name === "sgd") return sgd({ momentum, nesterov, ...shared });
  return { adam, adamw: adamW, lion, lamb }[name](shared);
}

/** The learning rate by step, over `steps` steps of `stepsPerEpoch`. */
export function scheduleOf(
  { kind, learningRate, warmUpEpochs, floor, milestones, factor }: TrainingConfig["schedule"],
  { steps, stepsPerEpoch }: { readonly steps: number; readonly stepsPerEpoch: number },
): Schedule {
  const rise = Math.min(Math.round(warmUpEpochs * stepsPerEpoch), steps - 1);
  if (kind === "oneCycle") return oneCycle({ peak: learningRate, steps, ...(rise > 0 ? { rise: rise / steps } : {}) });
  const rest = Math.max(1, steps - rise);
  const main = kind === "constant"
    ? constantRate(learningRate)
    : kind === "cosine"
    ? cosineRate({ peak: learningRate, steps: rest, floor: floor * learningRate })
    : kind === "linear"
    ? linearRate({ from: learningRate, to: floor * learningRate, steps: rest })
    : stepRate({
      rate: learningRate,
      factor,
      at: milestones.map((epoch) => Math.round(epoch * stepsPerEpoch) - rise),
    });
  return warmUp(main, { steps: rise });
}

/** Which way the monitored figure is better. */
export function monitorOf({ monitor }: { readonly monitor: string }): Monitor {
  return { metric: monitor, mode: monitor === "nll" || monitor === "loss" ? "min" : "max" };
}

/** Budget, checkpoints and guard of a training in a run's folder, as `fit` takes them. */
export function planOf(
  { steps, minutes, checkpoint, guard }: Pick<TrainingConfig["training"], "steps" | "minutes" | "checkpoint" | "guard">,
  { folder }: { readonly folder: string },
): Pick<FitOptions, "budget" | "checkpoints" | "guard"> {
  const { everyEpochs, everySteps, everyMinutes, keep } = checkpoint;
  return {
    budget: {
      ...(steps === undefined ? {} : { steps }),
      ...(minutes === undefined ? {} : { seconds: 60 * minutes }),
    },
    checkpoints: {
      ...{ folder, everyEpochs, keep },
      ...(everySteps === undefined ? {} : { everySteps }),
      ...(everyMinutes === undefined ? {} : { everyMinutes }),
    },
    guard: guard === false ? undefined : guard,
  };
}
