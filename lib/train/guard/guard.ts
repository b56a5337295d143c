/** The collapse guard: looks at each step and validation, and says what is not as expected and what to do. */

import type { StepResult } from "../compile_step.ts";
import type { Monitor } from "../fit/monitor.ts";
import type { StepLimits } from "../step_engine.ts";
import type { GuardResponse, GuardSettings, SpikeOptions, StepResponse } from "./options.ts";
import { spikeLimit } from "./running_scale.ts";
import { type GuardIncident, type GuardState } from "./state.ts";
import { fallLimit } from "./validation_fall.ts";

/** Something that is not as expected. */
export interface Finding extends Omit<GuardIncident, "rollback"> {
  /** The first step whose update may be at fault: a checkpoint of so many steps or fewer is from before it. */
  readonly suspect: number;
  /** One more than the last step that may be at fault. */
  readonly until: number;
}

/** The least deviation as a share of the median: a loss of exp(8 · 0.1) = 2.2 times the median is no spike. */
const STEP_FLOOR = 0.1;
/** Distances are few and follow the schedule: exp(6 · 0.3) = 6 times the median is none. */
const DISTANCE_FLOOR = 0.3;
/** Validations that tell the usual fall. */
const FIGURES = 20;
/** Findings that are kept in a checkpoint. */
const INCIDENTS = 100;

/** The guard of one fit. What it finds follows from its state and what it is shown alone. */
export class Guard {
  readonly #settings: GuardSettings;
  #state: GuardState;
  #isDoubtful = false;
  #limits: { readonly loss: SpikeExpectation | undefined; readonly gradients: SpikeExpectation | undefined } = {
    loss: undefined,
    gradients: undefined,
  };

  constructor(settings: GuardSettings, state: GuardState) {
    this.#settings = settings;
    this.#state = structuredClone(state);
  }

  /** For a checkpoint. */
  get state(): GuardState {
    return this.#state;
  }

  /** Of the schedule's learning rate. */
  get rateFactor(): number {
    return this.#state.rateFactor;
  }

  /** Whether the last step was not applied, and not passed over by decision. */
  get isInTrouble(): boolean {
    return this.#state.row.steps > 0;
  }

  /** Whether a step is worked out and not applied, because training came to grief here again. */
  passes(step: number): boolean {
    return this.#state.passes.some(([from, until]) => from <= step && step < until);
  }

  /** The limits of the next step: those of detectors which only log let it pass. */
  limits(): StepLimits {
    const { lossSpike, gradientSpike } = this.#settings, { losses, gradientNorms } = this.#state;
    this.#limits = { loss: expectation(losses, lossSpike), gradients: expectation(gradientNorms, gradientSpike) };
    const limit = (expected: SpikeExpectation | undefined) =>
      expected?.response === "log" ? undefined : expected?.limit;
    return { lossLimit: limit(this.#limits.loss), gradientLimit: limit(this.#limits.gradients) };
  }

  /** Looks at a step that was taken within `limits`. */
  checkStep(result: StepResult, epoch: number): Finding[] {
    const { step, loss, gradientNorm, finite, applied, problem = "" } = result;
    const { window: lossWindow } = this.#settings.lossSpike || { window: 0 };
    const { window: normWindow } = this.#settings.gradientSpike || { window: 0 };
    const findings: Finding[] = [];
    // The update before a bad step is at fault, unless its weights were looked at and found sound.
    const place = (first: number) => ({ suspect: Math.max(this.#state.healthy, first - 1, 0), until: step + 1 });
    const add = (what: Finding["what"], response: StepResponse, evidence: Finding["evidence"], cause: string) =>
      findings.push({ what, step, epoch, cause, evidence, response, ...place(step) });
    if (!finite) add("non-finite step", this.#settings.nonFinite, { found: loss }, problem);
    const { loss: losses, gradients } = this.#limits;
    if (finite && losses && loss > losses.limit) {
      add(
        "loss spike",
        losses.response,
        { found: loss, highest: losses.limit },
        spikeText("a loss", result, loss, losses),
      );
    }
    if (finite && gradients && gradientNorm > gradients.limit) {
      const cause = spikeText("gradients of length", result, gradientNorm, gradients);
      add("gradient spike", gradients.response, { found: gradientNorm, highest: gradients.limit }, cause);
    }
    if (applied) {
      this.#state.row = { steps: 0, from: 0 };
      push(this.#state.losses, loss, lossWindow);
      push(this.#state.gradientNorms, gradientNorm, normWindow);
      return findings;
    }
    const { row } = this.#state;
    this.#state.row = { steps: row.steps + 1, from: row.steps === 0 ? step : row.from };
    if (finite) this.#state.skipped++;
    const { lasting } = this.#settings;
    if (lasting && this.#state.row.steps >= lasting.steps) {
      const { steps, from } = this.#state.row;
      findings.push({
        ...{ what: "lasting trouble", step, epoch, response: lasting.response, ...place(from) },
        evidence: { found: steps, highest: lasting.steps - 1 },
        cause: `step ${step}: expected fewer than ${lasting.steps} steps in a row that change nothing, found ${steps}`,
      });
      if (lasting.response === "log") this.#state.row = { steps: 0, from: 0 };
    }
    return findings;
  }

  /** Looks at what a validation on so many pictures gave; `best` is the best before it. */
  checkValidation(
    figures: Readonly<Record<string, number>>,
    { metric, mode }: Monitor,
    { best, step, epoch, pictures }: {
      best: number | undefined;
      step: number;
      epoch: number;
      pictures?: number | undefined;
    },
  ): Finding[] {
    const { validationFall } = this.#settings, value = figures[metric]!;
    if (!validationFall) return [];
    const known = [...this.#state.figures];
    if (Number.isFinite(value)) push(this.#state.figures, value, FIGURES);
    const limit = best === undefined ? NaN : fallLimit(known, best, { ...validationFall, mode, pictures });
    // Half of a fall that would count puts the weights in doubt: no checkpoint of them is gone back to first.
    this.#isDoubtful = !Number.isFinite(value) ||
      (best !== undefined && Math.abs(best - value) > Math.abs(best - limit) / 2 &&
        (mode === "max") === (value < best));
    if (best === undefined || known.length < validationFall.warmUp) return [];
    if (mode === "max" ? value >= limit : value <= limit) return [];
    const bound = mode === "max" ? { lowest: limit } : { highest: limit };
    return [{
      ...{ what: "validation fall", step, epoch, response: validationFall.response, ...this.#sinceHealthy(step) },
      evidence: { found: value, ...bound },
      cause: `epoch ${epoch}: expected a ${metric} ${mode === "max" ? "from" : "up to"} ${short(limit)} ` +
        `(best ${short(best)}), found ${short(value)}`,
    }];
  }

  /** Whether it wants to know how far the moving average is from the weights. */
  get looksAtAverage(): boolean {
    return this.#settings.averageDistance !== false;
  }

  /** Looks at ‖average − current‖ / ‖current‖. */
  checkAverage(distance: number, { step, epoch }: { step: number; epoch: number }): Finding[] {
    const { averageDistance } = this.#settings;
    if (!averageDistance) return [];
    const expected = expectation(this.#state.distances, averageDistance, DISTANCE_FLOOR);
    if (Number.isFinite(distance)) push(this.#state.distances, distance, averageDistance.window);
    if (Number.isFinite(distance) && !(expected && distance > expected.limit)) return [];
    const highest = expected?.limit ?? Number.MAX_VALUE;
    return [{
      ...{ what: "average distance", step, epoch, response: averageDistance.response, ...this.#sinceHealthy(step) },
      evidence: { found: distance, highest },
      cause: `epoch ${epoch}: expected the moving average within ${short(highest)} of the weights' length from them ` +
        `(median ${short(expected?.median ?? NaN)}), found ${short(distance)}`,
    }];
  }

  /** Between two epochs nothing was found: what came before is not at fault, unless that is in doubt. */
  markHealthy(step: number): void {
    if (!this.#isDoubtful && this.#state.row.steps === 0) this.#state.healthy = step;
    this.#isDoubtful = false;
  }

  /** What is done about a finding: a rollback too many becomes the end. */
  responseTo({ response }: Finding): Finding["response"] {
    return response === "rollback" && this.#state.rollbacks >= this.#settings.mostRollbacks ? "stop" : response;
  }

  /** Keeps an incident. */
  record(incident: GuardIncident): void {
    push(this.#state.incidents, incident, INCIDENTS);
  }

  /** Where the trouble of a finding is, joined with the last one where they nearly touch: it came back. */
  troubleOf({ what, suspect, until }: Finding): Omit<Trouble, "target"> {
    const { trouble } = this.#state;
    if (!trouble || suspect > trouble.until + (trouble.until - trouble.from) / 2) {
      return { from: suspect, until, times: 1 };
    }
    const from = Math.min(suspect, trouble.from), end = Math.max(until, trouble.until);
    // A stretch of steps that ends where patience did goes on: as much again goes by.
    return { from, until: what === "lasting trouble" ? 2 * end - from : end, times: trouble.times + 1 };
  }

  /** Where the last rollback led, when a finding is of the same place. */
  targetBefore(trouble: Omit<Trouble, "target">): number | undefined {
    return trouble.times > 1 ? this.#state.trouble?.target : undefined;
  }

  /**
   * Goes back to what was known at a checkpoint. What was found and how often stays; the rate gets smaller; in the same place a
   * second time the steps from the first that may be at fault go by.
   */
  goBack(before: GuardState, trouble: Trouble, response: GuardResponse): void {
    const { rateFactor, rollbacks, skipped, incidents, passes } = this.#state;
    const told = { skipped, incidents };
    if (response === "stop") {
      this.#state = {
        ...structuredClone(before),
        rateFactor,
        rollbacks,
        ...told,
        passes,
        trouble: this.#state.trouble,
      };
      return;
    }
    this.#state = {
      ...structuredClone(before),
      ...told,
      rateFactor: rateFactor * this.#settings.rateFactor,
      rollbacks: rollbacks + 1,
      row: { steps: 0, from: 0 },
      trouble,
      passes: trouble.times > 1 ? [...passes, [trouble.from, trouble.until]] : passes,
    };
  }

  #sinceHealthy(step: number) {
    return { suspect: this.#state.healthy, until: step };
  }
}

/** Where training came to grief. */
export type Trouble = NonNullable<GuardState["trouble"]>;

interface SpikeExpectation {
  readonly median: number;
  readonly limit: number;
  readonly response: StepResponse;
}

function expectation(
  values: readonly number[],
  options: Required<SpikeOptions> | false,
  floor = STEP_FLOOR,
): SpikeExpectation | undefined {
  if (!options || values.length < options.warmUp) return undefined;
  return { ...spikeLimit(values, { deviations: options.deviations, floor }), response: options.response };
}

function spikeText(what: string, { step, applied }: StepResult, found: number, expected: SpikeExpectation): string {
  return `step ${step}: expected ${what} up to ${short(expected.limit)} (median ${short(expected.median)}), ` +
    `found ${short(found)}${applied ? "" : "; nothing was changed"}`;
}

function push<T>(values: T[], value: T, most: number): void {
  values.push(value);
  if (values.length > most) values.splice(0, values.length - most);
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
