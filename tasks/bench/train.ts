/**
 * `bench train`: training steps of `compileStep`, in its worker as users get them, beside PyTorch CPU; how long a large step
 * takes to compile; memory at its peak and over a thousand steps.
 */

import { join } from "node:path";
import { type ProgressListener, WorkError } from "../../lib/runtime/mod.ts";
import { compileStep, sgd, type Step, type StepOptions } from "../../lib/train/mod.ts";
import { CASES, type TrainCase, type TrainCaseParts } from "./networks.ts";
import { defaultPython, PytorchPeer } from "./pytorch_steps.ts";
import { type BenchRow, benchRow } from "./row.ts";

const PEER = "pytorch-cpu";

export interface TrainBenchOptions {
  /** Default: all. */
  readonly cases?: readonly TrainCase[];
  /** Default: 2. */
  readonly threads?: number;
  /** How often the engines take turns; default 4. */
  readonly rounds?: number;
  /** Steps in each turn; default 3. */
  readonly steps?: number;
  /** The Python that has PyTorch; default: `defaultPython()`. "" leaves the peer out. */
  readonly python?: string;
  /** Rows of compiling and memory too; default true. */
  readonly large?: boolean;
  readonly onProgress?: ProgressListener;
}

/**
 * A case in two rows: images a second, and the milliseconds of the shortest step that they come from. Our steps and
 * PyTorch's take turns, so that both see the same load; without PyTorch its figures are absent.
 */
export async function benchTrain(options: TrainBenchOptions = {}): Promise<BenchRow[]> {
  const { cases = Object.keys(CASES) as TrainCase[], threads = 2, large = true, onProgress = () => {} } = options;
  const { rounds = 4, steps = 3, python = await defaultPython() } = options;
  const total = cases.length * (large ? 2 : 1) + (large ? 2 : 0);
  const rows: BenchRow[] = [];
  let done = 0;
  const add = (label: string, made: readonly BenchRow[]) => {
    rows.push(...made);
    onProgress({ label: "bench train", done: ++done, total, unit: "cases", note: label });
  };
  onProgress({ label: "bench train", done, total, unit: "cases" });
  {
    await using peer = await PytorchPeer.start(python, threads);
    for (const name of cases) add(name, await timeCase(name, peer, { threads, rounds, steps }));
  }
  if (!large) return rows;
  for (const name of cases) add(`${name}, memory`, [await peakMemory(name, threads, python)]);
  add("compile", [await compileYolo(threads)]);
  add("growth", [await growth()]);
  return rows;
}

async function timeCase(
  name: TrainCase,
  peer: PytorchPeer | undefined,
  { threads, rounds, steps }: { threads: number; rounds: number; steps: number },
): Promise<BenchRow[]> {
  const ours: number[] = [], theirs: number[] = [];
  const { batch: images, learningRate, build } = CASES[name], parts = build(images);
  await using step = await compileCase(parts, { threads });
  const run = () => step.run(parts.feed, { learningRate });
  await run();
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < steps; i++) {
      const start = performance.now();
      await run();
      ours.push(performance.now() - start);
    }
    theirs.push(...(await peer?.steps(name, steps))?.ms ?? []);
  }
  const title = `${name}, batch ${images}, ${threads} threads`;
  const [time, other] = [Math.min(...ours), Math.min(...theirs)];
  const beside = (value: number) => theirs.length === 0 ? {} : { [PEER]: value };
  return [
    benchRow("train", title, "img/s", 1e3 * images / time, beside(1e3 * images / other)),
    benchRow("train", `${title}, a step`, "ms", time, beside(other)),
  ];
}

/** The step of a case: SGD with momentum 0.9, as in tests/peers/train_step.py. */
export function compileCase({ model, loss }: TrainCaseParts, options: Partial<StepOptions> = {}): Promise<Step> {
  return compileStep({ model, loss, optimizer: sgd({ momentum: 0.9 }), ...options });
}

/** The most memory that a process of its own has when it compiles a case and takes three steps; PyTorch's likewise. */
async function peakMemory(name: TrainCase, threads: number, python: string): Promise<BenchRow> {
  const ours = await measured("train_peak.ts", name, String(threads));
  await using peer = await PytorchPeer.start(python, threads);
  const theirs = await peer?.steps(name, 3);
  return benchRow(
    "train",
    `${name}, peak memory of the process`,
    "MiB",
    ours,
    theirs ? { [PEER]: theirs.peak } : {},
  );
}

/** Seconds from the model of YOLOv3 to a step that can run, its worker started and its weights there. */
async function compileYolo(threads: number): Promise<BenchRow> {
  const parts = CASES["yolov3-416"].build(1);
  const start = performance.now();
  await using _step = await compileCase(parts, { threads });
  return benchRow("train", "compile YOLOv3, 75 convolutions", "s", (performance.now() - start) / 1e3, {});
}

/** How much a process grows over 1,000 steps of a layer of 256 x 256 weights with AdamW. */
async function growth(): Promise<BenchRow> {
  const bytes = await measured("../../tests/train/memory.ts");
  return benchRow("train", "growth over 1,000 steps", "MiB", bytes / 2 ** 20, {});
}

/** The number that a script beside this one prints, in a process of its own. */
async function measured(script: string, ...args: string[]): Promise<number> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(import.meta.dirname!, script), ...args],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  const found = Number(text(stdout));
  if (success && text(stdout) !== "" && Number.isFinite(found)) return found;
  throw new WorkError(`${script}: expected a number, found: ${text(stderr).split("\n").at(-1) || text(stdout)}`);
}
