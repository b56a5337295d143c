/** Whether a network fits on a K210, layer by layer, before any compiler is asked. */

import { copyGraph, foldBatchNormalization, type Graph, type Node, removeDead } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import {
  constantNodes,
  isConvolution,
  K210,
  type K210Layer,
  type K210Loader,
  type K210Problem,
  layersOf,
  megabytes,
  tailOf,
} from "./layers.ts";

export { K210, type K210Layer, type K210Loader, type K210Problem, kpuMapBytes } from "./layers.ts";

/** The verdict. */
export interface K210Report {
  readonly fits: boolean;
  readonly layers: readonly K210Layer[];
  /** Of all layers, then of the whole. */
  readonly problems: readonly K210Problem[];
  /** The sum of `weightBytes`: the model's file, which has headers too and fills up to whole blocks, is some kilobytes larger. */
  readonly modelBytes: number;
  /** The largest `mapBytes`. */
  readonly mapBytes: number;
  readonly macs: number;
}

/**
 * Checks a network of one picture. Batch normalisation is folded first, as compilers do. Throws InputError for sizes that are left open
 * other than that of the batch: the chip knows no others.
 */
export function checkK210(
  source: Graph,
  { loader = "maixpy" }: { readonly loader?: K210Loader } = {},
): K210Report {
  const graph = withOnePicture(source);
  const consumers = graph.consumers(), layers: K210Layer[] = [], fused = new Set<Node>();
  const constant = constantNodes(graph);
  for (const node of graph.nodes) {
    if (fused.has(node) || constant.has(node)) continue;
    const tail = isConvolution(node) ? tailOf(node, consumers) : [node];
    for (const each of tail) fused.add(each);
    layers.push(...layersOf(node, tail));
  }
  const modelBytes = layers.reduce((sum, { weightBytes }) => sum + weightBytes, 0);
  const most = K210.modelBytes[loader], whole: K210Problem[] = [];
  if (modelBytes > most) {
    whole.push({
      layer: "the model",
      what: `expected weights of at most ${megabytes(most)} for ${loader}, found ${megabytes(modelBytes)}`,
      change: "fewer channels: the weights fall with the square of the width; prune, or distil into a smaller student",
    });
  }
  const problems = [...layers.flatMap((layer) => layer.problems), ...whole];
  return {
    ...{ fits: problems.length === 0, layers, problems, modelBytes },
    mapBytes: Math.max(0, ...layers.map((layer) => layer.mapBytes)),
    macs: layers.reduce((sum, { macs }) => sum + macs, 0),
  };
}

/** Throws InputError with each layer's name, what is wrong with it and what to change, unless the network fits. */
export function assertFitsK210(
  name: string,
  { fits, problems }: K210Report,
  { shown = 8 }: { readonly shown?: number } = {},
): void {
  if (fits) return;
  const lines = problems.slice(0, shown).map(({ layer, what, change }) => `${layer}: ${what} (${change})`);
  const more = problems.length > shown ? `; and ${problems.length - shown} more` : "";
  throw new InputError(`${name}: does not fit on a K210: ${lines.join("; ")}${more}`);
}

function withOnePicture(source: Graph): Graph {
  const open = new Set(source.inputs.flatMap(({ shape }) => shape.slice(1).filter((dim) => typeof dim === "string")));
  if (open.size > 0) {
    throw new InputError(
      `${source.name}: expected a network with a fixed input, found sizes left open: ${
        [...open].join(", ")
      }; export it with ` +
        "numbers in their place",
    );
  }
  const symbols = Object.fromEntries(
    source.inputs.flatMap(({ shape: [batch] }) => typeof batch === "string" ? [[batch, 1]] : []),
  );
  const graph = copyGraph(source, { symbols });
  foldBatchNormalization(graph);
  removeDead(graph);
  return graph;
}
