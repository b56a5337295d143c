/** For tests only: a small classifier with everything a step has to deal with, and batches for it. */

import { batchNormalization, conv, dropout, flatten, gemm, Graph, maxPool, relu, tensor } from "../onnx/mod.ts";
import { Random, sha256 } from "../runtime/mod.ts";
import type { Batch } from "./batch.ts";
import { compileStep, type Step, type StepOptions } from "./compile_step.ts";
import { constant, kaimingNormal } from "../models/mod.ts";
import { crossEntropy } from "./losses/mod.ts";
import { sgd } from "./optimizers.ts";

/** x [N, 1, 8, 8] → convolution, batch normalisation, pooling, a hidden layer "activation" (with dropout) → logits [N, 3]. */
export function smallNetwork(ratio?: number): Graph {
  const graph = new Graph("small"), random = Random.seeded("small network");
  const x = graph.input("x", "float32", ["N", 1, 8, 8]);
  const w = graph.parameter("conv", { shape: [4, 1, 3, 3], init: kaimingNormal(random) });
  const running = (name: string, value: number) =>
    graph.constant(tensor("float32", [4], new Array<number>(4).fill(value)), { name });
  const normalised = batchNormalization(
    conv(x, w, { pads: 1 }),
    graph.parameter("scale", { shape: [4], init: constant(1) }),
    graph.parameter("bias", { shape: [4], init: constant(0) }),
    running("mean", 0),
    running("variance", 1),
  );
  const features = flatten(maxPool(relu(normalised), 4, { strides: 4 }));
  const hidden = graph.parameter("hidden", { shape: [8, 16], init: kaimingNormal(random) });
  const activation = relu(gemm(features, hidden, undefined, { transB: true }), { name: "activation" });
  const head = graph.parameter("head", { shape: [3, 8], init: kaimingNormal(random) });
  const kept = ratio === undefined ? activation : dropout(activation, { ratio }).y;
  graph.output(gemm(kept, head, undefined, { transB: true }), "logits");
  return graph;
}

/** Pictures of stripes with noise, their direction the label; another for each number. */
export function smallBatch(number: number, size = 6): Batch {
  const random = Random.seeded("small batch", number);
  const labels = Array.from({ length: size }, () => random.int(3));
  const pixels = labels.flatMap((label) =>
    Array.from({ length: 64 }, (_, i) => {
      const along = [Math.floor(i / 8), i % 8, 0][label]!;
      return (along % 2) * 2 - 1 + random.normal(0, 0.5);
    })
  );
  return { x: tensor("float32", [size, 1, 8, 8], pixels), labels: tensor("int64", [size], labels) };
}

/** A step on the small network: convolution, batch normalisation, pooling, dropout on request, two linear layers. */
export function openSmallStep(options: Partial<StepOptions> & { dropout?: number } = {}): Promise<Step> {
  const { dropout: ratio, ...rest } = options;
  return compileStep({
    model: smallNetwork(ratio),
    loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", ["N"])),
    optimizer: sgd({ momentum: 0.9 }),
    worker: false,
    threads: 1,
    ...rest,
  });
}

/** A hash of all that is kept. */
export async function bits(step: Step): Promise<string> {
  const { tensors } = await step.state();
  return Object.entries(tensors).map(([name, { data }]) =>
    `${name} ${sha256(new Uint8Array((data as Float32Array).buffer))}`
  )
    .join("\n");
}
