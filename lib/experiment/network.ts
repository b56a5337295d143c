/** The network of a training: built from its settings, its first weights from where they are asked for. */

import {
  c2fNet,
  type ClassifierNetwork,
  type ClassifierOptions,
  efficientNet,
  fetchWeights,
  loadDarknetWeights,
  mobileNet,
  PUBLISHED_WEIGHTS,
  residualNet,
  scaleAnchors,
  YOLO_V3_ANCHORS,
  YOLO_V3_TINY_ANCHORS,
  type YoloNetwork,
  yoloV3,
  yoloV3Tiny,
} from "../models/mod.ts";
import { exists, InputError, Random, reason } from "../runtime/mod.ts";
import { matchesName, readCheckpoint } from "../train/mod.ts";
import type { Graph } from "../onnx/mod.ts";
import { type ClassifierFamily, isClassifier, type TrainingConfig } from "./config.ts";

/** The size that the published anchors were made for, pixels. */
const PUBLISHED_SIZE = 416;

/** The detector of the settings with fresh weights. Throws ModelError for what it cannot be. */
export function buildDetector(
  { family, width, depth, size, anchors, dropout, dropPath }: TrainingConfig["model"],
  { classes, seed }: { readonly classes: number; readonly seed: number },
): YoloNetwork {
  const tiny = family === "yolov3-tiny";
  const published = scaleAnchors(tiny ? YOLO_V3_TINY_ANCHORS : YOLO_V3_ANCHORS, size / PUBLISHED_SIZE);
  const options = { classes, size, width, depth, dropout, dropPath, anchors: anchors ?? published };
  return (tiny ? yoloV3Tiny : yoloV3)({ ...options, random: Random.seeded("weights", seed) });
}

/** The classifiers by their family's name. */
const CLASSIFIER_NETWORKS: Readonly<Record<ClassifierFamily, (options: ClassifierOptions) => ClassifierNetwork>> = {
  residual: residualNet,
  mobilenet: mobileNet,
  efficientnet: efficientNet,
  c2f: c2fNet,
};

/** The classifier of the settings with fresh weights. Throws ModelError for what it cannot be. */
export function buildClassifierOf(
  { family, width, depth, size, dropout, dropPath }: TrainingConfig["model"],
  { classes, seed }: { readonly classes: number; readonly seed: number },
): ClassifierNetwork {
  const build = CLASSIFIER_NETWORKS[family as ClassifierFamily];
  return build({ classes, size, width, depth, dropout, dropPath, random: Random.seeded("weights", seed) });
}

/** Convolutions before the first head: what a published file can give to a network with other classes. */
const BODY = { "yolov3": 58, "yolov3-tiny": 9 } as const;
/** Convolutions of the backbone, which files of classifiers hold. */
const BACKBONE = 52;

/** What was loaded into a fresh network. */
export interface Pretrained {
  /** The file's name, or "none". */
  readonly from: string;
  /** Tensors or layers that came from it. */
  readonly loaded: number;
}

/**
 * Loads first weights as `model.pretrained` says: a file of one's own (`.weights` of Darknet, or a checkpoint of another run, of
 * which all tensors with the same name and shape are taken but those that `model.fresh` names), or published weights by name
 * (from the cache or the official download; where neither has them it says so and training starts from scratch). Throws
 * InputError for a file that is not there, does not fit, published weights for a network that is not of full size, and for
 * `model.fresh` without a checkpoint or that names no weights.
 */
export async function loadPretrained(
  { graph }: { readonly graph: Graph },
  { family, width, depth, pretrained, fresh }: TrainingConfig["model"],
  { say = () => {}, signal, cache }: {
    readonly say?: (line: string) => void;
    readonly signal?: AbortSignal | undefined;
    readonly cache?: string;
  } = {},
): Promise<Pretrained> {
  if (pretrained.endsWith(".safetensors")) return await loadCheckpoint(graph, pretrained, fresh);
  if (fresh.length > 0) {
    throw new InputError(
      `model.fresh: expected a checkpoint (.safetensors) in model.pretrained, found "${pretrained}"`,
    );
  }
  if (pretrained === "none") return { from: "none", loaded: 0 };
  if (isClassifier(family)) {
    throw new InputError(
      `model.pretrained: expected none or a checkpoint (.safetensors) for the family ${family}, found "${pretrained}"`,
    );
  }
  const name = pretrained === "darknet53" ? "darknet53.conv.74" : pretrained;
  const isPublished = Object.hasOwn(PUBLISHED_WEIGHTS, name) && !(await exists(name));
  if (!isPublished && !(await exists(name))) {
    throw new InputError(
      `model.pretrained: expected a file or one of ${Object.keys(PUBLISHED_WEIGHTS).join(", ")}, found "${pretrained}"`,
    );
  }
  if (width !== 1 || depth !== 1) {
    throw new InputError(
      `model.pretrained: expected width and depth 1 for Darknet's weights, found ${width} and ${depth}`,
    );
  }
  const path = isPublished
    ? await fetchWeights({ name, say, signal, ...(cache === undefined ? {} : { cache }) })
    : name;
  if (path === undefined) return { from: "none", loaded: 0 };
  const bytes = await Deno.readFile(path).catch((error) => {
    throw new InputError(`${path}: expected a weights file, found ${reason(error)}`, { cause: error });
  });
  const layers = /darknet53/.test(name) ? BACKBONE : BODY[family];
  const { loaded } = loadDarknetWeights(graph, bytes, { name: path, layers });
  return { from: name, loaded };
}

async function loadCheckpoint(graph: Graph, path: string, fresh: readonly string[]): Promise<Pretrained> {
  const names = graph.initialisers.map(({ name }) => name);
  const unknown = fresh.find((pattern) => !names.some((name) => matchesName(name, pattern)));
  if (unknown !== undefined) {
    throw new InputError(
      `model.fresh: expected names of weights (such as ${names.slice(0, 3).join(", ")}), found "${unknown}"`,
    );
  }
  const { state: { tensors } } = await readCheckpoint(path);
  let loaded = 0;
  for (const value of graph.initialisers) {
    if (matchesName(value.name, fresh)) continue;
    const found = tensors[`average/${value.name}`] ?? tensors[value.name];
    if (!found || found.dtype !== value.dtype || String(found.shape) !== String(value.shape)) continue;
    graph.setTensor(value, found);
    loaded++;
  }
  if (loaded === 0) throw new InputError(`${path}: expected weights of such a network, found none that fits`);
  return { from: path, loaded };
}
