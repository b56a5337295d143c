/** What the guard looks for, how much it lets pass, and what it does then. */

import { TrainError } from "../errors.ts";

/** To say it and go on; to go back to a checkpoint with a smaller learning rate; to end training with the best weights. */
export type GuardResponse = "log" | "rollback" | "stop";

/** Single steps can be skipped too: worked out, but not applied. */
export type StepResponse = GuardResponse | "skip";

/** When a value counts as a spike. */
export interface SpikeOptions<Response = StepResponse> {
  readonly response?: Response;
  /** How many robust deviations above the median of the values before. */
  readonly deviations?: number;
  /** Over how many values before. */
  readonly window?: number;
  /** With fewer values before none is a spike. */
  readonly warmUp?: number;
}

/** When a validation counts as a collapse. */
export interface ValidationFallOptions {
  /** Default: "rollback". */
  readonly response?: GuardResponse;
  /** Of the best so far; see `fallLimit`. Default: 0.5. */
  readonly share?: number;
  /** Of the usual fall between two validations. Default: 4. */
  readonly deviations?: number;
  /** A smaller fall never counts, in the figure's unit. Default: 0. */
  readonly least?: number;
  /** With fewer validations before none is a collapse. Default: 3. */
  readonly warmUp?: number;
}

/** Settings of the guard: each detector can be set or, with false, left out. */
export interface GuardOptions {
  /** Such a step is never applied. Default: "skip". */
  readonly nonFinite?: Exclude<StepResponse, "log">;
  /** Of the training loss. Default: skip, 8 deviations, window 100, warm-up 30. */
  readonly lossSpike?: SpikeOptions | false;
  /** Of the length of all gradients, before clipping. Default: as of the loss. */
  readonly gradientSpike?: SpikeOptions | false;
  /** So many steps in a row that were not applied: the weights are at fault, or the data. Default: 10, rollback. */
  readonly lasting?: { readonly steps?: number; readonly response?: GuardResponse } | false;
  /** Of the monitored figure. */
  readonly validationFall?: ValidationFallOptions | false;
  /**
   * Of ‖average − current‖ / ‖current‖, where a moving average is kept, looked at with each validation (at epoch ends, where there is none).
   * Default: log, 6 deviations, window 20, warm-up 5.
   */
  readonly averageDistance?: SpikeOptions<GuardResponse> | false;
  /** By what each rollback multiplies the learning rate. Default: 0.5. */
  readonly rateFactor?: number;
  /** After so many rollbacks the next finding stops training. Default: 3. */
  readonly mostRollbacks?: number;
}

/** With defaults. */
export interface GuardSettings {
  readonly nonFinite: Exclude<StepResponse, "log">;
  readonly lossSpike: Required<SpikeOptions> | false;
  readonly gradientSpike: Required<SpikeOptions> | false;
  readonly lasting: { readonly steps: number; readonly response: GuardResponse } | false;
  readonly validationFall: Required<ValidationFallOptions> | false;
  readonly averageDistance: Required<SpikeOptions<GuardResponse>> | false;
  readonly rateFactor: number;
  readonly mostRollbacks: number;
}

const SPIKE = { response: "skip", deviations: 8, window: 100, warmUp: 30 } as const;
const FALL = { response: "rollback", share: 0.5, deviations: 4, least: 0, warmUp: 3 } as const;
const DISTANCE = { response: "log", deviations: 6, window: 20, warmUp: 5 } as const;

/** Fills in the defaults. Throws TrainError for a number out of its range. */
export function guardSettings(options: GuardOptions): GuardSettings {
  const filled = <T extends object>(defaults: T, given: Partial<T> | false | undefined): T | false =>
    given !== false && { ...defaults, ...given };
  const settings: GuardSettings = {
    nonFinite: options.nonFinite ?? "skip",
    lossSpike: filled<Required<SpikeOptions>>(SPIKE, options.lossSpike),
    gradientSpike: filled<Required<SpikeOptions>>(SPIKE, options.gradientSpike),
    lasting: filled<{ steps: number; response: GuardResponse }>({ steps: 10, response: "rollback" }, options.lasting),
    validationFall: filled<Required<ValidationFallOptions>>(FALL, options.validationFall),
    averageDistance: filled<Required<SpikeOptions<GuardResponse>>>(DISTANCE, options.averageDistance),
    rateFactor: options.rateFactor ?? 0.5,
    mostRollbacks: options.mostRollbacks ?? 3,
  };
  for (const [name, part] of Object.entries(settings)) {
    if (typeof part !== "object") continue;
    for (const [key, value] of Object.entries(part)) {
      if (typeof value === "number") expectInRange(`${name}.${key}`, key, value);
    }
  }
  expectInRange("rateFactor", "share", settings.rateFactor);
  expectInRange("mostRollbacks", "mostRollbacks", settings.mostRollbacks);
  return settings;
}

/** Whether any finding leads to a rollback: then there have to be checkpoints. */
export function goesBack(settings: GuardSettings): boolean {
  return Object.values(settings).some((part) =>
    part === "rollback" || (typeof part === "object" && part.response === "rollback")
  );
}

function expectInRange(name: string, kind: string, value: number): void {
  const [fits, range] = kind === "share"
    ? [value > 0 && value <= 1, "a number above 0, at most 1"]
    : kind === "deviations"
    ? [value > 0, "a number above 0"]
    : kind === "least"
    ? [value >= 0, "a number from 0"]
    : kind === "mostRollbacks"
    ? [Number.isInteger(value) && value >= 0, "a whole number from 0"]
    : [Number.isInteger(value) && value >= 1, "a whole number from 1"];
  if (!fits) throw new TrainError(`fit: guard: ${name}: expected ${range}, found ${value}`);
}
