/** The usual optimizers, each a chain of transforms. */

import { chain, type Optimizer, type Transform } from "./optimizer.ts";
import {
  type AdamOptions,
  addDecayedWeights,
  clipByGlobalNorm,
  type DecayGroup,
  matricesOnly,
  type ParameterMask,
  type RateMultiplier,
  scaleByAdam,
  scaleByLearningRate,
  scaleByLion,
  scaleByTrustRatio,
  trace,
} from "./transforms.ts";

/** What every optimizer takes. */
export interface OptimizerOptions {
  /** Default: 0. */
  readonly weightDecay?: number;
  /** Which parameters decay; default: matrices and kernels, not biases and normalisations' scales. */
  readonly decayMask?: ParameterMask;
  /** Other rates of decay by parameter name, whatever the mask says; the first that matches counts. */
  readonly decayGroups?: readonly DecayGroup[];
  /**
   * Factors of the learning rate by parameter name; the first that matches counts. Decay is scaled too, as by the rate of one
   * of PyTorch's parameter groups.
   */
  readonly multipliers?: readonly RateMultiplier[];
  /** Largest common length of all gradients. Default: no limit. */
  readonly clipNorm?: number;
}

/** Stochastic gradient descent; weight decay is added to the gradient, as in PyTorch. */
export function sgd(
  { momentum = 0, nesterov = false, ...options }: OptimizerOptions & { momentum?: number; nesterov?: boolean } = {},
): Optimizer {
  return chain(
    ...clipping(options),
    ...decay(options),
    ...(momentum === 0 ? [] : [trace({ decay: momentum, nesterov })]),
    scaleByLearningRate(options),
  );
}

/** Adam (Kingma and Ba 2015); weight decay is added to the gradient, as in PyTorch. */
export function adam(options: OptimizerOptions & AdamOptions = {}): Optimizer {
  return chain(...clipping(options), ...decay(options), scaleByAdam(options), scaleByLearningRate(options));
}

/** Adam with decoupled weight decay, by default 0.01 (Loshchilov and Hutter 2019). */
export function adamW({ weightDecay = 0.01, ...options }: OptimizerOptions & AdamOptions = {}): Optimizer {
  return chain(
    ...clipping(options),
    scaleByAdam(options),
    ...decay({ ...options, weightDecay }),
    scaleByLearningRate(options),
  );
}

/** Lion, with decoupled weight decay (Chen et al. 2023). Wants a learning rate 3 to 10 times smaller than Adam's. */
export function lion(options: OptimizerOptions & { beta1?: number; beta2?: number } = {}): Optimizer {
  return chain(...clipping(options), scaleByLion(options), ...decay(options), scaleByLearningRate(options));
}

/** LAMB, for large batches: Adam with decay, rescaled for each tensor (You et al. 2020). */
export function lamb({ epsilon = 1e-6, ...options }: OptimizerOptions & AdamOptions = {}): Optimizer {
  return chain(
    ...clipping(options),
    scaleByAdam({ ...options, epsilon }),
    ...decay(options),
    scaleByTrustRatio(),
    scaleByLearningRate(options),
  );
}

function clipping({ clipNorm }: OptimizerOptions): Transform[] {
  return clipNorm === undefined ? [] : [clipByGlobalNorm(clipNorm)];
}

function decay({ weightDecay = 0, decayMask = matricesOnly, decayGroups = [] }: OptimizerOptions): Transform[] {
  const none = weightDecay === 0 && decayGroups.length === 0;
  return none ? [] : [addDecayedWeights(weightDecay, decayMask, decayGroups)];
}
