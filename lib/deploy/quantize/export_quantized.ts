/** A model's package with its file quantized: calibrated on the pictures that it learned from, judged on validation. */

import { join } from "node:path";
import { copyPackage, type ModelPackage, openDataset, readPackage } from "../../experiment/mod.ts";
import { assertValid, fromFile, toModel } from "../../onnx/mod.ts";
import type { ProgressListener } from "../../runtime/mod.ts";
import { calibrate, type CalibrateOptions } from "./calibrate.ts";
import { int8Share } from "./int8_share.ts";
import { guessesOf, samplePictures, shareOfEqual } from "./pictures.ts";
import { type QuantizeOptions, quantizeStatic } from "./quantize_static.ts";

/** Settings of `exportQuantized`. */
export interface ExportQuantizedOptions {
  /** The folder of a built data set. */
  readonly dataFolder: string;
  /** Of the train split, for the ranges. Default: 128. */
  readonly pictures?: number;
  /** Of the validation split, to compare with the float32 model. Default: 300. */
  readonly judged?: number;
  /** Chooses the pictures. Default: 0. */
  readonly seed?: number;
  readonly calibration?: Pick<CalibrateOptions, "method" | "percentile">;
  readonly quantize?: QuantizeOptions;
  readonly provenance?: ModelPackage["card"]["provenance"];
  readonly warn?: (message: string) => void;
  readonly onProgress?: ProgressListener | undefined;
}

/**
 * Writes a package whose model runs in int8. The card says how it was quantized, how much of it runs in int8 and how often it names
 * what the float32 model names; its figures of accuracy are left out until they are measured anew. The whole file is quantized, its
 * views of each picture included: the mirror image is made of the rounded picture, and every layer sees both views in calibration as
 * in use.
 */
export async function exportQuantized(
  from: string,
  to: string,
  options: ExportQuantizedOptions,
): Promise<ModelPackage> {
  const { dataFolder, pictures = 128, judged = 300, seed = 0, calibration, quantize = {}, onProgress } = options;
  const { card, folder } = await readPackage(from), { name } = card.input;
  const graph = await fromFile(join(folder, card.file.name));
  const dataset = await openDataset({ dataFolder, ...(options.warn ? { warn: options.warn } : {}) });
  const view = { card, dex: card.classes.dex };
  const train = await samplePictures({ dataset, split: "train" }, view, { count: pictures, seed });
  const found = await calibrate(graph, train.map(({ images }) => ({ [name]: images })), { ...calibration, onProgress });
  const quantized = await quantizeStatic(graph, found, quantize);
  assertValid(quantized);
  const model = toModel(quantized),
    validation = await samplePictures({ dataset, split: "validation" }, view, {
      ...{ count: judged, seed, batch: 16 },
    });
  const before = await guessesOf(toModel(graph), validation, { name });
  const after = await guessesOf(model, validation, { name });
  const { activation = "uint8", perChannel = true, biasCorrection = false, keepFloat = [] } = quantize;
  return await copyPackage(from, to, {
    quantized: {
      model,
      quantization: {
        ...{ method: found.method, pictures: found.pictures, activation, perChannel, biasCorrection },
        keepFloat: [...keepFloat],
        int8Share: (await int8Share(model)).share,
        agreement: { n: before.length, share: shareOfEqual(after, before) },
      },
    },
    ...(options.provenance ? { provenance: options.provenance } : {}),
  });
}
