/** Small real networks for the tests and the fuzzer of this floor, with seeded weights. */

import { elementCount, Random, type Tensor, tensor } from "../runtime/mod.ts";
import { Graph } from "./graph.ts";
import * as ops from "./ops/mod.ts";

const init = (random: Random, scale = 0.3) => (shape: readonly number[]) =>
  Float32Array.from({ length: elementCount(shape) }, () => random.normal(0, scale));

/** Conv – BatchNormalization – LeakyRelu – MaxPool, a residual block, global pooling and a classifier: [N, 3, 16, 16] → [N, 5]. */
export function sampleCnn(seed = 1): Graph {
  const random = Random.seeded("cnn", seed);
  const graph = new Graph("cnn");
  const weight = (name: string, ...shape: number[]) => graph.parameter(name, { shape, init: init(random) });
  const x = graph.input("image", "float32", ["N", 3, 16, 16]);
  const y = graph.scope("stem", () => {
    const conv = ops.conv(x, weight("weight", 8, 3, 3, 3), { bias: weight("bias", 8), pads: 1, name: "conv" });
    const variance = graph.parameter("variance", tensor("float32", [8], new Float32Array(8).fill(1)));
    const norm = ops.batchNormalization(conv, weight("scale", 8), weight("shift", 8), weight("mean", 8), variance);
    return ops.maxPool(ops.leakyRelu(norm, { alpha: 0.1 }), 2, { strides: 2 });
  });
  const z = graph.scope("block", () => {
    const inner = ops.relu(ops.conv(y, weight("weight1", 4, 8, 1, 1)));
    return ops.add(y, ops.conv(inner, weight("weight2", 8, 4, 3, 3), { pads: 1 }));
  });
  const features = ops.flatten(ops.globalAveragePool(z), { name: "features" });
  graph.output(ops.gemm(features, weight("head", 5, 8), weight("head.bias", 5), { transB: true }), "logits");
  return graph;
}

/** One transformer block over tokens, with shape arithmetic as exporters write it: [N, T] int64 → [N, T, 8]. */
export function sampleTransformer(seed = 1): Graph {
  const random = Random.seeded("transformer", seed);
  const graph = new Graph("transformer");
  const weight = (name: string, ...shape: number[]) => graph.parameter(name, { shape, init: init(random) });
  const tokens = graph.input("tokens", "int64", ["N", "T"]);
  const x = ops.gather(weight("embedding", 10, 8), tokens);
  const at = (i: number) => ops.gather(ops.shape(x), graph.ints([i]));
  const heads = (name: string) => {
    const shape = ops.concat([at(0), at(1), graph.ints([2, 4])], 0);
    return ops.transpose(ops.reshape(ops.matMul(x, weight(name, 8, 8)), shape), [0, 2, 1, 3]);
  };
  const scores = ops.div(ops.matMul(heads("q"), ops.transpose(heads("k"), [0, 1, 3, 2])), 2);
  const mixed = ops.transpose(ops.matMul(ops.softmax(scores), heads("v")), [0, 2, 1, 3]);
  const joined = ops.reshape(mixed, ops.concat([at(0), at(1), graph.ints([-1])], 0));
  const residual = ops.add(x, ops.matMul(joined, weight("o", 8, 8)));
  const normal = ops.layerNormalization(residual, weight("gain", 8), weight("offset", 8));
  const hidden = ops.gelu(ops.matMul(normal, weight("up", 8, 16)));
  graph.output(ops.add(residual, ops.matMul(hidden, weight("down", 16, 8))), "states");
  return graph;
}

/** What to feed the two networks. */
export function sampleFeeds(seed = 1): { cnn: Record<string, Tensor>; transformer: Record<string, Tensor> } {
  const random = Random.seeded("feeds", seed);
  const shape = [2, 3, 16, 16];
  return {
    cnn: { image: tensor("float32", shape, init(random, 1)(shape)) },
    transformer: { tokens: tensor("int64", [2, 5], Array.from({ length: 10 }, () => random.int(10))) },
  };
}
