/** The loop behind `fit`: its state, and the order in which things happen. */

import { basename, dirname, relative, resolve } from "node:path";
import { describeError } from "../../runtime/mod.ts";
import { architectureHash } from "../checkpoint.ts";
import type { StepResult } from "../compile_step.ts";
import { TrainError } from "../errors.ts";
import type { FitCallbacks, FitOptions, FitResult } from "../fit.ts";
import { type Finding, Guard } from "../guard/guard.ts";
import { guardSettings } from "../guard/options.ts";
import { freshGuard, type GuardIncident } from "../guard/state.ts";
import type { FitBatch } from "./batches.ts";
import { checkpointFolder, CheckpointStore } from "./checkpoint_store.ts";
import type { CheckpointReason, FitEvent, StopReason } from "./events.ts";
import { isBetter } from "./monitor.ts";
import { countNonFinite } from "./non_finite.ts";
import type { FitProgress } from "./progress.ts";
import { reportStep, Speed } from "./report.ts";
import { findRollback } from "./rollback.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Why an epoch is not gone on with: training ends, or the guard went back to a checkpoint. */
type Break = StopReason | "went back";

/** One fit. */
export class FitLoop implements Disposable {
  readonly #options: FitOptions;
  readonly #store: CheckpointStore | undefined;
  readonly #speed: Speed;
  readonly #started: number;
  #at: Mutable<Omit<FitProgress, "savedAt" | "custom" | "guard">>;
  #guard: Guard;
  readonly #isGuarded: boolean;
  /** The weights are not to be kept: the guard stopped and found nothing to go back to. */
  #isSpoilt = false;
  /** When the last checkpoint was written, or training began. */
  #savedTime: number;
  /** The step of the last checkpoint in `checkpoints/`, and how much of its epoch was done. */
  #saved: { readonly place: string; readonly file: string } | undefined;

  private constructor(options: FitOptions, store: CheckpointStore | undefined) {
    this.#options = options;
    this.#store = store;
    this.#speed = new Speed(this.#now);
    this.#started = this.#savedTime = this.#now();
    const { step, stepsPerEpoch, runId = "", configHash = "", resume } = options;
    const fresh = {
      ...{ epoch: 0, stepInEpoch: 0, images: 0, epochLoss: { sum: 0, steps: 0 }, metrics: {}, best: null, waited: 0 },
      ...{ nonFinite: { total: 0, inRow: 0, first: "" }, seconds: 0, guard: freshGuard() },
    };
    const architecture = architectureHash(step.tensors);
    const { savedAt: _, custom: __, guard, ...before } = resume?.progress ?? { savedAt: "", custom: null, ...fresh };
    this.#at = { ...before, runId, configHash, architecture, stepsPerEpoch };
    this.#isGuarded = options.guard !== undefined;
    this.#guard = new Guard(guardSettings(options.guard ?? UNGUARDED), guard);
  }

  /** Takes the run's folder and loads the checkpoint to go on from. */
  static async open(options: FitOptions): Promise<FitLoop> {
    const { checkpoints, resume, step } = options;
    if (resume) expectSameEpochs(resume.progress, options);
    const store = checkpoints && await CheckpointStore.open(checkpoints);
    try {
      const loop = new FitLoop(options, store);
      if (resume) {
        await step.load(resume.state);
        if (resume.progress.custom !== null) options.custom?.load(resume.progress.custom);
        loop.#announceResume();
      }
      return loop;
    } catch (error) {
      store?.[Symbol.dispose]();
      throw error;
    }
  }

  async run(): Promise<FitResult> {
    let reason: StopReason;
    try {
      if (this.#isGuarded && this.#step === 0) await this.#save("start", { last: true, best: false });
      reason = this.#stopBetweenEpochs() ?? await this.#epochs();
      await this.#saveAtEnd();
    } catch (error) {
      try {
        this.#logEnd("failed", describeError(error));
      } catch {
        // the log may be what failed; its error is no better than the first
      }
      await this.#call((callbacks) => callbacks.onEnd?.({ reason: "failed" })).catch(() => {});
      throw error;
    }
    this.#logEnd(reason);
    await this.#call((callbacks) => callbacks.onEnd?.({ reason }));
    const { epoch, images, best, metrics, nonFinite } = this.#at,
      { skipped, incidents, rateFactor } = this.#guard.state;
    return {
      ...{ reason, epochs: epoch, step: this.#step, images, best, metrics, nonFinite: nonFinite.total },
      ...{
        skipped,
        incidents: structuredClone(incidents),
        rateFactor,
        spoilt: this.#isSpoilt,
        seconds: this.#seconds(),
      },
      ...(this.#saved ? { checkpoint: this.#saved.file } : {}),
    };
  }

  /** Lets others have the run's folder. */
  [Symbol.dispose](): void {
    this.#store?.[Symbol.dispose]();
  }

  async #epochs(): Promise<StopReason> {
    for (;;) {
      const stop = await this.#epoch();
      if (stop) return stop;
    }
  }

  async #epoch(): Promise<StopReason | undefined> {
    const stop = await this.#steps() ?? await this.#validate();
    if (stop === "went back") return undefined;
    if (typeof stop === "string") return stop;
    const { best } = stop;
    const { epoch, epochLoss: { sum, steps } } = this.#at;
    Object.assign(this.#at, { epoch: epoch + 1, stepInEpoch: 0, epochLoss: { sum: 0, steps: 0 } });
    await this.#call((callbacks) => callbacks.onEpoch?.({ epoch, step: this.#step, loss: sum / steps }));
    const due = this.#due(true);
    if (due || best) await this.#save(due ?? "best", { last: due !== undefined, best });
    return this.#stopBetweenEpochs();
  }

  /** The rest of the epoch's steps. Returns why to stop before its end. */
  async #steps(): Promise<Break | undefined> {
    const { batches, stepsPerEpoch } = this.#options, { epoch, stepInEpoch } = this.#at;
    if (stepInEpoch === stepsPerEpoch) return undefined; // stopped before its validation
    this.#speed.pause();
    for await (const batch of batches(epoch, stepInEpoch)) {
      const found = await this.#takeStep(batch);
      if (found) return found;
      if (this.#options.signal?.aborted) return "interrupted";
      if (this.#at.stepInEpoch === stepsPerEpoch) return undefined;
      const spent = this.#spentBudget();
      if (spent) return spent;
      const due = this.#due(false);
      if (due) await this.#save(due, { last: true, best: false });
    }
    throw new TrainError(
      `fit: epoch ${epoch}: expected ${stepsPerEpoch} batches, found ${this.#at.stepInEpoch}`,
    );
  }

  async #takeStep({ batch, images }: FitBatch): Promise<Break | undefined> {
    const { step, schedule, maxNonFinite = 10, epochs, stepsPerEpoch, onProgress, budget } = this.#options;
    const { epoch, epochLoss } = this.#at;
    const goesBy = this.#guard.passes(step.step), limits = goesBy ? { lossLimit: -Infinity } : this.#guard.limits();
    const learningRate = schedule(step.step) * this.#guard.rateFactor;
    const result = await step.run(batch, { learningRate, ...limits });
    const imagesPerSecond = this.#speed.count(images);
    this.#at.stepInEpoch++;
    this.#at.images += images;
    if (result.applied) this.#at.epochLoss = { sum: epochLoss.sum + result.loss, steps: epochLoss.steps + 1 };
    const findings = this.#isGuarded && !goesBy ? this.#guard.checkStep(result, epoch) : [];
    this.#logStep(result, epoch, images, imagesPerSecond);
    if (onProgress) {
      const total = Math.min(epochs * stepsPerEpoch, budget?.steps ?? Infinity);
      reportStep(onProgress, { result, epoch, epochs, total, imagesPerSecond });
    }
    await this.#call((callbacks) => callbacks.onStep?.({ result, epoch, images, imagesPerSecond }));
    const found = await this.#respond(findings);
    if (!found && !goesBy) this.#at.nonFinite = countNonFinite(this.#at.nonFinite, result, maxNonFinite);
    return found;
  }

  /** Validates when it is due; returns whether it is the best so far, or why training does not go on from here. */
  async #validate(): Promise<{ best: boolean } | Break> {
    const { validation, signal = new AbortController().signal, epochs } = this.#options;
    const { epoch } = this.#at;
    if (!validation) return await this.#lookBetweenEpochs(undefined) ?? { best: false };
    if ((epoch + 1) % (validation.every ?? 1) !== 0 && epoch + 1 < epochs) return { best: false };
    const begun = this.#now();
    let figures: Record<string, number>;
    try {
      figures = await validation.run({ epoch, step: this.#step, signal });
    } catch (error) {
      if (signal.aborted) return "interrupted";
      throw error;
    }
    const { monitor } = validation, { best, waited } = this.#at;
    const findings = monitor && this.#isGuarded && figures[monitor.metric] !== undefined
      ? this.#guard.checkValidation(figures, monitor, {
        ...{ best: best?.value, epoch, step: this.#step, pictures: validation.pictures },
      })
      : undefined;
    const better = monitor !== undefined && isBetter(monitor, figures, best);
    this.#at.metrics = figures;
    this.#at.waited = better ? 0 : waited + 1;
    if (better) {
      this.#at.best = { metric: monitor.metric, value: figures[monitor.metric]!, epoch, step: this.#step };
    }
    const seconds = (this.#now() - begun) / 1000;
    this.#log({ kind: "validation", ...this.#place(epoch), figures, best: better, wall: { ...this.#wall(), seconds } });
    const event = { epoch, step: this.#step, figures, best: better };
    await this.#call((callbacks) => callbacks.onValidation?.(event));
    return await this.#lookBetweenEpochs(findings) ?? { best: better };
  }

  /** What the guard says of an epoch that was trained, and validated where it was. */
  async #lookBetweenEpochs(findings: readonly Finding[] | undefined): Promise<Break | undefined> {
    if (!this.#isGuarded) return undefined;
    const { step } = this.#options, { epoch } = this.#at;
    const distances = step.averaged && this.#guard.looksAtAverage
      ? this.#guard.checkAverage(await step.averageDistance(), { step: this.#step, epoch })
      : undefined;
    const all = [...findings ?? [], ...distances ?? []];
    if ((findings ?? distances) && all.length === 0) this.#guard.markHealthy(this.#step);
    return await this.#respond(all);
  }

  /** Tells of what the guard found, and does something about it. */
  async #respond(findings: readonly Finding[]): Promise<Break | undefined> {
    for (const finding of findings) {
      const response = this.#guard.responseTo(finding);
      if (response === "rollback" || response === "stop") return await this.#goBack(finding, response);
      const { suspect: _, until: __, ...incident } = finding;
      this.#tell({ ...incident, response });
    }
    return undefined;
  }

  /** Goes back to a checkpoint from before the trouble. Without one training ends, and the best stays what it is. */
  async #goBack(finding: Finding, response: "rollback" | "stop"): Promise<Break> {
    const { step, checkpoints, custom } = this.#options, guard = this.#guard;
    const { runId, configHash, architecture, stepsPerEpoch, seconds, best } = this.#at;
    const trouble = guard.troubleOf(finding);
    const { suspect: _, until: __, ...incident } = finding;
    const { target, problems, bestLost } = !this.#store ? NOTHING : await findRollback({
      ...{ folder: checkpoints!.folder, runId, tensors: step.tensors, upTo: trouble.from, files: this.#store.files },
      stepsPerEpoch,
      ...(response === "stop" ? { toBest: true } : { before: guard.targetBefore(trouble) }),
    });
    if (!target) {
      const cause =
        `${finding.cause}; expected a whole checkpoint from before it to go back to, found none: training ends`;
      this.#isSpoilt = true;
      this.#tell({ ...incident, cause, response: "stop" });
      problems.forEach((problem) => this.#logWarning(problem));
      return "guard";
    }
    await step.load(target.state);
    const { savedAt: ___, custom: saved, guard: known, seconds: ____, ...progress } = target.progress;
    if (saved !== null) custom?.load(saved);
    guard.goBack(known, { ...trouble, target: target.state.step }, response);
    // The best stays the best, wherever it came from: it is what lies in `best/`.
    const stays = { runId, configHash, architecture, stepsPerEpoch, seconds, best: bestLost ? null : best };
    this.#at = { ...progress, ...stays };
    await this.#store!.removeAfter(target.state.step);
    const passes = guard.state.passes.at(-1), { rateFactor } = guard, { epoch, stepInEpoch } = this.#at;
    const file = relative(checkpoints!.folder, target.path);
    const goneBack = `${finding.cause}; went back to ${file} of step ${target.state.step}`;
    const told: GuardIncident = {
      ...incident,
      response,
      cause: response === "stop"
        ? `${goneBack}: training ends`
        : `${goneBack}, learning rate times ${Number(rateFactor.toPrecision(6))}` +
          (trouble.times > 1 ? `, steps ${trouble.from} to ${trouble.until - 1} go by` : ""),
      rollback: {
        ...{ file, step: target.state.step, epoch, stepInEpoch, rateFactor },
        ...(response === "rollback" && trouble.times > 1 && passes ? { passes } : {}),
      },
    };
    // The checkpoint first: what the log says of a rollback that a kill undid would cut a hole into it.
    this.#guard.record(told);
    await this.#save("rollback", { last: true, best: false }, () => this.#tell(told, { isKept: true }));
    problems.forEach((problem) => this.#logWarning(problem));
    return response === "stop" ? "guard" : "went back";
  }

  /** Why training ends at the end of an epoch. */
  #stopBetweenEpochs(): StopReason | undefined {
    const { epochs, validation, signal } = this.#options, { epoch, waited } = this.#at;
    if (epoch >= epochs) return "finished";
    if (waited >= (validation?.patience ?? Infinity)) return "early stop";
    if (signal?.aborted) return "interrupted";
    return this.#spentBudget();
  }

  #spentBudget(): StopReason | undefined {
    const { steps = Infinity, seconds = Infinity } = this.#options.budget ?? {};
    if (this.#step >= steps) return "step budget";
    return this.#now() - this.#started >= 1000 * seconds ? "time budget" : undefined;
  }

  /** Whether it is time for a checkpoint, and why. */
  #due(epochEnded: boolean): CheckpointReason | undefined {
    const { everyEpochs = 10, everySteps, everyMinutes = Infinity } = this.#options.checkpoints ?? {};
    if (!this.#store) return undefined;
    if (!epochEnded && this.#guard.isInTrouble) return undefined; // the ones from before are needed more
    if (epochEnded && this.#at.epoch % everyEpochs === 0) return "epochs";
    if (everySteps !== undefined && this.#step % everySteps === 0) return "steps";
    return this.#now() - this.#savedTime >= 60_000 * everyMinutes ? "minutes" : undefined;
  }

  async #saveAtEnd(): Promise<void> {
    if (this.#isSpoilt || this.#saved?.place === this.#placeText()) return;
    await this.#save("end", { last: true, best: false });
  }

  async #save(
    why: CheckpointReason,
    { last, best }: { last: boolean; best: boolean },
    log: () => void = () => {},
  ): Promise<void> {
    if (!this.#store) return;
    const { step, custom, checkpoints } = this.#options;
    const begun = this.#now();
    this.#options.log?.flush?.();
    const { state: guard } = this.#guard;
    const progress = { ...this.#at, guard, seconds: this.#seconds(), custom: custom?.save() ?? null };
    const file = await this.#store.save(await step.state(), progress, { last, best, now: new Date(begun) });
    if (last) {
      this.#saved = { place: this.#placeText(), file };
      this.#savedTime = this.#now();
    }
    const { epoch, stepInEpoch } = this.#at, seconds = (this.#now() - begun) / 1000;
    const wall = { ...this.#wall(), seconds };
    log();
    this.#log({ kind: "checkpoint", ...this.#place(), stepInEpoch, file, why, best, wall });
    const path = `${checkpoints!.folder}/${file}`;
    await this.#call((callbacks) => callbacks.onCheckpoint?.({ path, epoch, step: this.#step, best }));
    this.#speed.pause();
  }

  #announceResume(): void {
    const { configHash = "", resume, checkpoints } = this.#options, { path, progress } = resume!;
    const { stepInEpoch } = this.#at, file = basename(path);
    if (checkpoints && resolve(dirname(path)) === resolve(checkpointFolder(checkpoints.folder))) {
      this.#saved = { place: this.#placeText(), file: `checkpoints/${file}` };
    }
    this.#log({ kind: "resume", ...this.#place(), stepInEpoch, file, from: progress.runId, wall: this.#wall() });
    if (configHash === progress.configHash) return;
    const cause = `${file}: expected a checkpoint of the same settings (${configHash.slice(0, 12) || "none"}), ` +
      `found one of others (${progress.configHash.slice(0, 12) || "none"})`;
    this.#logWarning(cause);
  }

  #logWarning(cause: string): void {
    this.#log({ kind: "incident", ...this.#place(), what: "warning", cause, wall: this.#wall() });
    this.#options.warn?.(cause);
  }

  /** Keeps what the guard found and did, and logs it. */
  #tell(incident: GuardIncident, { isKept = false } = {}): void {
    if (!isKept) this.#guard.record(incident);
    this.#log({ kind: "incident", ...incident, wall: this.#wall() });
    this.#options.warn?.(incident.cause);
  }

  #logStep(result: StepResult, epoch: number, images: number, imagesPerSecond: number): void {
    const { step, loss, learningRate, gradientNorm, finite, applied, problem } = result;
    const metrics = Object.fromEntries(
      Object.entries(result.metrics).flatMap(([name, value]) => typeof value === "number" ? [[name, value]] : []),
    );
    const wall = { ...this.#wall(), imagesPerSecond };
    const skipped = finite && !applied ? { skipped: true } as const : {};
    this.#log({
      kind: "step",
      step,
      epoch,
      loss,
      metrics,
      learningRate,
      gradientNorm,
      finite,
      ...skipped,
      images,
      wall,
    });
    if (finite || this.#isGuarded || problem === undefined) return;
    this.#log({ kind: "incident", step, epoch, what: "non-finite step", cause: problem, wall: this.#wall() });
    this.#options.warn?.(problem);
  }

  #logEnd(reason: StopReason | "failed", problem?: string): void {
    const wall = { ...this.#wall(), seconds: this.#seconds() }, { images } = this.#at;
    this.#log({ kind: "end", ...this.#place(), reason, ...(problem ? { problem } : {}), images, wall });
    this.#options.log?.flush?.();
  }

  #log(event: FitEvent): void {
    this.#options.log?.append(event);
  }

  async #call(call: (callbacks: FitCallbacks) => void | Promise<void>): Promise<void> {
    for (const callbacks of this.#options.callbacks ?? []) await call(callbacks);
  }

  get #step(): number {
    return this.#options.step.step;
  }

  #place(epoch: number = this.#at.epoch): { step: number; epoch: number } {
    return { step: this.#step, epoch };
  }

  #placeText(): string {
    const { epoch, stepInEpoch } = this.#at;
    return `${this.#step} ${epoch} ${stepInEpoch}`;
  }

  #wall(): { time: string } {
    return { time: new Date(this.#now()).toISOString() };
  }

  /** Time in training, that of the process before included. */
  #seconds(): number {
    return (this.#options.resume?.progress.seconds ?? 0) + (this.#now() - this.#started) / 1000;
  }

  readonly #now = (): number => (this.#options.now ?? Date.now)();
}

/** Without a guard no step is limited; what one before has left is kept, and its rate gone on with. */
const UNGUARDED = { lossSpike: false, gradientSpike: false } as const;

const NOTHING = { target: undefined, problems: [], bestLost: false };

/** Throws TrainError when the place in the epoch would mean another one. */
function expectSameEpochs(progress: FitProgress, { resume, stepsPerEpoch }: FitOptions): void {
  const { stepInEpoch, stepsPerEpoch: before } = progress;
  if (stepInEpoch === 0 || before === stepsPerEpoch) return;
  throw new TrainError(
    `${resume!.path}: expected a checkpoint from within an epoch of ${stepsPerEpoch} steps, found one of ${before}`,
  );
}
