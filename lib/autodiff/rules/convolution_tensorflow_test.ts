/** The gradients of the convolution family against TensorFlow.js's own, for what it has of it (channels last there). */

import {
  averagePool,
  batchNormalization,
  conv,
  convTranspose,
  depthToSpace,
  globalAveragePool,
  globalMaxPool,
  leakyRelu,
  maxPool,
  pad,
  pRelu,
  relu,
  resize,
} from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import type { CheckedInput, GradientCase } from "../gradient_check.ts";
import { compareWithTensorFlow, type TensorFlowFunction, tf } from "../tensorflow_oracle.ts";

/** An operator on [N, H, W, C] as one on [N, C, H, W]. */
function channelsFirst(operator: (x: tf.Tensor4D, inputs: Record<string, tf.Tensor>) => tf.Tensor): TensorFlowFunction {
  return (inputs) => {
    const last = tf.transpose(inputs["x"]!, [0, 2, 3, 1]) as tf.Tensor4D;
    return tf.transpose(operator(last, inputs) as tf.Tensor4D, [0, 3, 1, 2]);
  };
}

/** Weights [M, C, h, w] as [h, w, C, M]. */
const filter = (inputs: Record<string, tf.Tensor>) => tf.transpose(inputs["w"]!, [2, 3, 1, 0]) as tf.Tensor4D;

function test(
  name: string,
  count: number,
  make: (random: Random, i: number) => { onnx: GradientCase; tensorFlow: TensorFlowFunction },
): void {
  Deno.test(`${name}: TensorFlow.js finds the same gradients`, async () => {
    for (let i = 0; i < count; i++) {
      const random = Random.seeded("tensorflow", name, i);
      const { onnx, tensorFlow } = make(random, i);
      try {
        await compareWithTensorFlow(onnx, tensorFlow, { random });
      } catch (error) {
        throw new Error(`case ${i}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
}

const image = (random: Random, channels: number, least = 5): CheckedInput => ({
  shape: [1 + random.int(2), channels, least + random.int(4), least + random.int(4)],
  distinct: true,
});

test("conv with strides, dilation or pads", 12, (random, i) => {
  const strides = i % 2 ? 1 + random.int(2) : 1, dilations = strides === 1 ? 1 + random.int(2) : 1;
  const [channels, outputs, kernel, around] = [1 + random.int(3), 1 + random.int(4), 1 + random.int(3), random.int(2)];
  return {
    onnx: {
      inputs: { x: image(random, channels), w: { shape: [outputs, channels, kernel, kernel] } },
      build: ({ x, w }) => conv(x!, w!, { strides, dilations, pads: around }),
    },
    tensorFlow: channelsFirst((x, inputs) => {
      const wide = tf.pad(x, [[0, 0], [around, around], [around, around], [0, 0]]);
      // Its gradient of a dilated convolution is missing: the taps are spread with zeros instead.
      return tf.conv2d(wide, spread(filter(inputs), dilations), strides, "valid");
    }),
  };
});

/** Filters [h, w, C, M] with zeros between the taps. */
function spread(taps: tf.Tensor4D, dilation: number): tf.Tensor4D {
  if (dilation === 1) return taps;
  const [height, width] = taps.shape;
  const along = (axis: number, size: number, x: tf.Tensor): tf.Tensor =>
    tf.concat(
      Array.from({ length: size }, (_, i) => {
        const one = tf.gather(x, [i], axis);
        return i === 0 ? [one] : [tf.zerosLike(one), one];
      }).flat(),
      axis,
    );
  return along(1, width, along(0, height, taps)) as tf.Tensor4D;
}

test("depthwise conv", 6, (random, i) => {
  const channels = 1 + random.int(3), each = 1 + random.int(2), strides = 1 + i % 2;
  return {
    onnx: {
      inputs: { x: image(random, channels), w: { shape: [channels * each, 1, 3, 3] } },
      build: ({ x, w }) => conv(x!, w!, { strides, group: channels }),
    },
    tensorFlow: channelsFirst((x, { w }) => {
      const taps = tf.transpose(tf.reshape(w!, [channels, each, 3, 3]), [2, 3, 0, 1]) as tf.Tensor4D;
      return tf.depthwiseConv2d(x, taps, strides, "valid");
    }),
  };
});

test("convTranspose", 6, (random, i) => {
  const [channels, outputs, strides] = [1 + random.int(3), 1 + random.int(3), 1 + i % 2];
  const x = image(random, channels, 3);
  const [batch, , height, width] = x.shape as [number, number, number, number];
  return {
    onnx: {
      inputs: { x, w: { shape: [channels, outputs, 3, 3] } },
      build: ({ x, w }) => convTranspose(x!, w!, { strides }),
    },
    tensorFlow: channelsFirst((images, { w }) => {
      const sizes = [batch, (height - 1) * strides + 3, (width - 1) * strides + 3, outputs] as [
        number,
        number,
        number,
        number,
      ];
      return tf.conv2dTranspose(images, tf.transpose(w!, [2, 3, 1, 0]) as tf.Tensor4D, sizes, strides, "valid");
    }),
  };
});

test("maxPool, overlapping too", 8, (random, i) => {
  const kernel = 2 + random.int(2), strides = i % 2 ? kernel : 1 + random.int(2);
  return {
    onnx: { inputs: { x: image(random, 2) }, build: ({ x }) => maxPool(x!, kernel, { strides }) },
    tensorFlow: channelsFirst((x) => tf.maxPool(x, kernel, strides, "valid")),
  };
});

test("averagePool, overlapping too", 8, (random, i) => {
  const kernel = 2 + random.int(2), strides = i % 2 ? kernel : 1 + random.int(2);
  return {
    onnx: { inputs: { x: image(random, 2) }, build: ({ x }) => averagePool(x!, kernel, { strides }) },
    tensorFlow: channelsFirst((x) => tf.avgPool(x, kernel, strides, "valid")),
  };
});

test("pooling over whole maps", 4, (random, i) => ({
  onnx: { inputs: { x: image(random, 3) }, build: ({ x }) => i % 2 ? globalMaxPool(x!) : globalAveragePool(x!) },
  tensorFlow: ({ x }) => i % 2 ? tf.max(x!, [2, 3], true) : tf.mean(x!, [2, 3], true),
}));

test("batch normalisation with given statistics", 3, (random) => ({
  onnx: {
    inputs: {
      x: image(random, 3),
      scale: { shape: [3] },
      bias: { shape: [3] },
      mean: { shape: [3] },
      variance: { shape: [3], low: 0.5, high: 2 },
    },
    build: ({ x, scale, bias, mean, variance }) =>
      batchNormalization(x!, scale!, bias!, mean!, variance!, { epsilon: 1e-3 }),
  },
  tensorFlow: channelsFirst((x, { scale, bias, mean, variance }) =>
    tf.batchNorm(x, mean as tf.Tensor1D, variance as tf.Tensor1D, bias as tf.Tensor1D, scale as tf.Tensor1D, 1e-3)
  ),
}));

test("linear and nearest enlargement", 8, (random, i) => {
  const size: [number, number] = [6 + random.int(5), 6 + random.int(5)];
  const x = image(random, 2, 3);
  const linear = i % 2 === 0, corners = i % 4 === 0;
  const factors = [2, 3];
  const sizes = linear ? [...x.shape.slice(0, 2), ...size] : undefined;
  return {
    onnx: {
      inputs: { x },
      build: ({ x }) =>
        sizes
          ? resize(x!, { sizes, mode: "linear", coordinates: corners ? "align_corners" : "half_pixel" })
          : resize(x!, { scales: [1, 1, ...factors], coordinates: "asymmetric", nearest: "floor" }),
    },
    tensorFlow: channelsFirst((images) => {
      if (!linear) {
        // Its gradient of resizeNearestNeighbor by unequal factors is another one than PyTorch's and the central
        // differences: elements are repeated by index.
        const repeated = (size: number, factor: number) =>
          Array.from({ length: size * factor }, (_, k) => Math.floor(k / factor));
        const rows = tf.gather(images, repeated(images.shape[1], factors[0]!), 1);
        return tf.gather(rows, repeated(images.shape[2], factors[1]!), 2);
      }
      return corners ? tf.image.resizeBilinear(images, size, true) : halfPixel(images, size);
    }),
  };
});

/** Bilinear at half-pixel centres as two products: TensorFlow.js has no gradient of its own kernel in that mode. */
function halfPixel(x: tf.Tensor4D, [height, width]: [number, number]): tf.Tensor {
  const weights = (places: number, size: number) =>
    tf.tensor2d(Array.from({ length: places }, (_, i) => {
      const at = Math.min(size - 1, Math.max(0, (i + 0.5) * size / places - 0.5));
      return Array.from({ length: size }, (_, k) => Math.max(0, 1 - Math.abs(at - k)));
    }));
  const first = tf.transpose(x, [0, 3, 1, 2]);
  const columns = tf.matMul(
    first,
    tf.tile(tf.reshape(tf.transpose(weights(width, x.shape[2])), [1, 1, x.shape[2], width]), [
      x.shape[0],
      x.shape[3],
      1,
      1,
    ]),
  );
  const rows = tf.tile(tf.reshape(weights(height, x.shape[1]), [1, 1, height, x.shape[1]]), [
    x.shape[0],
    x.shape[3],
    1,
    1,
  ]);
  return tf.transpose(tf.matMul(rows, columns), [0, 2, 3, 1]);
}

// Its gradient of mirrorPad leaves out what the mirrored elements add; PyTorch and central differences check that one.
test("pad with a constant", 3, (random) => {
  const around = [1 + random.int(2), random.int(3)] as const;
  const pads = [0, 0, around[0], around[1], 0, 0, around[1], around[0]];
  const pairs: [number, number][] = [[0, 0], [0, 0], [around[0], around[1]], [around[1], around[0]]];
  return {
    onnx: { inputs: { x: image(random, 2) }, build: ({ x }) => pad(x!, pads) },
    tensorFlow: ({ x }) => tf.pad(x!, pairs),
  };
});

test("depthToSpace", 3, (random) => ({
  onnx: { inputs: { x: { shape: [2, 4 * (1 + random.int(2)), 2, 3] } }, build: ({ x }) => depthToSpace(x!, 2) },
  tensorFlow: channelsFirst((x) =>
    tf.reshape(
      tf.transpose(
        tf.reshape(x, [x.shape[0], x.shape[1], x.shape[2], 2, 2, x.shape[3] / 4]),
        [0, 1, 3, 2, 4, 5],
      ),
      [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], x.shape[3] / 4],
    )
  ),
}));

test("rectifiers", 6, (_random, i) => ({
  onnx: {
    inputs: {
      x: { shape: [3, 4, 2], distinct: true },
      ...(i % 3 === 2 ? { slope: { shape: [4, 1], low: 0.1, high: 0.9 } } : {}),
    },
    build: ({ x, slope }) => slope ? pRelu(x!, slope) : i % 3 ? leakyRelu(x!, { alpha: 0.2 }) : relu(x!),
  },
  tensorFlow: ({ x, slope }) => slope ? tf.prelu(x!, slope) : i % 3 ? tf.leakyRelu(x!, 0.2) : tf.relu(x!),
}));
