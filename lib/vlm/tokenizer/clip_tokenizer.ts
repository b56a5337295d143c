/** Texts to tokens as CLIP's tokenizer does it, from a `tokenizer.json` as on the Hub, run by @huggingface/tokenizers. */

import { Tokenizer } from "@huggingface/tokenizers";
import { InputError, type Tensor, tensor } from "../../runtime/mod.ts";
import { BYTE_SIGNS, END_OF_WORD, learnMerges, WORDS } from "./byte_pair.ts";

/** Before a text's tokens, and after them; the second also fills up. */
export const START_OF_TEXT = "<|startoftext|>";
export const END_OF_TEXT = "<|endoftext|>";

/** The content of a `tokenizer.json`. */
export type TokenizerJson = { readonly [key: string]: unknown };

/** Texts as a text tower takes them. */
export interface TokenizedTexts {
  /** [N, L]; filled up with the end of the text. */
  readonly ids: Tensor<"int64">;
  /** [N, L]: 1 for tokens, 0 for what fills up. */
  readonly mask: Tensor<"int64">;
}

/**
 * Learns a tokenizer from texts: all bytes, all bytes at a word's end, merges, start and end of text, at most `vocabulary` tokens.
 * Any text can be encoded. Throws InputError for fewer than the 514 tokens that are always there.
 */
export function learnTokenizer(
  texts: Iterable<string>,
  { vocabulary }: { readonly vocabulary: number },
): TokenizerJson {
  const fixed = 2 * BYTE_SIGNS.length + 2;
  if (!(vocabulary >= fixed)) {
    throw new InputError(`tokenizer: vocabulary: expected at least ${fixed} tokens, found ${vocabulary}`);
  }
  const merges = learnMerges(texts, { merges: vocabulary - fixed });
  const tokens = [
    ...BYTE_SIGNS,
    ...BYTE_SIGNS.map((sign) => sign + END_OF_WORD),
    ...new Set(merges.map(([left, right]) => left + right)),
    START_OF_TEXT,
    END_OF_TEXT,
  ];
  const id = new Map(tokens.map((token, i) => [token, i]));
  const special = (content: string) => ({
    ...{ id: id.get(content)!, content, single_word: false, lstrip: false, rstrip: false },
    ...{ normalized: false, special: true },
  });
  const space = { "add_prefix_space": false, "trim_offsets": true, "use_regex": false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [special(START_OF_TEXT), special(END_OF_TEXT)],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: WORDS }, behavior: "Removed", invert: true },
        { type: "ByteLevel", ...space },
      ],
    },
    post_processor: {
      type: "RobertaProcessing",
      sep: [END_OF_TEXT, id.get(END_OF_TEXT)!],
      cls: [START_OF_TEXT, id.get(START_OF_TEXT)!],
      ...{ trim_offsets: false, add_prefix_space: false },
    },
    decoder: { type: "ByteLevel", ...space },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: END_OF_TEXT,
      continuing_subword_prefix: "",
      end_of_word_suffix: END_OF_WORD,
      fuse_unk: false,
      vocab: Object.fromEntries(id),
      merges: merges.map((pair) => pair.join(" ")),
    },
  };
}

/** The content of `tokenizer_config.json` beside it. */
export function tokenizerConfig(context: number): TokenizerJson {
  return {
    tokenizer_class: "CLIPTokenizer",
    model_max_length: context,
    bos_token: START_OF_TEXT,
    eos_token: END_OF_TEXT,
    pad_token: END_OF_TEXT,
    unk_token: END_OF_TEXT,
    do_lower_case: true,
    clean_up_tokenization_spaces: true,
  };
}

/** A tokenizer that is open. */
export class ClipTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #start: number;
  readonly #end: number;
  readonly #known = new Map<string, readonly number[]>();
  readonly json: TokenizerJson;
  /** The most tokens of a text, start and end among them. */
  readonly context: number;
  /** Number of different tokens. */
  readonly vocabulary: number;

  /** Throws InputError for a content without a byte-pair model and its end of text. */
  constructor(json: TokenizerJson, { context }: { readonly context: number }) {
    const vocab = (json.model as { vocab?: Record<string, number> } | undefined)?.vocab;
    const start = vocab?.[START_OF_TEXT], end = vocab?.[END_OF_TEXT];
    if (!vocab || start === undefined || end === undefined) {
      throw new InputError(`tokenizer.json: expected a model with ${START_OF_TEXT} and ${END_OF_TEXT}, found none`);
    }
    this.#tokenizer = new Tokenizer(json, tokenizerConfig(context));
    this.#start = start;
    this.#end = end;
    this.json = json;
    this.context = context;
    this.vocabulary = Object.keys(vocab).length;
  }

  /** The tokens of a text, start and end among them; one that is too long loses what lies before its end. */
  tokens(text: string): readonly number[] {
    // No token goes over a space, so that words can be looked up one by one: texts are new, their words are not.
    const words = text.split(/\s+/).filter((word) => word !== "");
    const inner = words.flatMap((word) => this.#tokensOf(word)).slice(0, this.context - 2);
    return [this.#start, ...inner, this.#end];
  }

  #tokensOf(word: string): readonly number[] {
    const known = this.#known.get(word);
    if (known) return known;
    const { ids } = this.#tokenizer.encode(word, { add_special_tokens: false });
    if (this.#known.size < MOST_KNOWN) this.#known.set(word, ids);
    return ids;
  }

  /** Texts of `length` tokens each (default: the context). A longer one is cut, as in `tokens`. */
  encode(texts: readonly string[], { length = this.context }: { readonly length?: number } = {}): TokenizedTexts {
    const ids = new BigInt64Array(texts.length * length).fill(BigInt(this.#end));
    const mask = new BigInt64Array(ids.length);
    for (const [row, text] of texts.entries()) {
      const tokens = this.tokens(text), count = Math.min(tokens.length, length);
      for (let i = 0; i < count; i++) {
        ids[row * length + i] = BigInt(i === length - 1 ? this.#end : tokens[i]!);
        mask[row * length + i] = 1n;
      }
    }
    const shape = [texts.length, length];
    return { ids: tensor("int64", shape, ids), mask: tensor("int64", shape, mask) };
  }
}

/** Words whose tokens are remembered. */
const MOST_KNOWN = 50_000;
