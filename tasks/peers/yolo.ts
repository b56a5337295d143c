/** A step of the whole YOLOv3 beside PyTorch's: the same weights and pictures, both losses, their parts and the gradients' length. */

import { join } from "node:path";
import { Random, WorkError } from "../../lib/runtime/mod.ts";
import { type Graph, type Tensor, tensor, writeSafetensors } from "../../lib/onnx/mod.ts";
import { yoloV3 } from "../../lib/models/mod.ts";
import { compileStep, sgd, type TruthBox, yoloLoss, type YoloLossOptions, yoloTargets } from "../../lib/train/mod.ts";
import { type BenchRow, benchRow } from "../bench/row.ts";
import { command, peerPython } from "./python.ts";

const PACKAGES = ["torch==2.13.0", "numpy==2.4.6"];

/** What ours may differ by from PyTorch's in double precision, relative. */
const TOLERANCE = 1e-4;

/** Residual blocks of the five stages (Redmon and Farhadi 2018, table 1). */
const BLOCKS = [1, 2, 8, 8, 4];

/** The losses that are compared. */
const LOSSES: Readonly<Record<string, YoloLossOptions>> = {
  "Darknet's loss": {},
  "CIoU, more anchors": {
    boxLoss: "ciou",
    anchorThreshold: 0.4,
    labelSmoothing: 0.1,
    gains: { box: 5, objectness: 0.7 },
  },
};

/** How large the step is. */
export interface YoloComparison {
  /** Default: 1,025. */
  readonly classes?: number;
  /** Side of the pictures; default 416. */
  readonly size?: number;
  /** Multiplies channels; default 1: 67 million weights. */
  readonly width?: number;
  /** Default: 2. */
  readonly pictures?: number;
}

/** What tests/peers/yolo_full.py answers. */
interface PytorchStep {
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly gradientNorm: number;
  readonly weights: number;
}

/**
 * A row a figure. Throws WorkError when loss, a part or the gradients' length differs by more than 1e-4, PeerMissing when there is
 * no PyTorch to be had. With the whole network either side takes up to 3.4 GB.
 */
export async function compareYolo(
  { classes = 1025, size = 416, width = 1, pictures = 2 }: YoloComparison = {},
): Promise<BenchRow[]> {
  const python = Deno.env.get("POKEDEX_PYTHON") ?? await peerPython(PACKAGES);
  const script = new URL("../../tests/peers/yolo_full.py", import.meta.url).pathname;
  const folder = await Deno.makeTempDir({ prefix: "pokedex-peers-" });
  const rows: BenchRow[] = [];
  try {
    const random = Random.seeded("peers yolo");
    const { graph, spec } = yoloV3({ classes, size, width, random: random.fork("weights") });
    const { tensors, epsilon } = convolutionTensors(graph);
    const shape = [pictures, 3, size, size], draw = random.fork("images");
    const images = tensor(
      "float32",
      shape,
      Float32Array.from({ length: pictures * 3 * size ** 2 }, () => draw.uniform()),
    );
    const boxes = Array.from({ length: pictures }, (_, n) => someBoxes(random.fork("boxes", n), n + 1, classes, size));
    await writeSafetensors(join(folder, "step.safetensors"), new Map([["images", images], ...tensors]));
    for (const [name, options] of Object.entries(LOSSES)) {
      const truth = boxes.map((list) => list.map((box) => [box.classId, box.left, box.top, box.right, box.bottom, 1]));
      await Deno.writeTextFile(
        join(folder, "step.json"),
        JSON.stringify({ spec, boxes: truth, options, epsilon, blocks: BLOCKS }),
      );
      const theirs: PytorchStep = JSON.parse(
        await command(python, [script, folder], "expected PyTorch to take the step"),
      );
      await using step = await compileStep({
        model: graph,
        loss: yoloLoss(spec, options),
        optimizer: sgd(),
        symbols: { N: pictures },
      });
      const ours = await step.run({ images, ...yoloTargets(boxes, spec, options) }, { learningRate: 0 });
      const figures: [string, number, number][] = [
        ["loss", ours.loss, theirs.loss],
        ...Object.entries(theirs.parts).map(([part, value]): [string, number, number] => [
          `${part} part`,
          Number(ours.metrics[part]),
          value,
        ]),
        ["length of the gradients", ours.gradientNorm, theirs.gradientNorm],
      ];
      for (const [what, found, expected] of figures) {
        const difference = Math.abs(found - expected) / Math.abs(expected);
        if (!(difference < TOLERANCE)) {
          throw new WorkError(
            `yolo, ${name}: expected a ${what} within ${TOLERANCE} of PyTorch's ${expected}, found ${found}`,
          );
        }
        console.error(
          `yolo, ${name}: ${what} ${found}, PyTorch ${expected}, relative difference ${difference.toExponential(1)}`,
        );
        const title = `YOLOv3 with ${(theirs.weights / 1e6).toFixed(1)} M weights, ${size} px, ${name}: ${what}`;
        rows.push(benchRow("yolo", title, what.startsWith("length") ? "" : "nats", found, { pytorch: expected }));
      }
    }
    return rows;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Weights by the number of the convolution in the graph, whatever their names, and the epsilon of the normalisations. */
function convolutionTensors(graph: Graph): { tensors: [string, Tensor][]; epsilon: number } {
  const readers = graph.consumers(), tensors: [string, Tensor][] = [];
  let epsilon = 0;
  graph.nodes.filter(({ opType }) => opType === "Conv").forEach((node, number) => {
    tensors.push([`${number}/weight`, node.input(1).tensor!]);
    const norm = readers.get(node.output())?.find(({ opType }) => opType === "BatchNormalization");
    if (norm) {
      epsilon = norm.float("epsilon");
      tensors.push([`${number}/scale`, norm.input(1).tensor!], [`${number}/shift`, norm.input(2).tensor!]);
    } else tensors.push([`${number}/bias`, node.input(2).tensor!]);
  });
  return { tensors, epsilon };
}

/** Boxes from a twentieth of the picture to all of it. */
function someBoxes(random: Random, count: number, classes: number, size: number): TruthBox[] {
  return Array.from({ length: count }, () => {
    const width = size * random.uniform(0.05, 0.9), height = size * random.uniform(0.05, 0.9);
    const left = random.uniform(0, size - width), top = random.uniform(0, size - height);
    return { classId: random.int(classes), left, top, right: left + width, bottom: top + height };
  });
}
