/** Whether a network fits on a K210, layer by layer, before any compiler is asked. */

import { copyGraph, foldBatchNormalization, type Graph, type Node, removeDead, type Value } from "../../onnx/mod.ts";
import { elementCount, InputError } from "../../runtime/mod.ts";

/**
 * What the chip and its loaders can hold (Kendryte K210 datasheet: 6 MiB of general memory, 2 MiB of the KPU's own; the compiler nncase
 * 1.x: which layers it gives to the KPU).
 */
export const K210 = {
  /** Bytes of the KPU's own memory: a layer's input and output lie in it together. */
  mapMemory: 2 * 2 ** 20,
  channels: 1024,
  rows: 256,
  columns: 512,
  /** Shortest side of a layer's input. */
  shortest: 4,
  /** Bytes of a model that loads, by what runs it: MaixPy keeps much of the memory for itself. */
  modelBytes: { maixpy: 3.5e6, standalone: 5.5e6 },
} as const;

/** What loads the model. */
export type K210Loader = keyof typeof K210.modelBytes;

/** What stands against running a layer on the chip. */
export interface K210Problem {
  readonly layer: string;
  /** "expected at most 1024 channels, found 3075". */
  readonly what: string;
  /** What to do about it. */
  readonly change: string;
}

/** A layer as the chip sees it: a convolution with what is fused into it, or something that the processor computes. */
export interface K210Layer {
  readonly name: string;
  readonly operator: string;
  /**
   * The KPU computes convolutions and what follows them directly, and what the compiler writes as one: sums of two maps, small fully
   * connected layers. All else is for the processor, a hundred times as slow.
   */
  readonly unit: "KPU" | "CPU";
  /** Channels, rows, columns. */
  readonly input: readonly number[];
  readonly output: readonly number[];
  /** Bytes of input and output in the KPU's memory, with its packing of rows. 0 for the processor's layers. */
  readonly mapBytes: number;
  /** Bytes in the model's file: of a KPU layer its weights as uint8, 8 for each filter's scale and bias, 144 for the activation. */
  readonly weightBytes: number;
  /** Multiply-accumulate steps; with a stride of 2 the KPU computes all places and leaves three of four aside. */
  readonly macs: number;
  readonly problems: readonly K210Problem[];
}

/** The verdict. */
export interface K210Report {
  readonly fits: boolean;
  readonly layers: readonly K210Layer[];
  /** Of all layers, then of the whole. */
  readonly problems: readonly K210Problem[];
  /** The sum of `weightBytes`: the model's file is about 0.5 % larger. */
  readonly modelBytes: number;
  /** The largest `mapBytes`. */
  readonly mapBytes: number;
  readonly macs: number;
}

/**
 * Bytes of a map in the KPU's memory: rows of 64 bytes, which four channels share up to 16 columns wide and two up to 32
 * (nncase's `get_kpu_row_layout`).
 */
export function kpuMapBytes(channels: number, rows: number, columns: number): number {
  const shared = columns <= 16 ? 4 : columns <= 32 ? 2 : 1;
  return Math.ceil(channels / shared) * rows * Math.ceil(columns / 64) * 64;
}

/** Bytes of what a KPU layer has beside its weights: a scale and a bias for each filter, and the activation's table. */
const FILTER_BYTES = 8, ACTIVATION_BYTES = 144;

/**
 * Operators that the KPU applies to a convolution's result as it writes it: sixteen straight pieces stand for a curve, the same for all
 * channels, so that a PRelu is not among them.
 */
const FUSED = new Set(["Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu"]);
/** Operators that move or cut and cost the processor next to nothing, and those that nncase gives it. */
const PROCESSOR = new Set([
  ...["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Slice", "Concat", "Split", "Pad"],
  ...[
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Softmax",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "AveragePool",
    "MaxPool",
    "ReduceMean",
  ],
  ...["Gemm", "MatMul", "Resize", "Upsample", "Sqrt", "Exp", "Pow"],
]);

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
    if (node.opType !== "Conv") {
      layers.push(otherLayer(node));
      continue;
    }
    // What the KPU does while it writes: an activation, then a pool, which a stride of 2 is too. A depthwise layer has no pool.
    const tail: Node[] = [node], pools = !isDepthwise(node) && node.ints("strides", [1, 1]).every((each) => each === 1);
    for (let next = only(consumers, node); next; next = only(consumers, tail.at(-1)!)) {
      const isActivation = FUSED.has(next.opType) && tail.length === 1;
      if (!isActivation && !(pools && isKpuPool(next) && !tail.some((each) => POOLS.has(each.opType)))) break;
      tail.push(next);
    }
    for (const each of tail) fused.add(each);
    const layer = kpuLayer(node, tail);
    layers.push(layer);
    if (isDepthwise(node) && node.ints("strides", [1, 1])[0] === 2) layers.push(sliceBehind(node, layer));
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

/** What depends on no input: weights that are kept as float16 or int8, which a compiler turns back once. */
function constantNodes(graph: Graph): ReadonlySet<Node> {
  const constant = new Set<Node>();
  const isConstant = (value: Value | undefined) =>
    !value || value.tensor !== undefined || (value.producer !== undefined && constant.has(value.producer));
  for (const node of graph.nodes) if (node.inputs.length > 0 && node.inputs.every(isConstant)) constant.add(node);
  return constant;
}

/** What its weights are called after, by which people know a layer; else the node's name. */
function layerName(conv: Node): string {
  const [, stem] = /^(.+)\.weight(~.*)?$/.exec(conv.input(1).name) ?? [];
  return stem ?? conv.name;
}

function isDepthwise(conv: Node): boolean {
  const group = conv.int("group", 1);
  return group > 1 && group === conv.input(0).shape[1] && group === conv.input(1).shape[0];
}

const POOLS = new Set(["MaxPool", "AveragePool"]);

/** Pools of 2 x 2 and 4 x 4 whose windows touch and do not overlap. */
function isKpuPool(node: Node): boolean {
  if (!POOLS.has(node.opType)) return false;
  const kernel = node.ints("kernel_shape"),
    strides = node.ints("strides", [1, 1]),
    pads = node.ints("pads", [0, 0, 0, 0]);
  return kernel[0] === kernel[1] && [2, 4].includes(kernel[0]!) && strides.every((stride) => stride === kernel[0]) &&
    pads.every((pad) => pad === 0);
}

/** The only node that reads a node's only output. */
function only(consumers: ReturnType<Graph["consumers"]>, node: Node): Node | undefined {
  const readers = consumers.get(node.output()) ?? [];
  return readers.length === 1 ? readers[0] : undefined;
}

function kpuLayer(conv: Node, tail: readonly Node[]): K210Layer {
  const input = conv.input(0).staticShape.slice(1) as [number, number, number];
  const computed = conv.output().staticShape.slice(1) as [number, number, number];
  const output = tail.at(-1)!.output().staticShape.slice(1) as [number, number, number];
  const [filters, perGroup, rows, columns] = conv.input(1).staticShape as [number, number, number, number];
  const group = conv.int("group", 1), depthwise = isDepthwise(conv);
  const stride = conv.ints("strides", [1, 1]), name = layerName(conv), problems: K210Problem[] = [];
  const expect = (holds: boolean, what: string, change: string) => {
    if (!holds) problems.push({ layer: name, what, change });
  };
  expect(
    rows === columns && (rows === 1 || rows === 3),
    `expected a kernel 1x1 or 3x3, found ${rows}x${columns}`,
    "two or more 3x3 in its place see as far",
  );
  expect(
    group === 1 || depthwise,
    `expected 1 group or one a channel, found ${group} of ${input[0]}`,
    "a depthwise convolution, then a 1x1",
  );
  const dilations = conv.ints("dilations", [1, 1]);
  expect(
    dilations.every((each) => each === 1),
    `expected no dilation, found ${dilations}`,
    "a pool before it sees as far",
  );
  expect(
    stride[0] === stride[1] && (stride[0] === 1 || stride[0] === 2),
    `expected a stride of 1 or 2, found ${stride}`,
    "strides of 2 one after another",
  );
  const pads = conv.ints("pads", [0, 0, 0, 0]), around = Math.floor(rows / 2);
  expect(
    conv.string("auto_pad", "NOTSET").startsWith("NOTSET") && pads.every((each) => each === around),
    `expected ${around} rows and columns of zeros on all sides, found ${pads}`,
    "the same padding around, with which a layer of stride 1 keeps the size",
  );
  for (const [which, [channels]] of [["in", input], ["out", computed]] as const) {
    expect(
      channels <= K210.channels,
      `expected at most ${K210.channels} channels ${which}, found ${channels}`,
      which === "out"
        ? "split the layer in two and join the results, or answer with an embedding"
        : "fewer channels before it",
    );
  }
  expect(
    input[1] <= K210.rows && input[2] <= K210.columns,
    `expected a map of at most ${K210.rows} x ${K210.columns}, found ${input[1]} x ${input[2]}`,
    "a smaller picture: the camera gives 320 x 240, of which 224 x 224 is used",
  );
  expect(
    input[1] >= K210.shortest && input[2] >= K210.shortest,
    `expected a map of at least ${K210.shortest} x ${K210.shortest}, found ${input[1]} x ${input[2]}`,
    "a larger picture or a pool less; a layer on pooled features is for the processor, as a Gemm",
  );
  // A depthwise layer of stride 2 leaves all places in the memory; the processor takes every second.
  const written = depthwise && stride[0] === 2 ? input : output;
  const mapBytes = kpuMapBytes(...input) + kpuMapBytes(...written);
  expect(
    mapBytes <= K210.mapMemory,
    `expected input and output in ${megabytes(K210.mapMemory)} of map memory, found ${megabytes(mapBytes)}`,
    "fewer channels, a smaller picture, or a pool right behind it",
  );
  const macs = filters * perGroup * rows * columns *
    (stride[0] === 2 ? input[1] * input[2] : computed[1] * computed[2]);
  return {
    ...{ name, input, output: written, mapBytes, macs, problems },
    operator: `${depthwise ? "depthwise " : ""}${rows}x${columns}${stride[0] === 2 ? "/2" : ""}${
      tail.slice(1).map(({ opType }) => ` + ${opType}`).join("")
    }`,
    unit: "KPU",
    weightBytes: elementCount(conv.input(1).staticShape) + FILTER_BYTES * filters + ACTIVATION_BYTES,
  };
}

/** Takes every second place of a depthwise layer of stride 2. The map goes out of the KPU's memory and back: `strideToPointwise`. */
function sliceBehind(conv: Node, { output }: K210Layer): K210Layer {
  return {
    ...{ name: `${layerName(conv)}/slice`, operator: "Slice", unit: "CPU", problems: [] },
    ...{ input: output, output: conv.output().staticShape.slice(1), mapBytes: 0, weightBytes: 0, macs: 0 },
  };
}

function otherLayer(node: Node): K210Layer {
  const shapes = [...node.inputs, ...node.outputs].filter((value) => value !== undefined);
  const input = node.inputs[0]?.staticShape.slice(1) ?? [],
    output = shapes.length > 0 ? node.output().staticShape.slice(1) : [];
  const weights = node.inputs.filter((value) => value?.tensor && value.rank > 1);
  const elements = weights.reduce((sum, value) => sum + elementCount(value!.staticShape), 0);
  const isProduct = node.opType === "Gemm" || node.opType === "MatMul";
  const base = { name: node.name, input, output, problems: [] };
  const most = Math.max(input.at(-1) ?? 0, output.at(-1) ?? 0);
  if (isProduct && weights.length === 1 && output.length === 1 && most <= K210.channels) {
    // A fully connected layer becomes a convolution 1x1, with one place of a map of 4 x 4 filled.
    const { shortest } = K210, bytesOf = (channels: number) => kpuMapBytes(channels, shortest, shortest);
    return {
      ...{ ...base, operator: `${node.opType} as 1x1`, unit: "KPU", macs: elements * shortest ** 2 },
      mapBytes: bytesOf(input.at(-1)!) + bytesOf(output[0]!),
      weightBytes: elements + FILTER_BYTES * output[0]! + ACTIVATION_BYTES,
    };
  }
  const [channels = 0, rows = 0, columns = 0] = output;
  const isSum = node.opType === "Add" && output.length === 3 &&
    node.inputs.every((value) => !value?.tensor && String(value?.staticShape) === String(node.output().staticShape));
  if (isSum && 2 * channels <= K210.channels && Math.min(rows, columns) >= K210.shortest) {
    // The sum of two maps becomes a convolution 1x1 of both, one behind the other, with two ones a filter.
    return {
      ...{ ...base, operator: "Add as 1x1", unit: "KPU", input: [2 * channels, rows, columns] },
      macs: 2 * channels ** 2 * rows * columns,
      mapBytes: kpuMapBytes(2 * channels, rows, columns) + kpuMapBytes(channels, rows, columns),
      weightBytes: 2 * channels ** 2 + FILTER_BYTES * channels + ACTIVATION_BYTES,
    };
  }
  const problems = PROCESSOR.has(node.opType) ? [] : [{
    layer: node.name,
    what: `expected an operator that nncase compiles for a K210, found ${node.opType}`,
    change: "write it with convolutions, sums and pools, or cut the graph before it and finish in the runner",
  }];
  return {
    ...{ ...base, operator: node.opType, unit: "CPU", mapBytes: 0, problems },
    // What the processor multiplies with stays float32.
    weightBytes: 4 * elements,
    macs: isProduct ? elements : 0,
  };
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
