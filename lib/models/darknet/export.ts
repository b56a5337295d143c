/** ONNX graphs into Darknet's files. */

import type { Graph } from "../../onnx/mod.ts";
import type { YoloHead } from "../yolo_spec.ts";
import { formatCfg } from "./cfg.ts";
import { GraphSections } from "./graph_sections.ts";
import { readGraphLayer } from "./graph_layers.ts";
import { NEWEST_HEADER, type WeightsHeader, writeWeights } from "./weights.ts";

/** The detecting layers of a graph: a `YoloSpec`, or what the importer found. */
export interface ExportedHeads {
  readonly classes: number;
  readonly heads: readonly (YoloHead & { readonly kind?: "yolo" | "region"; readonly classProbabilities?: string })[];
}

/** Settings of `exportDarknet`. */
export interface ExportOptions {
  /** Without it the graph must end in one output that is no detecting layer. */
  readonly spec?: ExportedHeads | undefined;
  /** Default: version 0.2, 0 pictures seen. */
  readonly header?: Partial<WeightsHeader>;
}

/** The two files. */
export interface DarknetFiles {
  readonly cfg: string;
  readonly weights: Uint8Array<ArrayBuffer>;
}

/**
 * Writes a graph as `.cfg` and `.weights`: what `darknet53`, `yoloV3`, `yoloV3Tiny` and `importDarknet` make (trained, or with batch
 * normalisation folded), and any other graph of one image input with float32 weights that is made of convolutions,
 * batch normalisation, the activations of `Activation`, sums of two maps, pools, enlargements, concatenations of channels, and
 * fully connected layers. Detecting layers are written as [yolo] or [region] whether the graph activates them or not, so
 * Darknet's outputs are the activated ones. Throws ModelError that names the node for anything that Darknet does not have.
 */
export function exportDarknet(graph: Graph, { spec, header }: ExportOptions = {}): DarknetFiles {
  const { sections, layers } = new GraphSections(graph, spec).read();
  const weights = writeWeights({ header: { ...NEWEST_HEADER, ...header }, blocks: layers.map(readGraphLayer) }, layers);
  return { cfg: formatCfg(sections), weights };
}
