/** The layers of a network as the K210's compiler makes them, with what each takes and what stands against it. */

import type { Graph, Node, Value } from "../../onnx/mod.ts";
import { elementCount } from "../../runtime/mod.ts";

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

/** What depends on no input: weights that are kept as float16 or int8, which a compiler turns back once. */
export function constantNodes(graph: Graph): ReadonlySet<Node> {
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

/** What the compiler gives the KPU as a convolution that can have an activation and a pool behind it. */
export function isConvolution(node: Node): boolean {
  return node.opType === "Conv" || isSumOfMaps(node);
}

/** The sum of two maps becomes a convolution 1x1 of both, one behind the other, with two ones a filter. */
function isSumOfMaps(node: Node): boolean {
  const shape = node.opType === "Add" ? node.output().staticShape : [];
  const [, channels = 0, rows = 0, columns = 0] = shape;
  return shape.length === 4 && 2 * channels <= K210.channels && Math.min(rows, columns) >= K210.shortest &&
    node.inputs.every((value) => !value?.tensor && String(value?.staticShape) === String(shape));
}

/** A convolution with what the KPU does while it writes: an activation, then a pool, which a stride of 2 is too. A depthwise layer has no pool. */
export function tailOf(node: Node, consumers: ReturnType<Graph["consumers"]>): Node[] {
  const tail: Node[] = [node];
  const pools = node.opType !== "Conv" ||
    (!isDepthwise(node) && node.ints("strides", [1, 1]).every((each) => each === 1));
  for (let next = only(consumers, node); next; next = only(consumers, tail.at(-1)!)) {
    const isActivation = FUSED.has(next.opType) && tail.length === 1;
    if (!isActivation && !(pools && isKpuPool(next) && !tail.some((each) => POOLS.has(each.opType)))) break;
    tail.push(next);
  }
  return tail;
}

const tailText = (tail: readonly Node[]) => tail.slice(1).map(({ opType }) => ` + ${opType}`).join("");

/** A node with its tail as the chip sees it. */
export function layersOf(node: Node, tail: readonly Node[]): K210Layer[] {
  if (node.opType !== "Conv") return [otherLayer(node, tail)];
  const layer = kpuLayer(node, tail);
  return isDepthwise(node) && node.ints("strides", [1, 1])[0] === 2 ? [layer, sliceBehind(node, layer)] : [layer];
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
    operator: `${depthwise ? "depthwise " : ""}${rows}x${columns}${stride[0] === 2 ? "/2" : ""}${tailText(tail)}`,
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

function otherLayer(node: Node, tail: readonly Node[]): K210Layer {
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
  if (isSumOfMaps(node)) {
    const written = tail.at(-1)!.output().staticShape.slice(1) as [number, number, number];
    return {
      ...{ ...base, operator: `Add as 1x1${tailText(tail)}`, unit: "KPU", output: written },
      ...{ input: [2 * channels, rows, columns], macs: 2 * channels ** 2 * rows * columns },
      mapBytes: kpuMapBytes(2 * channels, rows, columns) + kpuMapBytes(...written),
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

/** For people. */
export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
