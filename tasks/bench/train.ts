/** Benchmark of training steps: forward, backward and update of several networks in one session, beside PyTorch CPU. */

import { gradients, poolFirst } from "../../lib/autodiff/mod.ts";
import { add, mul, sub, type Tensor, tensor, toModel, type Value, zeros } from "../../lib/onnx/mod.ts";
import { openSession, Random, type Session } from "../../lib/runtime/mod.ts";
import { buildNetwork, CLASSES, type Network, NETWORKS } from "./networks.ts";

/** A case of the benchmark. */
export type TrainCase = keyof typeof NETWORKS;

/** A row of `deno task bench --json` (DESIGN.md), with the time of a step. */
export interface TrainBenchRow {
  readonly bench: "train";
  readonly case: TrainCase;
  readonly unit: "img/s";
  readonly ours: number;
  /** `pytorch-cpu`: the same network, batch and optimizer in PyTorch, as many threads; absent without PyTorch. */
  readonly peers: Readonly<Record<string, number>>;
  /** ours / the peer's. */
  readonly ratio: Readonly<Record<string, number>>;
  /** Milliseconds of a step, the shortest of all. */
  readonly milliseconds: Readonly<Record<string, number>>;
  /** Milliseconds to open the session. */
  readonly compile: number;
  readonly nodes: number;
}

export interface TrainBenchOptions {
  /** Default: all. */
  readonly cases?: readonly TrainCase[];
  /** Default: 2. */
  readonly threads?: number;
  /** How often the engines take turns; default 4. */
  readonly rounds?: number;
  /** Steps in each turn; default 3. */
  readonly steps?: number;
  /** The Python that has PyTorch; default: the environment's POKEDEX_PYTHON, else python3. "" leaves the peer out. */
  readonly python?: string;
}

/** A compiled training step on fixed random images. */
export interface BenchStep {
  readonly network: Network;
  readonly nodes: number;
  readonly compile: number;
  /** Runs one step and returns the loss before it. */
  run(): Promise<number>;
  release(): Promise<void>;
}

/**
 * Measures each case: our steps and PyTorch's take turns, so that both see the same load, and the shortest step of each
 * counts.
 */
export async function benchTrain(options: TrainBenchOptions = {}): Promise<TrainBenchRow[]> {
  const { cases = Object.keys(NETWORKS) as TrainCase[], threads = 2, rounds = 4, steps = 3 } = options;
  const peer = await Peer.start(options.python ?? Deno.env.get("POKEDEX_PYTHON") ?? "python3", threads);
  const rows: TrainBenchRow[] = [];
  try {
    for (const name of cases) {
      const step = await compileBenchStep(name, threads);
      const ours: number[] = [], theirs: number[] = [];
      await step.run();
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < steps; i++) {
          const start = performance.now();
          await step.run();
          ours.push(performance.now() - start);
        }
        if (peer) theirs.push(...await peer.steps(name, steps));
      }
      await step.release();
      rows.push(row(name, step, Math.min(...ours), theirs.length > 0 ? Math.min(...theirs) : undefined));
    }
  } finally {
    await peer?.stop();
  }
  return rows;
}

function row(name: TrainCase, { network, nodes, compile }: BenchStep, ours: number, theirs?: number): TrainBenchRow {
  const rate = (milliseconds: number) => Number((1e3 * network.batch / milliseconds).toFixed(1));
  const peer = (value: (theirs: number) => number): Record<string, number> =>
    theirs === undefined ? {} : { "pytorch-cpu": value(theirs) };
  return {
    bench: "train",
    case: name,
    unit: "img/s",
    ours: rate(ours),
    peers: peer(rate),
    ratio: peer((time) => Number((time / ours).toFixed(2))),
    milliseconds: { ours: Number(ours.toFixed(1)), ...peer((time) => time) },
    compile: Math.round(compile),
    nodes,
  };
}

/**
 * The step of SGD with momentum 0.9 and rate 0.01. Weights and momenta are inputs that the run writes over.
 *
 * Session settings, by processor time of cnn-224 on one thread (other settings as here): optimization "all", which turns the
 * pooling, resizing and convolutions of constants to ONNX Runtime's blocked layout and back, +2 %; no arena +43 % (each
 * large tensor is mapped anew); memory pattern, denormals as zero and prepacking within the noise. Spinning threads stop
 * at the end of a run, so that they do not take time from what comes between.
 */
export async function compileBenchStep(name: TrainCase, threads: number, profile?: string): Promise<BenchStep> {
  const network = buildNetwork(NETWORKS[name]);
  const { graph, size, batch } = network;
  const feeds: Record<string, Tensor> = {}, into: Record<string, Tensor> = {};
  graph.output(network.loss, "loss");
  poolFirst(graph);
  const weights = [...network.weights.keys()];
  gradients(graph.value("loss"), weights).forEach((gradient, i) => {
    const weight = weights[i]!;
    const momentum = graph.input(`momentum ${weight.name}`, "float32", weight.shape);
    const next = add(mul(momentum, 0.9), gradient);
    const bind = (source: Value, result: Value, content: Tensor) => {
      feeds[source.name] = content;
      into[graph.output(result, `next ${source.name}`).name] = content;
    };
    bind(momentum, next, zeros("float32", weight.staticShape));
    bind(weight, sub(weight, mul(next, 0.01)), network.weights.get(weight)!);
  });
  const random = Random.seeded("images");
  const pixels = Float32Array.from({ length: batch * 3 * size * size }, () => random.normal());
  feeds["images"] = tensor("float32", [batch, 3, size, size], pixels);
  feeds["labels"] = tensor("int64", [batch], Array.from({ length: batch }, () => random.int(CLASSES)));
  into["loss"] = zeros("float32", []);
  const start = performance.now();
  const session: Session = await openSession(toModel(graph), {
    threads,
    name,
    optimization: "extended",
    extra: { "session.force_spinning_stop": "1" },
    ...(profile === undefined ? {} : { profile }),
  });
  const compile = performance.now() - start;
  return {
    network,
    nodes: graph.nodes.length,
    compile,
    async run() {
      await session.run(feeds, { into });
      return Number(into["loss"]!.data[0]);
    },
    async release() {
      if (profile !== undefined) session.endProfile();
      await session.dispose();
    },
  };
}

/** tests/peers/train_step.py as a process that answers requests. */
class Peer {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#writer = process.stdin.getWriter();
    this.#reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Starts it; undefined where Python or PyTorch is not there. */
  static async start(python: string, threads: number): Promise<Peer | undefined> {
    if (python === "") return undefined;
    const script = new URL("../../tests/peers/train_step.py", import.meta.url).pathname;
    try {
      const process = new Deno.Command(python, {
        args: [script, "--threads", String(threads)],
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const peer = new Peer(process);
      return await peer.#ask({ case: null }) ? peer : undefined;
    } catch {
      return undefined;
    }
  }

  /** Milliseconds of each of some steps. */
  async steps(name: TrainCase, steps: number): Promise<number[]> {
    const answer = await this.#ask({ case: name, steps }) as { ms: number[] } | undefined;
    return answer?.ms ?? [];
  }

  async stop(): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#process.status;
  }

  /** One line there and one back; undefined when the process has ended. */
  async #ask(request: unknown): Promise<unknown> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`)).catch(() => {});
    while (!this.#text.includes("\n")) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += value;
    }
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return JSON.parse(line);
  }
}
