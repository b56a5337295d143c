/** Small generative vision-language models that name what a picture shows. */

import { augment, type Picture, plainBackground } from "../../data/mod.ts";
import { type Device, InputError } from "../../runtime/mod.ts";
import { speciesNames } from "../../species/mod.ts";
import { readPicture } from "../picture_file.ts";
import { openIdefics3 } from "./idefics3.ts";
import { findModelFolder, type FindModelOptions, type Precision } from "./model_folder.ts";
import { NameTrie, searchNames } from "./name_trie.ts";

export {
  type NameSearch,
  type NameSearchOptions,
  NameTrie,
  type NextTokens,
  type ScoredName,
  searchNames,
} from "./name_trie.ts";
export type { Precision } from "./model_folder.ts";

/** The generative model that is asked unless another is named: 256 M parameters, Apache-2.0. */
export const SMOL_VLM = "HuggingFaceTB/SmolVLM-256M-Instruct";

/** A name that a picture may show. */
export interface NameGuess {
  readonly name: string;
  /** log p(the name, then the end | picture, question), over all tokens of the model. */
  readonly logProbability: number;
  /** The name's probability as a share of that of all names that were reached. */
  readonly score: number;
}

/** What a model says of a picture. */
export interface NamedPicture {
  /** The likeliest first, exactly. */
  readonly guesses: readonly NameGuess[];
  /** At most this share of the probability of all names belongs to names that were not reached: how far scores may be too high. */
  readonly unreached: number;
}

/** Settings of `GenerativeVlm.name`. */
export interface NameOptions {
  /** Default: 5. */
  readonly top?: number;
  /** The largest `unreached`; 0 reaches all names. Default: 0.01. */
  readonly tolerance?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A model that answers in words, held to a list of names. */
export interface GenerativeVlm extends AsyncDisposable {
  /** As it was asked for. */
  readonly name: string;
  /** The names that it may give. */
  readonly names: readonly string[];
  /**
   * Which of the names a picture, or a file of one, shows; what is transparent is white. Throws InputError that names the file for one
   * that is no picture.
   */
  nameOf(picture: Picture | string, options?: NameOptions): Promise<NamedPicture>;
}

/** Settings of `openGenerativeVlm`. */
export interface GenerativeVlmOptions extends Omit<FindModelOptions, "precision"> {
  /** Default: all species. */
  readonly names?: readonly string[];
  /** Default: "Which Pokémon is this? Answer with its name only." */
  readonly question?: string;
  /** Default: "q8". */
  readonly precision?: Precision;
  /**
   * Show parts of large pictures too. Default: false: sprites have fewer pixels than the model's one square, and each part costs as
   * many tokens as the whole.
   */
  readonly split?: boolean;
  readonly device?: Device;
  readonly threads?: number;
}

/**
 * Opens an Idefics3 model (SmolVLM) from a folder, the Hub's cache or the Hub. Throws InputError, in one line, where a file is missing,
 * cut or of another architecture, and for a name that its tokenizer cannot write.
 */
export async function openGenerativeVlm(
  nameOrPath: string = SMOL_VLM,
  {
    names = speciesNames,
    question = "Which Pokémon is this? Answer with its name only.",
    precision = "q8",
    split = false,
    device,
    threads,
    ...find
  }: GenerativeVlmOptions = {},
): Promise<GenerativeVlm> {
  if (names.length === 0) throw new InputError("names: expected at least one, found none");
  const folder = await findModelFolder(nameOrPath, { ...find, precision });
  const model = await openIdefics3(folder, { precision, split, device, threads });
  const trie = new NameTrie();
  try {
    for (const name of names) trie.add(name, model.encode(` ${name}`)); // an answer begins with a space behind "Assistant:"
  } catch (error) {
    await model[Symbol.asyncDispose]();
    throw error;
  }
  return {
    name: nameOrPath,
    names: trie.names,
    async nameOf(picture, { top = 5, tolerance = 0.01, signal } = {}) {
      const seen = typeof picture === "string" ? await readPicture(picture) : picture;
      const next = await model.ask(onWhite(seen), question);
      const { names: found, mass, rest } = await searchNames(trie, next, { top, tolerance, ends: model.ends, signal });
      return {
        guesses: found.map((each) => ({ ...each, score: Math.exp(each.logProbability) / mass })),
        unreached: rest / (mass + rest),
      };
    },
    [Symbol.asyncDispose]: () => model[Symbol.asyncDispose](),
  };
}

/** A copy without transparent pixels: the package's conversion to RGB would show what lies behind them. */
function onWhite(picture: Picture): Picture {
  const { width, height, data } = picture;
  return augment.layOver({ ...picture, data: data.slice() }, plainBackground([255, 255, 255], width, height));
}
