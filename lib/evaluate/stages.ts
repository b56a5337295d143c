/** A network in parts: what its outputs share and what is each one's own, with the cost of each. */

import { ancestors, type Graph, type Node } from "../onnx/mod.ts";
import { costOf, type CountOptions, weightKinds, withSizes } from "./flops.ts";

/** Convolutions that lead to the same outputs and, where these are several, have maps of one size. */
export interface Stage {
  /** The outputs that it leads to, in the graph's order: all of them for a network's body, one for a head. */
  readonly outputs: readonly string[];
  /** Channels, rows and columns behind its last convolution. */
  readonly shape: readonly [channels: number, rows: number, columns: number];
  readonly convolutions: number;
  /** Learned numbers. */
  readonly parameters: number;
  /** Two for each multiply-accumulate step of one picture. */
  readonly flops: number;
  /** The stages that it reads, by index; empty for the first. */
  readonly from: readonly number[];
}

/**
 * Divides a convolutional network at the places where its paths part and where its maps change size. The stages' parameters
 * and operations sum to those of `countOperations`. Throws EvaluateError as that does.
 */
export function countStages(graph: Graph, options: CountOptions = {}): Stage[] {
  const sized = withSizes(graph, options), kinds = weightKinds(sized);
  const leadsTo = new Map<Node, string[]>();
  for (const output of sized.outputs) {
    for (const node of ancestors([output], new Set()).nodes) {
      leadsTo.set(node, [...leadsTo.get(node) ?? [], output.name]);
    }
  }
  const stages: Draft[] = [], byKey = new Map<string, Draft>(), stageOf = new Map<Node, Draft>();
  const counted = new Set<unknown>();
  let current: Draft | undefined;
  for (const node of sized.nodes) {
    const outputs = leadsTo.get(node);
    if (!outputs) continue;
    if (node.opType === "Conv") {
      const [, channels = 1, rows = 1, columns = 1] = node.output().staticShape;
      const key = outputs.length === 1 ? outputs[0]! : `${outputs} ${rows} x ${columns}`;
      current = byKey.get(key);
      if (!current) {
        current = { outputs, shape: [channels, rows, columns], convolutions: 0, parameters: 0, flops: 0, layers: [] };
        byKey.set(key, current);
        stages.push(current);
      }
      current.shape = [channels, rows, columns];
      current.convolutions++;
      current.layers.push(node);
      stageOf.set(node, current);
    }
    if (!current) continue; // before the first convolution nothing is learned
    current.flops += 2 * (costOf(node)?.macs ?? 0);
    for (const input of node.inputs) {
      if (!input || counted.has(input) || kinds.get(input) !== "parameter") continue;
      counted.add(input);
      current.parameters += input.tensor!.data.length;
    }
  }
  return stages.map(({ layers, ...stage }) => {
    const sources = layers.flatMap((layer) => convolutionsBefore(layer)).map((layer) => stageOf.get(layer)!);
    const from = new Set(sources.map((source) => stages.indexOf(source)).filter((i) => stages[i]!.layers !== layers));
    return { ...stage, from: [...from].sort((a, b) => a - b) };
  });
}

/** The nearest convolutions that a layer reads, through whatever lies between. */
function convolutionsBefore(layer: Node): Node[] {
  const found: Node[] = [], seen = new Set<Node>(), open = [layer.input(0).producer];
  while (open.length > 0) {
    const node = open.pop();
    if (!node || seen.has(node)) continue;
    seen.add(node);
    if (node.opType === "Conv") found.push(node);
    else open.push(...node.inputs.map((input) => input?.producer));
  }
  return found;
}

/** A stage while nodes are added to it. */
interface Draft {
  readonly outputs: readonly string[];
  shape: readonly [number, number, number];
  convolutions: number;
  parameters: number;
  flops: number;
  readonly layers: Node[];
}
