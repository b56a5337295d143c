/** The order in which ONNX Runtime executes a model, decided by the order of the nodes in its file. */

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { OnnxError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { ModelProtoSchema, type NodeProto } from "./proto/onnx_pb.ts";

/**
 * Puts the nodes of a model that was made from `graph` and then rewritten (fused, laid out anew) by ONNX Runtime into the
 * order of `graph`, and turns the file around, as ONNX Runtime wants it (see `ModelOptions.order`). Opened with
 * optimisation "disabled", the model runs in the graph's own order: with gradients, each weight's as soon as it can be had,
 * and recomputed segments when they are needed.
 *
 * `toModel(graph, { order: "latestFirst" })` alone is enough only where the optimiser adds no node: what it adds counts as
 * last in the file.
 *
 * A node that was added has the place just before the first node that reads it. Throws OnnxError for a cycle.
 */
export function orderModel(model: Uint8Array, graph: Graph): Uint8Array<ArrayBuffer> {
  const proto = fromBinary(ModelProtoSchema, model);
  if (!proto.graph) throw new OnnxError(`model of graph "${graph.name}": expected a graph, found none`);
  const places = new Map<string, number>();
  graph.nodes.forEach((node, i) => {
    for (const output of node.outputs) if (output) places.set(output.name, i);
  });
  proto.graph.node = inOrder(proto.graph.node, places, graph.name).reverse();
  return toBinary(ModelProtoSchema, proto) as Uint8Array<ArrayBuffer>;
}

/** A topological order of nodes that follows the places of their outputs as closely as dependencies let it. */
function inOrder(nodes: readonly NodeProto[], places: ReadonlyMap<string, number>, name: string): NodeProto[] {
  const producers = new Map<string, number>();
  nodes.forEach((node, i) => node.output.forEach((output) => output !== "" && producers.set(output, i)));
  const consumers: number[][] = nodes.map(() => []);
  const missing = nodes.map((node, i) => {
    const sources = new Set(node.input.map((input) => producers.get(input)).filter((source) => source !== undefined));
    for (const source of sources) consumers[source]!.push(i);
    return sources.size;
  });
  const sorted = topological(missing, consumers, (ready) => ready.pop()!);
  if (sorted.length < nodes.length) {
    throw new OnnxError(
      `model of graph "${name}": expected nodes without a cycle, found ${nodes.length - sorted.length} in one`,
    );
  }
  const place = nodes.map((node) => Math.max(-1, ...node.output.map((output) => places.get(output) ?? -1)));
  for (const i of sorted.toReversed()) {
    if (place[i]! < 0) place[i] = Math.min(nodes.length, ...consumers[i]!.map((consumer) => place[consumer]!)) - 1e-6;
  }
  const earlier = (a: number, b: number) => place[a]! - place[b]! || a - b;
  return topological(missing, consumers, (ready) => popLeast(ready, earlier), earlier).map((i) => nodes[i]!);
}

/** Kahn's algorithm; `take` chooses among the nodes that are ready, which form a heap when `earlier` is given. */
function topological(
  missing: readonly number[],
  consumers: readonly (readonly number[])[],
  take: (ready: number[]) => number,
  earlier?: (a: number, b: number) => number,
): number[] {
  const left = [...missing], ready: number[] = [], result: number[] = [];
  const add = (i: number) => {
    ready.push(i);
    if (earlier) siftUp(ready, earlier);
  };
  missing.forEach((count, i) => count === 0 && add(i));
  while (ready.length > 0) {
    const i = take(ready);
    result.push(i);
    for (const consumer of consumers[i]!) {
      left[consumer]! -= 1;
      if (left[consumer] === 0) add(consumer);
    }
  }
  return result;
}

/** Moves the last item of a binary heap to where it belongs. */
function siftUp(heap: number[], earlier: (a: number, b: number) => number): void {
  let at = heap.length - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (earlier(heap[at]!, heap[above]!) >= 0) return;
    [heap[at], heap[above]] = [heap[above]!, heap[at]!];
    at = above;
  }
}

/** Takes the earliest item off a binary heap. */
function popLeast(heap: number[], earlier: (a: number, b: number) => number): number {
  const least = heap[0]!, last = heap.pop()!;
  if (heap.length === 0) return least;
  heap[0] = last;
  for (let at = 0;;) {
    const below = [2 * at + 1, 2 * at + 2].filter((i) => i < heap.length);
    const next = below.sort((a, b) => earlier(heap[a]!, heap[b]!))[0];
    if (next === undefined || earlier(heap[next]!, heap[at]!) >= 0) return least;
    [heap[at], heap[next]] = [heap[next]!, heap[at]!];
    at = next;
  }
}
