/** A folder with all that a model needs to get onto a Coral Edge TPU: the int8 file for the compiler, a runner, a self-test, steps. */

import { join } from "node:path";
import { classesText, type Dataset, type OpenedModel } from "../../experiment/mod.ts";
import { fromFile, toModel } from "../../onnx/mod.ts";
import type { ProgressListener } from "../../runtime/mod.ts";
import { calibrate, type CalibrationMethod } from "../quantize/calibrate.ts";
import { guessesOf, samplePictures, shareOfEqual } from "../quantize/pictures.ts";
import { quantizePrepared } from "../quantize/quantize_static.ts";
import { assetFiles } from "../targets/assets.ts";
import { selfTestFiles } from "../targets/known_answers.ts";
import { expectFree, type TargetManifest, writeTarget } from "../targets/manifest.ts";
import { preprocessingOf } from "../targets/preprocessing.ts";
import { assertFitsEdgeTpu, checkEdgeTpu, type EdgeTpuReport } from "./check.ts";
import { toTflite } from "./convert.ts";
import type { TfliteTensor } from "./model.ts";
import { EDGETPU_VALUES, prepareForEdgeTpu } from "./prepare.ts";
import { edgeTpuReadme } from "./readme.ts";
import { writeTflite } from "./write.ts";

/** `edgetpu.json`: what the runner needs to know beside preprocessing.json. */
export interface EdgeTpuSettings {
  readonly format: "pokedex-edgetpu-1";
  readonly model: string;
  /** Of [1, size, size, 3], int8, red, green, blue: x ≈ (q − zeroPoint) · scale, x as preprocessing.json normalises it. */
  readonly input: EdgeTpuPort;
  /** Of the logits [1, classes], int8. softmax(logits / temperature) means what it says, after the mean over views. */
  readonly output: EdgeTpuPort;
  /** Which views of a picture the runner averages over: the picture, or it and its mirror image. */
  readonly views: "none" | "mirror";
  /** How often int8 names what float32 names, for the same one view of a picture. */
  readonly agreement: { readonly n: number; readonly share: number };
}

/** A port of the model. */
export interface EdgeTpuPort {
  readonly name: string;
  readonly shape: readonly number[];
  readonly scale: number;
  readonly zeroPoint: number;
}

/** What `exportEdgeTpu` needs beside the model. */
export interface ExportEdgeTpuOptions {
  /** The folder, which must not be there or be empty. */
  readonly out: string;
  /** Opens the data set: its train split gives the ranges, its validation split the agreement. */
  readonly dataset: () => Promise<Dataset>;
  /** Pictures for the ranges. Default: 128. */
  readonly count?: number;
  /** Pictures for the agreement. Default: 300. */
  readonly judged?: number;
  /** Chooses the pictures. Default: 0. */
  readonly seed?: number;
  /** Default: "percentile". */
  readonly method?: CalibrationMethod;
  readonly onProgress?: ProgressListener | undefined;
}

/** What was written. */
export interface ExportedEdgeTpu {
  readonly folder: string;
  readonly settings: EdgeTpuSettings;
  readonly report: EdgeTpuReport;
  /** Bytes of model.tflite. */
  readonly bytes: number;
  readonly manifest: TargetManifest;
}

/**
 * Writes the folder for a classifier. The same model, data and seed give the same bytes; the folder appears whole or not at all. Throws
 * InputError, in one line, for a network of another kind, a model that the Edge TPU cannot map, by operator and reason, a data set
 * without pictures of its species, and where something stands at `out`.
 */
export async function exportEdgeTpu(opened: OpenedModel, options: ExportEdgeTpuOptions): Promise<ExportedEdgeTpu> {
  const { out, dataset, count = 128, judged = 300, seed = 0, method = "percentile", onProgress } = options;
  const { card, classes, folder } = opened, path = join(folder, card.file.name);
  await expectFree(out);
  const prepared = await prepareForEdgeTpu(await fromFile(path)), { images, logits } = EDGETPU_VALUES;
  const data = await dataset(), view = { card, dex: classes.map(({ dex }) => dex) };
  const train = await samplePictures({ dataset: data, split: "train" }, view, { count, seed, batch: 1 });
  const calibration = await calibrate(prepared.graph, train.map((batch) => ({ [images]: batch.images })), {
    ...{ method, onProgress },
  });
  const quantized = quantizePrepared(prepared.graph, calibration);
  const tflite = toTflite(quantized), report = checkEdgeTpu(tflite);
  assertFitsEdgeTpu(card.name, report);
  const onnx = toModel(quantized), bytes = writeTflite({ ...tflite, description: `${card.name}, int8` });
  const validation = await samplePictures({ dataset: data, split: "validation" }, view, {
    count: judged,
    seed,
    batch: 1,
  });
  const before = await guessesOf(toModel(prepared.graph), validation, { name: images, output: logits });
  const after = await guessesOf(onnx, validation, { name: images, output: logits });
  const settings: EdgeTpuSettings = {
    format: "pokedex-edgetpu-1",
    model: card.name,
    input: portOf(tflite.tensors[tflite.inputs[0]!]!),
    output: portOf(tflite.tensors[tflite.outputs[0]!]!),
    views: card.decode.views === "mirror" ? "mirror" : "none",
    agreement: { n: before.length, share: shareOfEqual(after, before) },
  };
  const preprocessing = preprocessingOf(card);
  const facts = {
    settings,
    report,
    card,
    preprocessing,
    pictures: calibration.pictures,
    views: prepared.views,
    bytes: bytes.length,
  };
  const files = [
    { path: "model.tflite", content: bytes },
    { path: "model.int8.onnx", content: onnx },
    { path: "classes.txt", content: classesText(classes) },
    { path: "preprocessing.json", content: json(preprocessing) },
    { path: "edgetpu.json", content: json(settings) },
    ...await assetFiles("edgetpu/runner.py", "tensorrt/preprocess.py"),
    ...await selfTestFiles(opened, await Deno.readFile(path)),
    { path: "README.md", content: edgeTpuReadme(facts) },
  ];
  const manifest = await writeTarget(out, {
    ...{ target: "edgetpu", model: card.name, version: 1, created: card.trainedOn.date, rollout: 1, files },
    ...{ source: { sha256: card.file.sha256 }, runner: { minimum: 0 } },
  });
  return { folder: out, settings, report, bytes: bytes.length, manifest };
}

function portOf({ name, shape, quantization }: TfliteTensor): EdgeTpuPort {
  return { name, shape, scale: quantization!.scales[0]!, zeroPoint: quantization!.zeroPoints[0]! };
}

const json = (value: unknown) => JSON.stringify(value, null, 2) + "\n";
