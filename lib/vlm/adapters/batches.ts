/** Training of an adapter's graph on batches of embeddings. */

import { tensor } from "../../runtime/mod.ts";
import type { Graph } from "../../onnx/mod.ts";
import { adamW, compileStep, cosineRate, crossEntropy, Random } from "../../train/mod.ts";
import type { AdapterInput } from "./adapter.ts";
import { pause } from "./pause.ts";
import { takeRows } from "./products.ts";

/** How an adapter is trained. */
export interface TrainingOptions {
  /** Passes over the pictures. */
  readonly epochs: number;
  /** Pictures in a step; what is left over at the end of a pass makes a smaller one. */
  readonly batch: number;
  /** The first learning rate; it falls to zero along half a cosine. */
  readonly learningRate: number;
  readonly weightDecay: number;
  /** AdamW's ε. */
  readonly epsilon: number;
}

/**
 * Trains a graph from "x" [N, D] to "logits" [N, C] by cross-entropy with AdamW, batches drawn anew in each epoch; returns it with its
 * trained weights. A batch of all pictures is taken in their own order.
 */
export async function trainOnBatches(
  graph: Graph,
  { train, threads, seed = 0, signal, onProgress }: AdapterInput,
  { epochs, batch, learningRate, weightDecay, epsilon }: TrainingOptions,
  label: string,
): Promise<Graph> {
  const pictures = train.labels.length, random = Random.seeded(label, seed);
  const total = epochs * Math.ceil(pictures / batch), rate = cosineRate({ peak: learningRate, steps: total });
  await using step = await compileStep({
    model: graph,
    loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", ["N"])),
    optimizer: adamW({ weightDecay, epsilon }),
    worker: false,
    ...(threads === undefined ? {} : { threads }),
  });
  const inOrder = Array.from({ length: pictures }, (_, i) => i);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = batch >= pictures ? inOrder : random.fork("epoch", epoch).shuffle(inOrder);
    for (let from = 0; from < pictures; from += batch) {
      await pause(signal);
      const { features, labels } = takeRows(train, order.slice(from, from + batch));
      const fed = { x: features, labels: tensor("int64", [labels.length], labels) };
      const { loss } = await step.run(fed, { learningRate: rate(step.step) });
      onProgress?.({ label, done: step.step, total, unit: "steps", note: `loss ${loss.toFixed(4)}` });
    }
  }
  return await step.model();
}
