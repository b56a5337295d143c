/** A student with random weights, packaged as a training packages its model: for tests of what becomes of it on a K210. */

import { type ModelPackage, writePackage } from "../../lib/experiment/mod.ts";
import { mobileNet, residualNet, yoloV3Tiny } from "../../lib/models/mod.ts";
import { foldBatchNormalization, type Graph, removeDead, softmax, toModel } from "../../lib/onnx/mod.ts";
import { Random } from "../../lib/runtime/mod.ts";
import { species } from "../../lib/species/mod.ts";

/** Settings of `makeStudent`. */
export interface StudentOptions {
  readonly family?: "mobilenet" | "residual" | "yolov3-tiny";
  readonly classes?: number;
  readonly size?: number;
  readonly width?: number;
  /** Of the input, a channel each. Default: 0 and 1. */
  readonly mean?: number;
  readonly std?: number;
}

/** Writes the package. Its classes are the first of the National Dex. */
export async function makeStudent(
  folder: string,
  { family = "mobilenet", classes = 1025, size = 64, width = 0.25, mean = 0, std = 1 }: StudentOptions = {},
): Promise<ModelPackage> {
  const random = Random.seeded("student", 1), options = { classes, size, width, random };
  const detector = family === "yolov3-tiny" ? yoloV3Tiny(options) : undefined;
  const graph = detector?.graph ?? (family === "residual" ? residualNet : mobileNet)(options).graph;
  if (!detector) asShipped(graph, random);
  return await writePackage(folder, {
    model: toModel(graph),
    classes: species.slice(0, classes),
    card: {
      name: "student",
      about: "A student with random weights.",
      input: {
        ...{ name: "images", layout: "NCHW", size, channels: "RGB", fit: "letterbox", view: "content" },
        ...{ mean: [mean, mean, mean], std: [std, std, std], background: [124, 124, 124] },
      },
      outputs: { probabilities: "probabilities" },
      decode: {
        ...{ family, classProbabilities: detector ? "sigmoid" : "softmax", how: "softmax" },
        heads: (detector?.spec.heads ?? []).map((head) => ({
          ...head,
          anchors: head.anchors.map(([w, h]): [number, number] => [w, h]),
        })),
      },
      temperature: 1,
      trainedOn: {
        ...{
          run: "none",
          profile: "smoke",
          seed: 0,
          sources: [],
          split: "as built",
          background: "fixed",
          boxes: "frame",
        },
        ...{ pictures: { train: 1, validation: 1, test: 1 }, pretrained: "none", epochs: 0, steps: 0 },
        ...{ weights: "current", configHash: "none", commit: null, date: "2026-01-01" },
      },
      metrics: {},
    },
  });
}

/** Statistics unlike those of a fresh network, softmax, folded. */
function asShipped(graph: Graph, random: Random): void {
  for (const { name, tensor } of graph.initialisers) {
    const data = tensor!.data as Float32Array;
    if (/\.(mean|shift|bias)$/.test(name)) data.forEach((_, i) => data[i] = 0.2 * random.normal());
    if (/\.(variance|scale)$/.test(name)) data.forEach((_, i) => data[i] = 0.5 + random.uniform());
  }
  const logits = graph.value("logits");
  graph.removeOutput(logits);
  graph.output(softmax(logits, { axis: 1 }), "probabilities");
  foldBatchNormalization(graph);
  removeDead(graph, { parameters: true });
}
