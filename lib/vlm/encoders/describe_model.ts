/** What the files beside the weights say of a model: config.json, the picture processor's, the tokenizer's. */

import { join } from "node:path";
import { z } from "zod";
import { InputError, readJson, sha256, sha256File } from "../../runtime/mod.ts";
import type { FoundModel } from "./find_model.ts";
import { knownModels } from "./known_models.ts";
import { type PictureSettings, readPreprocessing, type ViewOptions } from "./preprocess.ts";
import { openTokenizer, type TextTokenizer } from "./tokenize.ts";

const configSchema = z.looseObject({
  model_type: z.string(),
  text_config: z.looseObject({
    max_position_embeddings: z.number().int().positive().optional(),
    vocab_size: z.number().int().positive().optional(),
  }).optional(),
  vision_config: z.looseObject({ image_size: z.number().int().positive().optional() }).optional(),
  /** Of models that were written by this project: 1 / temperature. */
  logit_scale: z.number().positive().optional(),
});

/** What the Python classes take where config.json is silent. */
const familyDefaults = {
  clip: { contextLength: 77, vocabulary: 49408 },
  siglip: { contextLength: 64, vocabulary: 32000 },
  siglip2: { contextLength: 64, vocabulary: 256000 },
} as const;

/** What the describing files of a model say. */
export interface ModelDescription {
  readonly family: "clip" | "siglip";
  readonly picture: PictureSettings;
  readonly tokenizer: TextTokenizer;
  readonly tokenizerSha256: string;
  readonly vocabulary: number;
  readonly logitScale: number | undefined;
}

/** Reads a model's describing files. Throws InputError that names the file and the place. */
export async function describeModel({ folder, name }: FoundModel, view: ViewOptions): Promise<ModelDescription> {
  const path = (file: string) => join(folder, file);
  const parsed = configSchema.safeParse(await readJson(path("config.json")));
  if (!parsed.success) {
    throw new InputError(
      `${path("config.json")}: expected a model's configuration, found: ${parsed.error.issues[0]!.message}`,
    );
  }
  const config = parsed.data, kind = config.model_type;
  const family = kind.includes("siglip") ? "siglip" : kind.includes("clip") ? "clip" : undefined;
  if (family === undefined) {
    throw new InputError(`${path("config.json")}: model_type: expected CLIP's or SigLIP's family, found "${kind}"`);
  }
  const usual = familyDefaults[/siglip-?2/i.test(`${kind} ${name}`) ? "siglip2" : family];
  const [tokenizer, tokenizerConfig] = [path("tokenizer.json"), path("tokenizer_config.json")];
  return {
    family,
    picture: readPreprocessing(await readJson(path("preprocessor_config.json")), path("preprocessor_config.json"), {
      ...view,
      family,
      imageSize: config.vision_config?.image_size,
    }),
    tokenizer: await openTokenizer(await readJson(tokenizer), await readJson(tokenizerConfig), {
      place: tokenizer,
      contextLength: config.text_config?.max_position_embeddings ?? usual.contextLength,
    }),
    tokenizerSha256: sha256(await sha256File(tokenizer) + await sha256File(tokenizerConfig)),
    vocabulary: config.text_config?.vocab_size ?? usual.vocabulary,
    logitScale: config.logit_scale ?? knownModels[name]?.logitScale,
  };
}
