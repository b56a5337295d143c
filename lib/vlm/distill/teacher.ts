/** Who a student learns from: an image and text encoder, or a trained classifier's features. */

import { join } from "node:path";
import { datasetPaths, type ManifestRow, type Picture } from "../../data/mod.ts";
import { findModel, type OpenModelOptions, readPackage } from "../../experiment/mod.ts";
import { CLASSIFIER_VALUES } from "../../models/mod.ts";
import { cutGraph, foldConstants, fromFile, toModel } from "../../onnx/mod.ts";
import { exists, InputError, openSession, type Tensor, tensor } from "../../runtime/mod.ts";
import type { Species } from "../../species/mod.ts";
import type { Encoder } from "../encoder.ts";
import { normalizeRows } from "../cosines.ts";
import { openVlm } from "../open_vlm.ts";
import { readPicture } from "../picture_file.ts";
import { textPrototypes } from "../zero_shot/prototypes.ts";
import { cardImages } from "./card_input.ts";

/** Embeds pictures, and says where each species lies among them. */
export interface Teacher extends AsyncDisposable {
  /** For people. */
  readonly name: string;
  /** SHA-256 of all that decides an embedding. */
  readonly identity: string;
  readonly dimension: number;
  /** What cosines with prototypes are multiplied by before the softmax. */
  readonly logitScale: number;
  /** Rows of length 1, [N, dimension]. */
  embedImages(pictures: readonly Picture[]): Promise<Tensor<"float32">>;
  /** A row of length 1 for each species, [C, dimension]. Throws InputError for a species that it does not know. */
  prototypes(species: readonly Species[]): Promise<Tensor<"float32">>;
}

/** Texts of a species, `{}` its name: the mean of their embeddings is its prototype (Radford et al. 2021, section 3.1.4). */
const TEMPLATES: readonly string[] = ["a picture of {}, a Pokémon", "a drawing of the Pokémon {}", "{}"];

/** An encoder as a teacher; disposing of it disposes of the encoder. */
export function encoderTeacher(
  encoder: Encoder,
  { templates = TEMPLATES }: { readonly templates?: readonly string[] } = {},
): Teacher {
  const { name, identity, dimension, logitScale } = encoder;
  return {
    ...{ name, identity, dimension, logitScale },
    embedImages: (pictures) => encoder.embedImages(pictures),
    prototypes: (species) =>
      textPrototypes(encoder, species.map((each) => templates.map((text) => text.replaceAll("{}", each.name)))),
    [Symbol.asyncDispose]: () => encoder[Symbol.asyncDispose](),
  };
}

/**
 * Of a classifier, which learned no scale of cosines. A softmax over C classes can give its own class the probability P from a scale
 * of (C − 1)/C · ln((C − 1)·P / (1 − P)) on (Wang et al. 2018, "CosFace", eq. 6): 11.5 for 1,025 species and 99 %.
 */
const CLASSIFIER_SCALE = 16;

/**
 * A trained classifier as a teacher, by its name or folder: embeddings are its pooled features (of several views the mean),
 * prototypes the rows of its last layer. Throws InputError for a detector and for a model without such a layer.
 */
export async function openClassifierTeacher(nameOrPath: string, options: OpenModelOptions = {}): Promise<Teacher> {
  const place = await findModel(nameOrPath, options);
  const { folder, card, classes } = await readPackage(place), path = join(folder, card.file.name);
  const graph = await fromFile(path);
  const last = graph.nodes.find(({ opType, outputs }) =>
    opType === "Gemm" && outputs[0]?.name === CLASSIFIER_VALUES.logits
  );
  const features = last?.inputs[0], weight = last?.inputs[1];
  if (features?.name !== CLASSIFIER_VALUES.features || !weight) {
    throw new InputError(`${path}: expected a classifier whose last layer reads "features", found none`);
  }
  const dimension = features.shape[1] as number;
  const whole = cutGraph(graph, { outputs: [weight.name] });
  await foldConstants(whole, { parameters: true });
  const rows = whole.outputs[0]!.tensor!.data as Float32Array;
  const session = await openSession(toModel(cutGraph(graph, { outputs: [features.name] })), {
    ...{ device: options.device, threads: options.threads, name: path },
  });
  return {
    ...{ name: card.name, identity: card.file.sha256, dimension, logitScale: CLASSIFIER_SCALE },
    async embedImages(pictures) {
      if (pictures.length === 0) return tensor("float32", [0, dimension], []);
      const found = await session.run({ [card.input.name]: await cardImages(pictures, card.input) });
      const { data } = found[features.name] as Tensor<"float32">, sums = new Float32Array(pictures.length * dimension);
      data.forEach((x, i) => sums[i % sums.length]! += x); // views lie one after another
      return normalizeRows(tensor("float32", [pictures.length, dimension], sums));
    },
    prototypes(species) {
      const chosen = new Float32Array(species.length * dimension);
      for (const [i, { dex, name }] of species.entries()) {
        const label = classes.findIndex((known) => known.dex === dex);
        if (label < 0) {
          throw new InputError(`${path}: expected the species ${name} among its ${classes.length}, found none of them`);
        }
        chosen.set(rows.subarray(label * dimension, (label + 1) * dimension), i * dimension);
      }
      return Promise.resolve(normalizeRows(tensor("float32", [species.length, dimension], chosen)));
    },
    [Symbol.asyncDispose]: () => session.dispose(),
  };
}

/**
 * A teacher by its name: a classifier's package or run, else an encoder as `openVlm` finds it. Throws InputError where it is neither.
 */
export async function openTeacher(nameOrPath: string, options: OpenModelOptions = {}): Promise<Teacher> {
  const place = await findModel(nameOrPath, options).catch((error) => {
    if (error instanceof InputError) return undefined;
    throw error;
  });
  const isClassifier = place !== undefined && (place.endsWith(".onnx") || await exists(join(place, "model.json")));
  if (isClassifier) return await openClassifierTeacher(nameOrPath, options);
  const { device, threads, models } = options;
  return encoderTeacher(await openVlm(place ?? nameOrPath, { device, threads, ...(models ? { models } : {}) }));
}

/** The stored picture of a row of a data set, as its build left it. Throws InputError that names the file. */
export function storedPicture(dataFolder: string, row: Pick<ManifestRow, "image">): Promise<Picture> {
  return readPicture(join(datasetPaths(dataFolder).processed, row.image));
}
