/** Darknet's files into ONNX graphs: whole networks, or weights for a graph that is there. */

import { foldBatchNormalization, type Graph } from "../../onnx/mod.ts";
import type { Random } from "../../runtime/mod.ts";
import { ModelError } from "../errors.ts";
import { type Initializer, kaimingNormal, normal } from "../initializers.ts";
import { LEAKY_SLOPE, type WeightSource } from "../layers.ts";
import { headBias } from "../yolo_head.ts";
import { buildDarknet, type BuildOptions, type DarknetGraph } from "./build.ts";
import { parseCfg } from "./cfg.ts";
import { type GraphLayer, graphLayers, writeGraphLayer } from "./graph_layers.ts";
import { type DarknetNetwork, planNetwork } from "./network.ts";
import {
  blockLength,
  blockShapes,
  type DarknetWeights,
  headerSize,
  readWeights,
  type WeightBlock,
  type WeightsHeader,
} from "./weights.ts";

/** Settings of `importDarknet`. */
export interface ImportOptions extends Omit<BuildOptions, "random"> {
  /** The `.cfg` file's content. */
  readonly cfg: string | Uint8Array;
  /** Stands for it in messages. Default: "cfg". */
  readonly cfgName?: string;
  /** The `.weights` file's content; without it all weights start from `random`. */
  readonly weights?: Uint8Array;
  /** Default: "weights". */
  readonly weightsName?: string;
  /** Take a file that ends after any of the layers, such as darknet53.conv.74. Default: false. */
  readonly partial?: boolean;
  /** Side of the input in pixels in place of the cfg's width and height. */
  readonly size?: number;
  /** Another number of classes than the cfg's: the last convolutions start anew. */
  readonly classes?: number;
  /** Starting values of what the file does not hold. Needed where it does not hold all. */
  readonly random?: WeightSource;
  /** Fold batch normalisation into the convolutions, for inference. Default: false. */
  readonly fold?: boolean;
}

/** What was imported. */
export interface ImportedDarknet extends DarknetGraph {
  readonly network: DarknetNetwork;
  /** Of the weights file. */
  readonly header: WeightsHeader | undefined;
  /** Layers whose weights came from the file, and those that have weights. */
  readonly layers: { readonly loaded: number; readonly all: number };
  /** Numbers of the network as Darknet counts them: weights, biases, scales and running statistics. */
  readonly numbers: number;
  /** Those that training changes by gradients: running statistics left out. */
  readonly parameters: number;
}

/**
 * Imports a network. Its outputs are Darknet's own to float32 rounding (see `variance.ts` for the batch normalisation). Throws
 * ModelError for what is wrong in a file, or does not go together.
 */
export function importDarknet(options: ImportOptions): ImportedDarknet {
  const { partial = false, fold = false, random, weightsName = "weights" } = options;
  const cfg = parseCfg(options.cfg, { name: options.cfgName ?? "cfg" });
  const network = planNetwork(cfg, { size: options.size, classes: options.classes });
  // The file's own number of classes tells what stands in it.
  const filed = options.classes === undefined ? network : planNetwork(cfg, { size: options.size });
  const weights = options.weights &&
    readWeights(options.weights, blockShapes(filed), { name: weightsName, partial });
  const { epsilon, activated, batch } = options;
  const built = buildDarknet(network, {
    ...(epsilon === undefined ? {} : { epsilon }),
    ...(activated === undefined ? {} : { activated }),
    ...(batch === undefined ? {} : { batch }),
  });
  const layers = graphLayers(built.graph), shapes = blockShapes(network);
  let loaded = 0;
  for (const [i, layer] of layers.entries()) {
    const block = weights?.blocks[i];
    if (block && block.bias.length === layer.outputs) {
      writeGraphLayer(layer, block);
      loaded++;
    } else if (random !== "zeros") {
      writeGraphLayer(layer, startBlock(layer, network, shapes[i]!.place, random));
    }
  }
  if (fold) foldBatchNormalization(built.graph);
  const numbers = shapes.reduce((sum, shape) => sum + blockLength(shape), 0);
  const statistics = shapes.reduce((sum, { outputs, batchNormalize }) => sum + (batchNormalize ? 2 * outputs : 0), 0);
  return {
    ...built,
    network,
    header: weights?.header,
    layers: { loaded, all: layers.length },
    numbers,
    parameters: numbers - statistics,
  };
}

/** Settings of `loadDarknetWeights`. */
export interface LoadOptions {
  /** Stands for the file in messages. Default: "weights". */
  readonly name?: string;
  /** Also take a file that ends after any of the layers. Default: false. */
  readonly partial?: boolean;
  /** Load so many layers with weights only, and leave the rest of the file and of the graph as they are: 52 is the backbone. */
  readonly layers?: number;
}

/**
 * Loads a `.weights` file into a graph whose convolutions stand in the file's order, such as `darknet53`, `yoloV3` and `yoloV3Tiny`
 * with width and depth 1: `loadDarknetWeights(yolo.graph, bytes, { layers: 52 })` takes the backbone from darknet53.conv.74,
 * darknet53.weights or yolov3.weights. Throws ModelError, and changes nothing, when the file does not fit.
 */
export function loadDarknetWeights(
  graph: Graph,
  bytes: Uint8Array,
  { name = "weights", partial = false, layers: limit }: LoadOptions = {},
): { header: WeightsHeader; loaded: number } {
  const layers = graphLayers(graph);
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1 && limit <= layers.length)) {
    throw new ModelError(`layers: expected a whole number in 1 … ${layers.length}, found ${limit}`);
  }
  const wanted = layers.slice(0, limit);
  let read: DarknetWeights;
  if (limit === undefined) read = readWeights(bytes, wanted, { name, partial });
  else {
    const [major = 0, minor = 0] = bytes.length >= 8 ? new Int32Array(bytes.slice(0, 8).buffer) : [];
    const end = headerSize({ major, minor }) + 4 * wanted.reduce((sum, layer) => sum + blockLength(layer), 0);
    read = readWeights(bytes.subarray(0, end), wanted, { name, partial });
  }
  read.blocks.forEach((block, i) => writeGraphLayer(wanted[i]!, block));
  return { header: read.header, loaded: read.blocks.length };
}

/** Fresh weights for a layer, as `convolution` and the heads of `yoloV3` begin. */
function startBlock(
  layer: GraphLayer,
  network: DarknetNetwork,
  place: string,
  random: Random | undefined,
): WeightBlock {
  if (!random) throw new ModelError(`${place}: expected weights in the file or random starting values, found neither`);
  const at = network.layers.findIndex((each) => each.place === place);
  const after = network.layers[at + 1];
  const head = after?.kind === "yolo" || after?.kind === "region" ? after : undefined;
  const linear = layer.norm === undefined;
  const draw: Initializer = linear
    ? normal(random.fork(layer.node.name), { deviation: 0.01 })
    : kaimingNormal(random.fork(layer.node.name), { slope: LEAKY_SLOPE });
  const fill = (value: number) => new Float32Array(layer.outputs).fill(value);
  return {
    weight: draw(layer.weight.staticShape),
    bias: head ? headBias(head)([layer.outputs]) : fill(0),
    ...(layer.norm ? { scale: fill(1), mean: fill(0), variance: fill(1) } : {}),
  };
}
