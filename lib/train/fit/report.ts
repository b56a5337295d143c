/** Progress of a fit for people: loss, images a second, learning rate, memory. */

import type { ProgressListener } from "../../runtime/mod.ts";
import type { StepResult } from "../compile_step.ts";

/** Steps over which the speed is taken. */
const WINDOW = 20;

/** Measures images a second over the last steps; time between `pause` and the next step does not count. */
export class Speed {
  readonly #now: () => number;
  readonly #steps: { readonly milliseconds: number; readonly images: number }[] = [];
  #last: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#last = now();
  }

  /** Begins to count from here: a validation or a checkpoint lay before. */
  pause(): void {
    this.#last = this.#now();
  }

  /** Counts a step; returns images a second, 0 while no time has passed. */
  count(images: number): number {
    const now = this.#now();
    this.#steps.push({ milliseconds: now - this.#last, images });
    this.#last = now;
    if (this.#steps.length > WINDOW) this.#steps.shift();
    const milliseconds = this.#steps.reduce((sum, step) => sum + step.milliseconds, 0);
    const all = this.#steps.reduce((sum, step) => sum + step.images, 0);
    return milliseconds > 0 ? Number((1000 * all / milliseconds).toPrecision(4)) : 0;
  }
}

/** Tells the listener of each step: done and total are steps, so that a bar can tell the time left. */
export function reportStep(
  listener: ProgressListener,
  { result, epoch, epochs, total, imagesPerSecond }: {
    readonly result: StepResult;
    readonly epoch: number;
    readonly epochs: number;
    /** Steps in all. */
    readonly total: number;
    readonly imagesPerSecond: number;
  },
): void {
  listener({
    label: "train",
    done: result.step + 1,
    total,
    unit: "steps",
    note: [
      `epoch ${epoch + 1}/${epochs}`,
      `loss ${result.loss.toPrecision(4)}`,
      `${imagesPerSecond >= 10 ? Math.round(imagesPerSecond) : imagesPerSecond.toPrecision(2)} images/s`,
      `rate ${result.learningRate.toPrecision(3)}`,
      `${Math.round(residentBytes() / 2 ** 20)} MiB`,
    ].join(", "),
  });
}

let measured = { at: -Infinity, bytes: 0 };

/** The process's memory, measured at most once a second: reading it is a system call. */
function residentBytes(): number {
  const now = performance.now();
  if (now - measured.at > 1000) measured = { at: now, bytes: Deno.memoryUsage().rss };
  return measured.bytes;
}
