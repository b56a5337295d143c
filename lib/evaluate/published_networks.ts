/** Networks whose cost is published, built from their published tables for the tests of flops.ts. The weights are zeros. */

import {
  add,
  batchNormalization,
  concat,
  conv,
  flatten,
  gemm,
  globalAveragePool,
  Graph,
  leakyRelu,
  maxPool,
  relu,
  resize,
  type Value,
} from "../onnx/mod.ts";

/** A graph that layers are appended to. */
class Builder {
  readonly graph: Graph;
  #layers = 0;

  constructor(name: string, side: number) {
    this.graph = new Graph(name);
    this.graph.input("images", "float32", ["N", 3, side, side]);
  }

  get images(): Value {
    return this.graph.value("images");
  }

  zeros(name: string, ...shape: number[]): Value {
    return this.graph.parameter(name, { shape, init: ([...sizes]) => new Float32Array(sizes.reduce((a, b) => a * b)) });
  }

  /** Darknet's [convolutional] with batch_normalize=1 and activation=leaky. */
  block(x: Value, channels: number, size: number, stride = 1): Value {
    const name = `conv${this.#layers++}`, from = x.shape[1] as number;
    const y = conv(x, this.zeros(`${name}.w`, channels, from, size, size), {
      pads: (size - 1) / 2,
      strides: stride,
    });
    const vector = (what: string) => this.zeros(`${name}.${what}`, channels);
    return leakyRelu(
      batchNormalization(y, vector("scale"), vector("bias"), vector("mean"), vector("variance")),
      { alpha: 0.1 },
    );
  }

  /** A convolution with a bias and nothing behind it. */
  linear(x: Value, channels: number, size = 1): Value {
    const name = `conv${this.#layers++}`, from = x.shape[1] as number;
    const bias = this.zeros(`${name}.bias`, channels);
    return conv(x, this.zeros(`${name}.w`, channels, from, size, size), { bias, pads: (size - 1) / 2 });
  }

  dense(x: Value, units: number): Value {
    const name = `dense${this.#layers++}`, from = x.shape[1] as number;
    return gemm(x, this.zeros(`${name}.w`, units, from), this.zeros(`${name}.bias`, units), { transB: true });
  }
}

/** YOLOv3's table 1: downsampling convolutions and residual blocks; the features of the last three sides. */
function darknetFeatures(net: Builder): Value[] {
  let x = net.block(net.images, 32, 3);
  return [[64, 1], [128, 2], [256, 8], [512, 8], [1024, 4]].map(([channels, blocks]) => {
    x = net.block(x, channels!, 3, 2);
    for (let i = 0; i < blocks!; i++) x = add(x, net.block(net.block(x, channels! / 2, 1), channels!, 3));
    return x;
  }).slice(2);
}

/** Darknet-53 with 1,000 classes, 256 px (Redmon and Farhadi 2018, table 1). */
export function darknet53(): Graph {
  const net = new Builder("darknet53", 256);
  net.graph.output(net.linear(globalAveragePool(darknetFeatures(net)[2]!), 1000), "scores");
  return net.graph;
}

/** YOLOv3 as in yolov3.cfg: 80 classes, 416 px. */
export function yolov3(): Graph {
  const net = new Builder("yolov3", 416);
  const features = darknetFeatures(net);
  let x: Value | undefined;
  for (const [i, channels] of [512, 256, 128].entries()) {
    const feature = features[2 - i]!;
    let y = x ? concat([resize(net.block(x, channels, 1), { scales: [1, 1, 2, 2] }), feature], 1) : feature;
    for (const [width, size] of [[1, 1], [2, 3], [1, 1], [2, 3], [1, 1]]) y = net.block(y, channels * width!, size!);
    x = y;
    net.graph.output(net.linear(net.block(y, 2 * channels, 3), 255), `head${i}`);
  }
  return net.graph;
}

/** YOLOv3-tiny as in yolov3-tiny.cfg: 80 classes, 416 px. */
export function yolov3Tiny(): Graph {
  const net = new Builder("yolov3-tiny", 416);
  let x = net.block(net.images, 16, 3);
  for (const channels of [32, 64, 128, 256]) x = net.block(maxPool(x, 2, { strides: 2 }), channels, 3);
  const middle = x;
  x = net.block(maxPool(x, 2, { strides: 2 }), 512, 3);
  x = net.block(maxPool(x, 2, { pads: [0, 0, 1, 1] }), 1024, 3);
  x = net.block(x, 256, 1);
  net.graph.output(net.linear(net.block(x, 512, 3), 255), "coarse");
  const y = concat([resize(net.block(x, 128, 1), { scales: [1, 1, 2, 2] }), middle], 1);
  net.graph.output(net.linear(net.block(y, 256, 3), 255), "fine");
  return net.graph;
}

/** VGG-16 with 1,000 classes, 224 px (Simonyan and Zisserman 2015, table 1, column D). */
export function vgg16(): Graph {
  const net = new Builder("vgg16", 224);
  let x = net.images;
  for (const [channels, layers] of [[64, 2], [128, 2], [256, 3], [512, 3], [512, 3]]) {
    for (let i = 0; i < layers!; i++) x = relu(net.linear(x, channels!, 3));
    x = maxPool(x, 2, { strides: 2 });
  }
  x = relu(net.dense(relu(net.dense(flatten(x), 4096)), 4096));
  net.graph.output(net.dense(x, 1000), "scores");
  return net.graph;
}
