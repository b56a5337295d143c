/** Detectors whose only head the region layer of MaixPy and CanMV decodes: YOLOv2's, one scale, a softmax over few classes. */

import type { ClassProbabilities, YoloSpec } from "../../models/mod.ts";
import type { Graph } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import { K210, type K210Problem } from "./check.ts";
import { bodyForK210, foldedForK210 } from "./prepare.ts";

/** What a region layer needs to know of a head. */
export interface RegionHead {
  /** anchors · (5 + classes). */
  readonly channels: number;
  readonly classes: number;
  /** Cells of the map's side. */
  readonly side: number;
  /** Widths and heights in cells, one after another, as `init_yolo2` takes them. */
  readonly anchors: readonly number[];
  /** Bytes that the layer keeps for boxes and probabilities beside the model. */
  readonly bytes: number;
  readonly problems: readonly K210Problem[];
}

/** The most classes that so many anchors leave room for: 199 with five, 336 with three. */
export function mostRegionClasses(anchors: number): number {
  return Math.floor(K210.channels / anchors) - 5;
}

/**
 * Whether the region layer decodes a detector's head. It takes the only output of a model, in Darknet's layout (`YoloHead`): sigmoids of
 * t_x, t_y and the objectness, exponentials of t_w and t_h times anchors in cells, and a softmax over the classes (MaixPy-v1, yolo2
 * region layer; CanMV, yolo2_region_layer.c). The KPU computes at most 1,024 channels.
 */
export function checkRegionHead(
  { heads, classes, size }: YoloSpec,
  { classProbabilities }: { readonly classProbabilities: ClassProbabilities },
): RegionHead {
  const head = heads[0]!, problems: K210Problem[] = [];
  const expect = (holds: boolean, layer: string, what: string, change: string) => {
    if (!holds) problems.push({ layer, what, change });
  };
  const names = heads.map(({ output }) => output).join(", ");
  expect(
    heads.length === 1,
    names,
    `expected one head for the region layer, found ${heads.length}`,
    "train a detector with one scale; the layer reads the model's first output alone",
  );
  for (const { output, anchors } of heads) {
    const channels = anchors.length * (5 + classes), most = mostRegionClasses(anchors.length);
    expect(
      channels <= K210.channels,
      output,
      `expected at most ${K210.channels} channels, found ${channels} (${anchors.length} anchors of 5 + ${classes})`,
      most >= 1 ? `at most ${most} classes with ${anchors.length} anchors, or fewer anchors` : "fewer anchors",
    );
  }
  expect(
    classProbabilities === "softmax",
    names,
    `expected classes by a softmax, found by a ${classProbabilities}`,
    'train with "loss: { class: softmax }"',
  );
  const side = size / head.stride, boxes = head.anchors.length * side ** 2;
  return {
    channels: head.anchors.length * (5 + classes),
    classes,
    side,
    anchors: head.anchors.flatMap(([width, height]) => [width / head.stride, height / head.stride]),
    // Floats: the output, each box's probabilities and their largest, and the box.
    bytes: 4 * boxes * ((5 + classes) + (classes + 1) + 4),
    problems,
  };
}

/** `anchors.txt`: one line, widths and heights in cells. */
export function anchorsText({ anchors }: Pick<RegionHead, "anchors">): string {
  return anchors.map((each) => each.toFixed(4)).join(", ") + "\n";
}

/**
 * Cuts a detector for the region layer: "images" [1, 3, size, size] to its raw head, folded as `prepareForK210` does. Throws
 * InputError with what stands against it.
 */
export async function prepareRegionForK210(
  source: Graph,
  spec: YoloSpec,
  options: { readonly classProbabilities: ClassProbabilities },
): Promise<{ readonly graph: Graph; readonly head: RegionHead }> {
  const head = checkRegionHead(spec, options);
  if (head.problems.length > 0) {
    const lines = head.problems.map(({ layer, what, change }) => `${layer}: ${what} (${change})`);
    throw new InputError(`${source.name}: does not fit the K210's region layer: ${lines.join("; ")}`);
  }
  const graph = await foldedForK210(source);
  return { graph: bodyForK210(graph, graph.value(spec.heads[0]!.output)).body, head };
}
