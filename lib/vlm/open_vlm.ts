/** The encoder that a person means, whoever made it. */

import { join } from "node:path";
import { projectFolder } from "../experiment/mod.ts";
import { exists, InputError } from "../runtime/mod.ts";
import { openPokedexClip, type PokedexClip } from "./clip/open_clip.ts";
import { FILES, findClip } from "./clip/package.ts";
import { precisionSuffix } from "./encoders/known_models.ts";
import { type OpenedEncoder, openEncoder, type OpenEncoderOptions } from "./encoders/open_encoder.ts";

/** The name of the encoder that ships. */
export const SHIPPED_CLIP = "pokedex-clip";
/** That of its student. */
export const SHIPPED_STUDENT = "pokedex-student";

/**
 * Opens an encoder: a name under `models/`, a folder or run of a CLIP of our own, else whatever `openEncoder` finds. Without a name the
 * folder `$POKEDEX_CLIP`, else the one that ships, which needs no network. Throws as `openPokedexClip` and `openEncoder`.
 */
export async function openVlm(
  nameOrPath: string = Deno.env.get("POKEDEX_CLIP") || SHIPPED_CLIP,
  { models = join(projectFolder, "models"), ...options }: OpenEncoderOptions & { readonly models?: string } = {},
): Promise<PokedexClip | OpenedEncoder> {
  const { device, threads, batch } = options;
  for (const place of [nameOrPath, ...(/[\\/]/.test(nameOrPath) ? [] : [join(models, nameOrPath)])]) {
    const own = await exists(place) ? await findClip(place) : undefined;
    if (own !== undefined) return await openPokedexClip(own, { device, threads, ...(batch ? { batch } : {}) });
  }
  return await openEncoder(nameOrPath, options);
}

/** The ONNX file of an encoder's image tower. Throws InputError for a model whose two towers are one file. */
export async function pictureTower(encoder: PokedexClip | OpenedEncoder): Promise<string> {
  const name = "card" in encoder ? FILES.vision : `onnx/vision_model${precisionSuffix(encoder.dtype)}.onnx`;
  const path = join(encoder.folder, name);
  if (await exists(path)) return path;
  throw new InputError(`${encoder.folder}: expected ${name}, an image tower in a file of its own, found none`);
}
