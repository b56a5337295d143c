/** A pool of Workers that answer jobs one at a time each. */

import { describeError, WorkError } from "./errors.ts";

/** What travels to a worker. */
interface Envelope<Job> {
  readonly id: number;
  readonly job: Job;
}

/** What comes back. */
type Answer<Result> =
  | { readonly id: number; readonly ok: true; readonly result: Result }
  | { readonly id: number; readonly ok: false; readonly error: string };

/**
 * The worker's side: answers every job with `handle`'s result. Call it once, at the top of the worker's file.
 * `transfer` names the buffers of a result that are moved rather than copied.
 */
export function serveJobs<Job, Result>(
  handle: (job: Job) => Promise<Result> | Result,
  transfer: (result: Result) => Transferable[] = () => [],
): void {
  const scope = self as unknown as Worker;
  scope.onmessage = async (event: MessageEvent) => {
    const { id, job } = event.data as Envelope<Job>;
    try {
      const result = await handle(job);
      scope.postMessage({ id, ok: true, result } satisfies Answer<Result>, transfer(result));
    } catch (error) {
      scope.postMessage({ id, ok: false, error: describeError(error) } satisfies Answer<Result>);
    }
  };
}

export interface WorkerPoolOptions {
  /** Number of workers; by default the number of cores, at most 8. */
  readonly size?: number;
  /** For messages: what the workers do. */
  readonly name?: string;
}

interface Member<Result> {
  readonly worker: Worker;
  pending?: { id: number; resolve: (result: Result) => void; reject: (error: Error) => void } | undefined;
}

/**
 * Runs jobs on `size` workers of one module. `run` waits for a free worker, so a caller that awaits it has back-pressure;
 * `map` keeps all workers busy and yields results in the order of the jobs. A job that throws rejects with WorkError and
 * the worker goes on; a worker that dies rejects its job and is replaced by a fresh one.
 */
export class WorkerPool<Job, Result> implements Disposable {
  readonly #module: URL;
  readonly #name: string;
  readonly #idle: Member<Result>[] = [];
  readonly #all = new Set<Member<Result>>();
  readonly #waiting: ((member: Member<Result>) => void)[] = [];
  #next = 0;
  #closed = false;
  readonly size: number;

  constructor(module: URL, { size = defaultWorkers(), name = "worker" }: WorkerPoolOptions = {}) {
    this.#module = module;
    this.#name = name;
    this.size = Math.max(1, size);
    for (let i = 0; i < this.size; i++) this.#free(this.#spawn());
  }

  /** Runs one job; `transfer` names the buffers that are moved to the worker. */
  async run(job: Job, transfer: Transferable[] = []): Promise<Result> {
    if (this.#closed) throw new WorkError(`${this.#name} pool: expected an open pool, found a closed one`);
    const member = this.#idle.pop() ?? await new Promise<Member<Result>>((resolve) => this.#waiting.push(resolve));
    const id = this.#next++;
    try {
      return await new Promise<Result>((resolve, reject) => {
        member.pending = { id, resolve, reject };
        member.worker.postMessage({ id, job } satisfies Envelope<Job>, transfer);
      });
    } finally {
      member.pending = undefined;
      if (this.#all.has(member)) this.#free(member);
    }
  }

  /** Runs all jobs, at most `ahead` at a time beyond the one awaited, and yields the results in order. */
  async *map(jobs: Iterable<Job> | AsyncIterable<Job>, ahead = this.size * 2): AsyncGenerator<Result> {
    const queue: Promise<Result>[] = [];
    try {
      for await (const job of jobs) {
        const promise = this.run(job);
        promise.catch(() => {}); // awaited below, in order
        queue.push(promise);
        if (queue.length >= ahead) yield await queue.shift()!;
      }
      while (queue.length) yield await queue.shift()!;
    } finally {
      await Promise.allSettled(queue);
    }
  }

  /** Ends the workers; jobs under way reject. */
  close(): void {
    this.#closed = true;
    for (const member of this.#all) {
      member.worker.terminate();
      member.pending?.reject(new WorkError(`${this.#name} pool: closed while a job was under way`));
    }
    this.#all.clear();
    this.#idle.length = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #spawn(): Member<Result> {
    const worker = new Worker(this.#module, { type: "module", name: this.#name });
    const member: Member<Result> = { worker };
    worker.onmessage = (event: MessageEvent) => {
      const answer = event.data as Answer<Result>;
      if (answer.id !== member.pending?.id) return;
      if (answer.ok) member.pending.resolve(answer.result);
      else member.pending.reject(new WorkError(answer.error));
    };
    worker.onerror = (event: ErrorEvent) => {
      event.preventDefault();
      const { pending } = member;
      this.#all.delete(member);
      worker.terminate();
      const at = this.#idle.indexOf(member);
      if (at >= 0) this.#idle.splice(at, 1);
      pending?.reject(new WorkError(`${this.#name}: a worker died: ${event.message}`));
      // A worker that dies before its first job would die again: only one that was at work is replaced.
      if (!this.#closed && pending) this.#free(this.#spawn());
    };
    this.#all.add(member);
    return member;
  }

  #free(member: Member<Result>): void {
    const next = this.#waiting.shift();
    if (next) next(member);
    else this.#idle.push(member);
  }
}

/** One worker a core, at most 8. */
export function defaultWorkers(): number {
  return Math.max(1, Math.min(8, navigator.hardwareConcurrency || 1));
}
