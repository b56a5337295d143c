/** For tests: networks of every family with drawn weights and statistics, and what a graph computes. */

import { c2fNet, efficientNet, mobileNet, residualNet, yoloV3, yoloV3Tiny } from "../../models/mod.ts";
import { foldBatchNormalization, type Graph, toModel } from "../../onnx/mod.ts";
import { openSession, Random, type Tensor, tensor } from "../../runtime/mod.ts";

const classifier = { classes: 5, size: 32, width: 0.25, depth: 0.5, batch: 1, dropPath: 0.1, dropout: 0.1 };
const detector = { classes: 3, size: 64, width: 0.06, depth: 0.2, batch: 1 };

/** Small networks of each family, as they are trained. */
export const FAMILIES: Readonly<Record<string, (random: Random) => Graph>> = {
  residual: (random) => residualNet({ ...classifier, random }).graph,
  mobilenet: (random) => mobileNet({ ...classifier, random }).graph,
  efficientnet: (random) => efficientNet({ ...classifier, random }).graph,
  c2f: (random) => c2fNet({ ...classifier, random }).graph,
  yolov3: (random) => yoloV3({ ...detector, random }).graph,
  "yolov3-tiny": (random) => yoloV3Tiny({ ...detector, random }).graph,
};

/** A network of a family whose biases, scales and statistics are drawn too, as after training; folded for inference if asked for. */
export function drawnNetwork(family: string, seed: number, { folded = false } = {}): Graph {
  const random = Random.seeded("pruning", family, seed), graph = FAMILIES[family]!(random);
  for (const value of graph.initialisers) {
    if (!/\.(bias|scale|mean|variance)$/.test(value.name)) continue;
    const isSpread = /scale|variance/.test(value.name);
    const drawn = value.tensor!.data.length;
    graph.setTensor(
      value,
      tensor(
        "float32",
        [drawn],
        Float32Array.from({ length: drawn }, () => isSpread ? 0.5 + random.uniform() : 0.3 * random.normal()),
      ),
    );
  }
  if (folded) foldBatchNormalization(graph);
  return graph;
}

/** Drawn pictures for the input "images". */
export function drawnImages(graph: Graph, seed: number): Tensor {
  const random = Random.seeded("images", seed), shape = graph.value("images").staticShape;
  return tensor("float32", shape, Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()));
}

/** All outputs of a graph. */
export async function outputsOf(graph: Graph, images: Tensor): Promise<Record<string, Tensor>> {
  await using session = await openSession(toModel(graph), { threads: 1 });
  return await session.run({ [graph.inputs[0]!.name]: images });
}

/** The largest difference of two results, as a part of the largest number in the first. */
export function largestDifference(a: Readonly<Record<string, Tensor>>, b: Readonly<Record<string, Tensor>>): number {
  let worst = 0, largest = 0;
  for (const [name, { data }] of Object.entries(a)) {
    const other = b[name]!.data as Float32Array;
    if (other.length !== data.length) return Infinity;
    for (const [i, x] of (data as Float32Array).entries()) {
      const difference = Math.abs(x - other[i]!);
      if (!(difference <= worst)) worst = difference;
      largest = Math.max(largest, Math.abs(x));
    }
  }
  return worst / Math.max(1, largest);
}
