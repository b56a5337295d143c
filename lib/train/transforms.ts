/** The parts optimizers are made of. */

import {
  add,
  cast,
  clip,
  div,
  greater,
  max,
  min,
  mul,
  neg,
  pow,
  reduceSumSquare,
  sign,
  sqrt,
  sub,
  type Value,
} from "../onnx/mod.ts";
import { TrainError } from "./errors.ts";
import { blend, perParameter, type TrainedParameter, type Transform } from "./optimizer.ts";
import { expectMatches, matchesName, type NamePattern } from "./patterns.ts";

/** Which parameters a transform applies to. */
export type ParameterMask = (parameter: TrainedParameter) => boolean;

/** The usual choice for weight decay: matrices and kernels, not biases and normalisations' scales, which are vectors. */
export const matricesOnly: ParameterMask = ({ shape }) => shape.length > 1;

/** Scales all updates together so that their common length is at most `limit` (Pascanu et al. 2013, algorithm 1). */
export function clipByGlobalNorm(limit: number): Transform {
  if (!(limit > 0)) throw new TrainError(`clipByGlobalNorm: expected a limit above 0, found ${limit}`);
  return (updates, context) => {
    // As PyTorch's clip_grad_norm_, with its 1e-6.
    const factor = min([div(limit, add(context.globalNorm(updates), 1e-6)), 1]);
    return updates.map((update, i) => mul(update, context.typed(factor, context.parameters[i]!)));
  };
}

/** Holds every element of the updates within ±limit. */
export function clipByValue(limit: number): Transform {
  if (!(limit > 0)) throw new TrainError(`clipByValue: expected a limit above 0, found ${limit}`);
  return perParameter((update) => clip(update, -limit, limit));
}

/**
 * Momentum: the running sum v ← decay · v + g takes the gradient's place; with Nesterov's look-ahead, decay · v + g
 * (Sutskever et al. 2013, in PyTorch's form).
 */
export function trace({ decay, nesterov = false }: { decay: number; nesterov?: boolean }): Transform {
  return perParameter((gradient, parameter, context) => {
    const velocity = context.like("momentum", parameter);
    velocity.next = add(mul(velocity.value, decay), gradient);
    return nesterov ? add(mul(velocity.next, decay), gradient) : velocity.next;
  });
}

/** Settings of `scaleByAdam`. */
export interface AdamOptions {
  /** Decay of the gradients' mean. Default: 0.9. */
  readonly beta1?: number;
  /** Decay of their squares' mean. Default: 0.999. */
  readonly beta2?: number;
  /** Added to the root. Default: 1e-8. */
  readonly epsilon?: number;
}

/** m̂ / (√v̂ + ε) with both means corrected for their start at zero (Kingma and Ba 2015, algorithm 1). */
export function scaleByAdam({ beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: AdamOptions = {}): Transform {
  return (gradients, context) => {
    const count = context.count("adam/count");
    const start = (beta: number) => sub(1, pow(context.graph.constant(beta, { dtype: "float64", shape: [] }), count));
    const first = div(1, start(beta1)), second = div(1, sqrt(start(beta2)));
    return perParameter((gradient, parameter) => {
      const mean = context.like("adam/mean", parameter), square = context.like("adam/square", parameter);
      mean.next = blend(mean.value, gradient, beta1);
      square.next = blend(square.value, mul(gradient, gradient), beta2);
      const root = mul(sqrt(square.next), cast(second, parameter.dtype));
      return div(mul(mean.next, cast(first, parameter.dtype)), add(root, epsilon));
    })(gradients, context);
  };
}

/** sign(β₁ · m + (1 − β₁) · g), m ← β₂ · m + (1 − β₂) · g (Chen et al. 2023, "Symbolic Discovery", algorithm 2). */
export function scaleByLion({ beta1 = 0.9, beta2 = 0.99 }: { beta1?: number; beta2?: number } = {}): Transform {
  return perParameter((gradient, parameter, context) => {
    const mean = context.like("lion/mean", parameter);
    mean.next = blend(mean.value, gradient, beta2);
    return sign(blend(mean.value, gradient, beta1));
  });
}

/** Each update times ‖parameter‖ / ‖update‖, 1 where either is 0 (You et al. 2020, LAMB, algorithm 2 with φ the identity). */
export function scaleByTrustRatio(): Transform {
  return perParameter((update, { value, dtype }) => {
    const weights = reduceSumSquare(value), updates = reduceSumSquare(update);
    const known = cast(greater(min([weights, updates]), 0), dtype);
    const ratio = sqrt(div(weights, max([updates, 1e-30])));
    return mul(update, add(mul(known, sub(ratio, 1)), 1));
  });
}

/** A rate of weight decay for the parameters that a pattern names. */
export interface DecayGroup {
  readonly pattern: NamePattern | readonly NamePattern[];
  /** From 0; 0 takes parameters out of the decay. */
  readonly rate: number;
}

/**
 * Adds rate · parameter to the updates: with the rate of the first group that names the parameter, else with `rate` where the
 * mask chooses it (default: matrices and kernels). Before the moments it is L2 regularisation as in PyTorch's SGD and Adam;
 * after them it is decoupled (Loshchilov and Hutter 2019, AdamW). Throws TrainError for a rate below 0, and, when the step
 * is compiled, for a pattern that names no parameter.
 */
export function addDecayedWeights(
  rate: number,
  mask: ParameterMask = matricesOnly,
  groups: readonly DecayGroup[] = [],
): Transform {
  for (const each of [rate, ...groups.map((group) => group.rate)]) {
    if (!(each >= 0)) throw new TrainError(`addDecayedWeights: expected a rate from 0, found ${each}`);
  }
  return (updates, context) => {
    const names = context.parameters.map(({ name }) => name);
    for (const { pattern } of groups) expectMatches("addDecayedWeights", pattern, names);
    return updates.map((update, i) => {
      const parameter = context.parameters[i]!;
      const group = groups.find(({ pattern }) => matchesName(parameter.name, pattern));
      const own = group ? group.rate : mask(parameter) ? rate : 0;
      return own === 0 ? update : add(update, mul(parameter.value, own));
    });
  };
}

/** A factor of the learning rate for the parameters that a pattern names. */
export interface RateMultiplier {
  readonly pattern: NamePattern | readonly NamePattern[];
  readonly factor: number;
}

/**
 * Times −(learning rate of the step), times the factor of the first multiplier that names the parameter. Throws TrainError, when
 * the step is compiled, for a pattern that names none.
 */
export function scaleByLearningRate({ multipliers = [] }: { multipliers?: readonly RateMultiplier[] } = {}): Transform {
  return (updates, context) => {
    const names = context.parameters.map(({ name }) => name);
    for (const { pattern } of multipliers) expectMatches("scaleByLearningRate", pattern, names);
    const rates = new Map<number, Value>();
    const rate = (factor: number) => {
      const known = rates.get(factor) ??
        (factor === 1 ? neg(context.learningRate) : mul(context.learningRate, -factor));
      rates.set(factor, known);
      return known;
    };
    return updates.map((update, i) => {
      const parameter = context.parameters[i]!;
      const found = multipliers.find(({ pattern }) => matchesName(parameter.name, pattern));
      return mul(update, context.typed(rate(found?.factor ?? 1), parameter));
    });
  };
}

/** Times a number. */
export function scale(factor: number): Transform {
  return perParameter((update) => mul(update, factor));
}
