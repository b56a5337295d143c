/** The task of a YOLO network: boxes, and from them the species of the picture. */

import {
  appendDetections,
  appendImageProbabilities,
  IMAGE_PROBABILITIES,
  type ImageProbabilities,
} from "../../models/mod.ts";
import { Graph } from "../../onnx/mod.ts";
import { yoloTargets } from "../../train/mod.ts";
import type { ModelCard } from "../card.ts";
import type { TrainingConfig } from "../config.ts";
import { judgedBatch, judgingGraph, OUTPUTS, shippedGraph } from "../graphs.ts";
import { buildDetector } from "../network.ts";
import { assignmentOf, lossOf } from "../recipe.ts";
import type { TaskNetwork } from "./task.ts";

/** How boxes are chosen among candidates; part of a model's card. */
const SUPPRESSION: NonNullable<ModelCard["decode"]["suppression"]> = {
  iouThreshold: 0.45,
  scoreThreshold: 0.001,
  maxDetections: 100,
};

/** A detector of the settings, with fresh weights. */
export function detectionTask(
  config: TrainingConfig,
  { classes, seed }: { readonly classes: number; readonly seed: number },
): TaskNetwork {
  const { graph, spec } = buildDetector(config.model, { classes, seed });
  const { loss, prediction: { how, classProbabilities = loss.class, views } } = config;
  const assignment = assignmentOf(loss), yolo = lossOf(spec, loss);
  const settings = (way: string) => ({ how: way as ImageProbabilities, classProbabilities });
  return {
    graph,
    classes,
    size: spec.size,
    ways: how === "auto" ? ["best", ...IMAGE_PROBABILITIES.filter((way) => way !== "best")] : [how],
    views,
    loss: yolo,
    targets: ({ boxes }) => yoloTargets(boxes, spec, assignment),
    judgedBatch: (wanted) => judgedBatch(spec, wanted, views),
    judgingGraph: (ways, { withLoss = true } = {}) =>
      judgingGraph(graph, spec, {
        ...{ ways: ways as readonly ImageProbabilities[], classProbabilities },
        ...(withLoss ? { loss: yolo } : {}),
      }),
    shippedGraph: (way) => shippedGraph(graph, spec, settings(way)),
    decoder(way) {
      const decoder = new Graph("decode");
      for (const { output, anchors, stride } of spec.heads) {
        const side = spec.size / stride;
        decoder.input(output, "float32", ["N", anchors.length * (5 + classes), side, side]);
      }
      appendImageProbabilities(decoder, spec, settings(way));
      appendDetections(decoder, spec, { classProbabilities });
      return decoder;
    },
    describe: (way) => ({
      outputs: { ...OUTPUTS },
      decode: {
        ...{ family: config.model.family, classProbabilities, how: way, suppression: SUPPRESSION },
        ...(views === "none" ? {} : { views }),
        heads: spec.heads.map(({ output, stride, anchors }) => ({
          output,
          stride,
          anchors: anchors.map(([width, height]) => [width, height]),
        })),
      },
    }),
  };
}
