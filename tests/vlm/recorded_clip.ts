/** The CLIPs of tests/peers/record_clip.py, which exports them and records autograd's gradients; our gradients of the same files. */

import { gradients } from "../../lib/autodiff/mod.ts";
import { Graph, readSafetensors, tensor, toModel, toNumbers } from "../../lib/onnx/mod.ts";
import { openSession, type Tensor } from "../../lib/runtime/mod.ts";
import { findWeights, infoNce } from "../../lib/train/mod.ts";
import { classLoss, joinTower, openTower, type PromptTokens, textFeeds } from "../../lib/vlm/mod.ts";
import { hashed } from "../train/recorded.ts";

/** What was recorded of one CLIP. */
export interface RecordedClip {
  /** Which loss the gradients are of. */
  readonly objective: "classes" | "pairs";
  readonly losses: Readonly<Record<"classes" | "pairs", number>>;
  /** Embeddings before they are given length 1, row by row. */
  readonly text: readonly number[];
  readonly image: readonly number[];
  /** How many parameters PyTorch's modules have. */
  readonly parameters: Readonly<Record<"text" | "image", number>>;
  /** Parameters that no initialiser of the file holds. */
  readonly missing: Readonly<Record<"text" | "image", readonly string[]>>;
}

/** A folder of recordings. */
export interface ClipRecording {
  readonly scale: number;
  readonly side: number;
  readonly pictures: number;
  readonly ids: readonly (readonly number[])[];
  readonly mask: readonly (readonly number[])[];
  readonly networks: Readonly<Record<string, RecordedClip>>;
}

/** Folder of the recordings that `deno task test` looks at. */
export const RECORDED_CLIPS = new URL("../fixtures/clip_export/", import.meta.url).pathname;

export async function readClipRecording(folder = RECORDED_CLIPS): Promise<ClipRecording> {
  return JSON.parse(await Deno.readTextFile(`${folder}/clip_export.json`));
}

/** The recorded prompts. */
export function recordedPrompts({ ids, mask }: ClipRecording): PromptTokens {
  const matrix = (rows: readonly (readonly number[])[]) => tensor("int64", [rows.length, rows[0]!.length], rows.flat());
  return { inputIds: matrix(ids), attentionMask: matrix(mask) };
}

/** The recorded pictures, [N, 3, side, side]. */
export function recordedPixels({ side, pictures }: ClipRecording): Tensor<"float32"> {
  return tensor("float32", [pictures, 3, side, side], hashed(pictures * 3 * side * side, 3));
}

/** What our graph makes of a recorded file, beside what autograd made of it. */
export interface GradientComparison {
  readonly loss: number;
  readonly expectedLoss: number;
  /** Largest difference of an embedding's element. */
  readonly embeddings: number;
  /** For each weight ‖ours − autograd's‖ / ‖autograd's‖, by the initialiser's name. */
  readonly gradients: Readonly<Record<string, number>>;
  /** Weights with a recorded gradient that `findWeights` does not take for weights. */
  readonly overlooked: readonly string[];
}

/**
 * Runs the gradient graph of both towers' files and compares it with the recording. With `open` the graph does not know how
 * many pictures (and for pairs texts) it will be fed.
 */
export async function compareClip(
  name: string,
  recording: ClipRecording,
  { folder = RECORDED_CLIPS, open = false }: { readonly folder?: string; readonly open?: boolean } = {},
): Promise<GradientComparison> {
  const network = recording.networks[name]!;
  const text = await openTower("text", `${folder}/${name}.text.onnx`);
  const image = await openTower("image", `${folder}/${name}.image.onnx`);
  const { tensors: recorded } = await readSafetensors(`${folder}/${name}.safetensors`);
  const prompts = recordedPrompts(recording), pixels = recordedPixels(recording);
  const classes = recording.ids.length, pairs = network.objective === "pairs";
  const rows = pairs ? classes : recording.pictures;
  const graph = new Graph(name);
  const texts =
    joinTower(graph, text, { rows: open && pairs ? "N" : classes, sizes: prompts.inputIds.shape.slice(1) }).embeds;
  const images = joinTower(graph, image, { rows: open ? "N" : rows, sizes: pixels.shape.slice(1) }).embeds;
  const labels = graph.input("labels", "int64", [open ? "N" : rows]);
  const loss = pairs
    ? infoNce(images, texts, { scale: recording.scale })
    : classLoss(images, texts, labels, recording.scale).loss;
  const names = [...recorded.keys()];
  const found = gradients(loss, names.map((each) => graph.value(each)));
  found.forEach((value, i) => graph.output(value, `gradient/${names[i]}`));
  for (const [value, key] of [[loss, "loss"], [texts, "texts"], [images, "images"]] as const) graph.output(value, key);
  await using session = await openSession(toModel(graph), { threads: 1, name });
  const pixelCount = rows * pixels.data.length / recording.pictures;
  const feeds: Record<string, Tensor> = {
    ...textFeeds(text, prompts),
    [image.input.name]: tensor("float32", [rows, ...pixels.shape.slice(1)], pixels.data.subarray(0, pixelCount)),
    ...(pairs ? {} : { labels: tensor("int64", [rows], Array.from({ length: rows }, (_, i) => i % classes)) }),
  };
  if (pairs) feeds.labels = tensor("int64", [rows], Array.from({ length: rows }, (_, i) => i));
  const results = await session.run(feeds);
  const far = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));
  const length = (values: readonly number[]) => Math.hypot(...values);
  const weights = new Set([
    ...findWeights(text.graph).map((value) => `text/${value.name}`),
    ...findWeights(image.graph).map((value) => `image/${value.name}`),
  ]);
  // The gradient of the keys' bias is 0 in exact arithmetic: a softmax does not see it. So is measured against all of the gradient.
  const whole = length(names.map((each) => length(toNumbers(recorded.get(each)!))));
  return {
    loss: Number(results.loss!.data[0]),
    expectedLoss: network.losses[network.objective],
    embeddings: Math.max(
      far(toNumbers(results.texts!), network.text),
      far(toNumbers(results.images!), network.image),
    ),
    gradients: Object.fromEntries(names.map((each) => {
      const ours = toNumbers(results[`gradient/${each}`]!), theirs = toNumbers(recorded.get(each)!);
      const scale = Math.max(length(theirs), 1e-3 * whole);
      return [each, length(ours.map((x, i) => x - theirs[i]!)) / scale];
    })),
    overlooked: names.filter((each) => !weights.has(each)),
  };
}
