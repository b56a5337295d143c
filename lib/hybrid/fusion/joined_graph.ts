/** One graph from pictures to logits: a picture network's backbone and a CLIP-shaped image tower, both on the same picture, and a fusion. */

import {
  concat,
  cutGraph,
  div,
  foldBatchNormalization,
  foldConstants,
  fromFile,
  Graph,
  inline,
  removeDead,
  shape,
  sub,
  toModel,
  type Value,
} from "../../onnx/mod.ts";
import { InputError, sha256, sha256File, tensor } from "../../runtime/mod.ts";
import { markWeights, unitRows } from "../../train/mod.ts";
import type { Preprocessing } from "../../vlm/mod.ts";
import { backboneFeatures } from "../backbone.ts";
import { FUSION_VALUES } from "./classifier.ts";
import { PARTS } from "./config.ts";

/** One of the three parts of a joined graph; the names of its weights begin with it and "/". */
export type Part = typeof PARTS[number];

/** How a network wants its colours, of red, green, blue in 0 … 1: (value − mean) / std. */
export interface Colours {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Colours as they are. */
const PLAIN: Colours = { mean: [0, 0, 0], std: [1, 1, 1] };

/** A network that the joined graph has a part of. */
export interface NetworkSource {
  /** An ONNX file, or a graph, which is left as it is. */
  readonly source: string | Graph;
  /** SHA-256 of what `source` was read from; default: worked out. */
  readonly identity?: string;
}

/** Settings of `joinedGraph`. */
export interface JoinedGraphOptions {
  /** A picture network such as a package's model.onnx, and the colours of its card. */
  readonly backbone: NetworkSource & { readonly colours?: Colours };
  /** pixel_values [N, 3, size, size] → image_embeds [N, D], such as a CLIP's vision_model.onnx. */
  readonly tower: NetworkSource & { readonly preprocessing: Pick<Preprocessing, "size" | "kernel" | "mean" | "std"> };
  /** From `trainFusion`. */
  readonly fusion: Graph;
  /** Side of the pictures, pixels. */
  readonly size: number;
  /** Parts of which the weights are not trained. Default: none. */
  readonly frozen?: readonly Part[];
}

/** A graph from "images" [N, 3, size, size], red, green, blue in 0 … 1, to the outputs of the fusion. */
export interface JoinedGraph {
  readonly graph: Graph;
  /** The parts that the fusion reads. */
  readonly parts: readonly Part[];
  /** SHA-256 of backbone and tower. */
  readonly identities: { readonly backbone: string; readonly tower: string };
}

/**
 * Joins the graphs. The tower's picture is the same one, resized and normalised inside the graph; "bicubic" is Pillow's kernel, but
 * ONNX's Resize (opset 17) does not average where a picture becomes smaller, as Pillow does. Constants and batch normalisation are
 * folded, so that statistics stay as they are in training; Cast weights of compact files become float32. Throws InputError for a tower
 * with other inputs or outputs, and for features of other widths than the fusion's; OnnxError for a file that cannot be read.
 */
export async function joinedGraph(options: JoinedGraphOptions): Promise<JoinedGraph> {
  const { fusion, size, frozen = [] } = options;
  const graph = new Graph(fusion.name), wanted = fusion.inputs.map(({ name }) => name);
  const { features, ...rest } = await appendFeatures(pictureInput(graph, size), { ...options, wanted, frozen });
  const feeds = new Map(fusion.inputs.map((input) => {
    const value = features.get(input.name);
    if (value?.shape[1] === input.shape[1]) return [input, value!] as const;
    throw new InputError(
      `fusion "${fusion.name}": expected features ${input}, found ${
        value ? `[${value.shape}]` : "none"
      } of the networks`,
    );
  }));
  const made = inline(graph, fusion, feeds, { prefix: "fusion/" });
  if (frozen.includes("fusion")) {
    for (const value of fusion.parameters) graph.setTrainable(made.get(value)!, false);
  }
  for (const output of fusion.outputs) graph.output(made.get(output)!, output.name);
  return { graph, parts: [...rest.parts, "fusion"], identities: rest.identities };
}

/** The features alone: "images" to "features0", … and "embedding" as the joined graph makes them, to be cached for phase 1. */
export async function featureGraph(options: Omit<JoinedGraphOptions, "fusion" | "frozen">): Promise<Graph> {
  const graph = new Graph("features"), images = pictureInput(graph, options.size);
  const { features } = await appendFeatures(images, { ...options, frozen: PARTS });
  for (const [name, value] of features) graph.output(value, name);
  return graph;
}

const pictureInput = (graph: Graph, size: number) => graph.input("images", "float32", ["N", 3, size, size]);

/** Copies the parts of both networks that make the wanted features (default: all) behind "backbone/" and "tower/". */
async function appendFeatures(
  images: Value,
  { backbone, tower, frozen, wanted }: Pick<JoinedGraphOptions, "backbone" | "tower"> & {
    readonly frozen: readonly Part[];
    readonly wanted?: readonly string[];
  },
): Promise<{ features: Map<string, Value>; parts: Part[]; identities: JoinedGraph["identities"] }> {
  const { graph } = images, features = new Map<string, Value>(), parts: Part[] = [];
  const pictures = await opened(backbone), embedder = await opened(tower);
  const readsEmbedding = wanted?.includes(FUSION_VALUES.embedding) ?? true;
  if (!wanted || wanted.some((name) => name !== FUSION_VALUES.embedding)) {
    const cut = await prepared(backboneFeatures(pictures.graph), { trained: !frozen.includes("backbone") });
    const seen = coloured(images, backbone.colours ?? PLAIN);
    const made = inline(graph, cut, new Map([[cut.inputs[0]!, seen]]), { prefix: "backbone/" });
    for (const output of cut.outputs) features.set(output.name, made.get(output)!);
    parts.push("backbone");
  }
  if (readsEmbedding) {
    const cut = await prepared(towerOf(embedder.graph), { trained: !frozen.includes("tower") });
    const seen = coloured(resized(images, tower.preprocessing), tower.preprocessing);
    const made = inline(graph, cut, new Map([[cut.inputs[0]!, seen]]), { prefix: "tower/" });
    features.set(FUSION_VALUES.embedding, unitRows(made.get(cut.outputs[0]!)!));
    parts.push("tower");
  }
  return { features, parts, identities: { backbone: pictures.identity, tower: embedder.identity } };
}

async function opened({ source, identity }: NetworkSource): Promise<{ graph: Graph; identity: string }> {
  if (typeof source !== "string") return { graph: source, identity: identity ?? sha256(toModel(source)) };
  return { graph: await fromFile(source), identity: identity ?? await sha256File(source) };
}

/** Names under which exports give a picture's embedding. */
const EMBEDDINGS = ["image_embeds", "image_embedding", "pooler_output"];

/** The image tower alone, of a file that may hold a text tower too. */
function towerOf(graph: Graph): Graph {
  const inputs = graph.inputs.filter(({ rank, dtype }) => rank === 4 && dtype === "float32");
  const output = EMBEDDINGS.map((name) => graph.outputs.find((value) => value.name === name && value.rank === 2)).find(
    (value) => value !== undefined,
  );
  if (inputs.length !== 1 || !output) {
    throw new InputError(
      `image tower "${graph.name}": expected pixels [N, 3, H, W] and an output ${EMBEDDINGS[0]} [N, D], found ${
        graph.inputs.map(String).join(", ")
      } and ${graph.outputs.map(String).join(", ")}`,
    );
  }
  return cutGraph(graph, { inputs: [inputs[0]!.name], outputs: [output.name] });
}

/** Folds what is constant, and marks the weights: all that are found, or none. */
async function prepared(graph: Graph, { trained }: { readonly trained: boolean }): Promise<Graph> {
  await foldConstants(graph, { parameters: true });
  foldBatchNormalization(graph);
  removeDead(graph, { parameters: true });
  for (const value of graph.parameters) graph.setTrainable(value, false);
  if (trained) markWeights(graph);
  return graph;
}

function coloured(images: Value, { mean, std }: Colours): Value {
  if (mean.every((value) => value === 0) && std.every((value) => value === 1)) return images;
  const along = (values: readonly number[]) => images.graph.constant(tensor("float32", [1, 3, 1, 1], values));
  return div(sub(images, along(mean)), along(std));
}

/** ONNX's name of a kernel, and the bicubic one's parameter in Pillow. */
const KERNELS = { nearest: "nearest", bilinear: "linear", bicubic: "cubic" } as const, PILLOW = -0.5;

function resized(images: Value, { size, kernel }: Pick<Preprocessing, "size" | "kernel">): Value {
  if (images.shape[3] === size) return images;
  if (kernel === "lanczos") throw new InputError("image tower: expected nearest, bilinear or bicubic, found lanczos");
  const { graph } = images;
  const sizes = concat([shape(images, { start: 0, end: 1 }), graph.ints([3, size, size])], 0);
  return graph.node("Resize", [images, undefined, undefined, sizes], {
    ...{ mode: KERNELS[kernel], coordinate_transformation_mode: "half_pixel" },
    ...(kernel === "bicubic" ? { cubic_coeff_a: PILLOW } : {}),
  })[0]!;
}
