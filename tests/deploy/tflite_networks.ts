/** Networks with all that the TFLite writer knows, quantized, and pictures for them: judged by LiteRT in tests and by peers. */

import { calibrate, type Calibration, prepareForEdgeTpu, quantizeStatic } from "../../lib/deploy/mod.ts";
import {
  add,
  averagePool,
  clip,
  concat,
  conv,
  elementCount,
  flatten,
  gemm,
  globalAveragePool,
  Graph,
  leakyRelu,
  maxPool,
  mul,
  reduceMean,
  relu,
  resize,
  sigmoid,
  softmax,
  type Tensor,
  tensor,
  type Value,
} from "../../lib/onnx/mod.ts";
import { mobileNet, residualNet } from "../../lib/models/mod.ts";
import { Random } from "../../lib/runtime/mod.ts";

/** Rows and columns of the pictures: not square, so that a mix-up shows. */
export const ROWS = 12, COLUMNS = 16;

/** Drawn parameters of a graph. */
function drawing(graph: Graph, seed: string) {
  const random = Random.seeded("tflite network", seed);
  return (name: string, shape: readonly number[], by: number) =>
    graph.parameter(name, {
      shape,
      init: (sizes) => Float32Array.from({ length: elementCount(sizes) }, () => by * random.normal()),
    });
}

/** Adds a convolution with drawn weights and biases. */
type Layer = (x: Value, filters: number, size: number, options?: LayerOptions) => Value;

interface LayerOptions {
  readonly pads?: number | readonly number[];
  readonly strides?: number;
  readonly group?: number;
  readonly dilations?: number;
}

/** A graph from "images" [1, 3, ROWS, COLUMNS] to "out", of what a function makes. */
function network(name: string, make: (images: Value, layer: Layer) => Value): Graph {
  const graph = new Graph(name), drawn = drawing(graph, name);
  let layers = 0;
  const layer: Layer = (x, filters, size, options = {}) => {
    const label = `layer${layers++}`, { group = 1 } = options, inputs = (x.shape[1] as number) / group;
    const weight = drawn(`${label}.weight`, [filters, inputs, size, size], 1.4 / Math.sqrt(inputs * size * size));
    return conv(x, weight, { ...options, name: label, bias: drawn(`${label}.bias`, [filters], 0.2) });
  };
  graph.output(make(graph.input("images", "float32", [1, 3, ROWS, COLUMNS]), layer), "out");
  return graph;
}

/** A matrix with a bias, drawn. */
function linear(x: Value, outputs: number): Value {
  const drawn = drawing(x.graph, "linear"), inputs = x.shape[1] as number;
  const weight = drawn("linear.weight", [outputs, inputs], 1 / Math.sqrt(inputs));
  return gemm(x, weight, drawn("linear.bias", [outputs], 0.3), { transB: true });
}

/** By name. A last convolution behind operators between two layers makes them part of what is quantized. */
export const NETWORKS: Readonly<Record<string, () => Graph | Promise<Graph>>> = {
  "pads that are not SAME, SAME, VALID and dilation": () =>
    network("pads", (x, layer) => {
      const halved = relu(layer(x, 8, 3, { strides: 2, pads: 1 }));
      const uneven = relu(layer(halved, 8, 3, { pads: [2, 1, 0, 1] }));
      return layer(relu(layer(uneven, 6, 3, { pads: 2, dilations: 2 })), 5, 3);
    }),
  "depthwise layers, also with two filters a channel": () =>
    network("depthwise", (x, layer) => {
      const stem = relu(layer(x, 8, 3, { pads: 1 }));
      const twice = relu(layer(stem, 16, 3, { pads: 1, group: 8 }));
      return layer(clip(layer(layer(twice, 12, 1), 12, 3, { strides: 2, pads: 1, group: 12 }), 0, 6), 5, 1);
    }),
  "sums, pools, joined maps, enlargement": () =>
    network("maps", (x, layer) => {
      const stem = relu(layer(x, 8, 3, { pads: 1 })), pooled = maxPool(stem, 2, { strides: 2 });
      const deep = relu(layer(pooled, 8, 3, { pads: 1 })), sum = add(pooled, deep);
      const low = averagePool(sum, 2, { strides: 2 });
      const high = resize(layer(low, 6, 1), {
        scales: [1, 1, 2, 2],
        mode: "nearest",
        coordinates: "asymmetric",
        nearest: "floor",
      });
      const edged = maxPool(concat([sum, high], 1), 3, { strides: 1, pads: 1 });
      return layer(edged, 5, 1);
    }),
  "LeakyRelu, sigmoid, products": () =>
    network("curves", (x, layer) => {
      const stem = leakyRelu(layer(x, 8, 3, { pads: 1 }), { alpha: 0.1 });
      const gate = sigmoid(layer(globalAveragePool(stem), 8, 1));
      return layer(mul(stem, gate), 5, 1);
    }),
  "a flattened map, a matrix with a scale for each output": () =>
    network("flattened", (x, layer) => linear(flatten(relu(layer(x, 4, 3, { strides: 2 }))), 7)),
  "a mean and a softmax": () =>
    network(
      "softmax",
      (x, layer) => softmax(linear(reduceMean(relu(layer(x, 16, 3)), { axes: [2, 3], keepdims: false }), 9)),
    ),
  "the residual family of the shipped model, prepared": () => prepared(residualNet),
  "the mobilenet family of the small student, prepared": () => prepared(mobileNet),
};

/** A fresh network as the Edge TPU takes it. */
async function prepared(family: typeof residualNet | typeof mobileNet): Promise<Graph> {
  const random = Random.seeded("tflite network", "family");
  return (await prepareForEdgeTpu(family({ classes: 11, size: 32, width: 0.25, random }).graph)).graph;
}

/** Drawn pictures of the shape of a graph's input. */
export function drawnPictures(graph: Graph, count: number, seed: string): Tensor[] {
  const random = Random.seeded("tflite pictures", seed), shape = graph.inputs[0]!.staticShape;
  return Array.from({ length: count }, () => {
    const light = random.uniform(); // pictures differ as wholes too, or all answers would be one
    const data = Float32Array.from({ length: elementCount(shape) }, () => 0.5 * (light + random.uniform()));
    return tensor("float32", shape, data);
  });
}

/** A network in QDQ form; weights of 7 bits, with which ONNX Runtime computes exactly on every processor. */
export async function quantizedNetwork(
  graph: Graph,
): Promise<{ readonly quantized: Graph; readonly calibration: Calibration }> {
  const calibration = await calibrate(graph, drawnPictures(graph, 16, "calibration").map((images) => ({ images })), {
    method: "minMax",
  });
  return { quantized: await quantizeStatic(graph, calibration, { reduceRange: true }), calibration };
}

/** [N, C, H, W] as [N, H, W, C]; rows as they are. */
export function channelsLast(
  { data, shape }: Tensor,
): { readonly data: Float32Array; readonly shape: readonly number[] } {
  const source = data as Float32Array;
  if (shape.length !== 4) return { data: source, shape };
  const [n, channels, rows, columns] = shape as [number, number, number, number], places = rows * columns;
  const moved = Float32Array.from(source, (_, i) => {
    const picture = Math.floor(i / (places * channels)), place = Math.floor(i / channels) % places;
    return source[(picture * channels + i % channels) * places + place]!;
  });
  return { data: moved, shape: [n, rows, columns, channels] };
}
