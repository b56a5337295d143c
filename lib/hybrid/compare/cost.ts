/** What a way to classify costs for one picture: the networks and matrices that run, each counted and timed by itself. */

import { countOperations, countTraffic, energyProxy, measureLatency } from "../../evaluate/mod.ts";
import { linear } from "../../models/mod.ts";
import { fromFile, Graph, toModel } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";

/** Something that runs. Ways that have the same part share it by its name. */
export interface CostPart {
  readonly name: string;
  /** The part of which this one is a piece: whoever runs that has this as well. */
  readonly within?: string;
  /** Learned numbers. */
  readonly parameters: number;
  /** Of the weights, as they are stored. */
  readonly bytes: number;
  /** Multiply-accumulate steps. */
  readonly macs: number;
  /** Bytes that operators read and write between them (`countTraffic`). */
  readonly activations: number;
  /** Of a picture on one thread, ms, without decoding it: the smallest of three medians, for other work only adds to it. */
  readonly latency: number;
}

/** The sum. */
export interface Cost {
  readonly parameters: number;
  readonly bytes: number;
  /** 2 a multiply-accumulate step. */
  readonly operations: number;
  /** Weights and activations, bytes. */
  readonly moved: number;
  /** `energyProxy`, mJ. */
  readonly energy: number;
  /** ms */
  readonly latency: number;
}

/** Parts that run for every picture, and parts that run for a share of the pictures. */
export interface Costs {
  readonly always: readonly CostPart[];
  readonly sometimes?: { readonly share: number; readonly parts: readonly CostPart[] };
}

/** Bytes of what operators give each other: all compute in float32. */
const FLOAT = 4;

/** Medians of which the smallest counts. */
const ROUNDS = 3;

/** Counts and times a graph (a path or a graph) with one picture on one thread; one graph at a time, or they slow each other. Throws EvaluateError as `countOperations`. */
export async function costOfGraph(
  name: string,
  source: string | Graph,
  { within, runs = 50, seconds = 0.4 }: {
    readonly within?: string;
    /** Of each median, at most. */
    readonly runs?: number;
    readonly seconds?: number;
  } = {},
): Promise<CostPart> {
  const graph = typeof source === "string" ? await fromFile(source) : source;
  const { macs, parameters } = countOperations(graph), { weightBytes, activations } = countTraffic(graph);
  const model = typeof source === "string" ? source : toModel(graph);
  const medians: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const [one] = await measureLatency(model, { batches: [1], threads: 1, runs, seconds });
    medians.push(one!.p50);
  }
  return {
    name,
    ...(within === undefined ? {} : { within }),
    ...{ parameters, bytes: weightBytes, macs, activations: FLOAT * activations, latency: Math.min(...medians) },
  };
}

/** A product of an embedding with a matrix [outputs, inputs]: text prototypes, a linear adapter, a cache of keys. */
export function costOfProduct(
  name: string,
  { inputs, outputs }: { readonly inputs: number; readonly outputs: number },
): Promise<CostPart> {
  const graph = new Graph(name), embedding = graph.input("embedding", "float32", ["N", inputs]);
  graph.output(linear(embedding, { name: "product", outputs, random: Random.seeded(name) }), "logits");
  return costOfGraph(name, graph);
}

/** Sums the parts, each once; of those that run sometimes the weights count wholly, all else by their share. */
export function totalCost({ always, sometimes }: Costs): Cost {
  const first = distinct(always, []);
  const second = sometimes ? distinct(sometimes.parts, first) : [];
  const sum = (of: (part: CostPart) => number, share = 1) =>
    first.reduce((total, part) => total + of(part), 0) + share * second.reduce((total, part) => total + of(part), 0);
  const share = sometimes?.share ?? 0;
  const macs = sum(({ macs }) => macs, share), weights = sum(({ bytes }) => bytes, share);
  const activations = sum((part) => part.activations, share);
  return {
    parameters: sum(({ parameters }) => parameters),
    bytes: sum(({ bytes }) => bytes),
    operations: 2 * macs,
    moved: weights + activations,
    energy: energyProxy({ macs, weights, activations }),
    latency: sum(({ latency }) => latency, share),
  };
}

/** The parts that are not there already, as themselves or within another one. */
function distinct(parts: readonly CostPart[], there: readonly CostPart[]): CostPart[] {
  const kept: CostPart[] = [];
  for (const part of parts) {
    const all = [...there, ...kept, ...parts.filter(({ name }) => name === part.within)];
    if (!all.some(({ name }) => name === part.name || name === part.within)) kept.push(part);
  }
  return kept;
}
