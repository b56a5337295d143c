/** For tests: a byte-pair tokenizer as CLIP's, small enough to read, in the Hub's files. */
// deno-lint-ignore-file camelcase -- the Hub's names

/** Words that are one token each; other words fall into letters. */
export const tinyWords = [
  "a",
  "the",
  "of",
  "in",
  "on",
  "with",
  "photo",
  "drawing",
  "sprite",
  "pokemon",
  "picture",
  "red",
  "green",
  "blue",
  "yellow",
  "cyan",
  "purple",
  "white",
  "black",
  "grey",
  "bulbasaur",
  "charmander",
  "squirtle",
  "pikachu",
  "fire",
  "water",
  "grass",
  "electric",
] as const; // deno-fmt-ignore

/** What `tinyTokenizer` gives. */
export interface TinyTokenizer {
  /** The content of tokenizer.json. */
  readonly tokenizer: Record<string, unknown>;
  /** The content of tokenizer_config.json. */
  readonly config: Record<string, unknown>;
  readonly vocabulary: ReadonlyMap<string, number>;
}

const START = "<|startoftext|>", END = "<|endoftext|>";

/**
 * A tokenizer of `words`: letters, digits and some signs, each alone and as the end of a word ("a", "a</w>"), and the merges that
 * make each word one token. "clip" puts a start and an end around a text and pads with the end; "siglip" puts an end after it
 * and pads with a token of its own.
 */
export function tinyTokenizer(
  { words = tinyWords, contextLength, style }: {
    readonly words?: readonly string[];
    readonly contextLength: number;
    readonly style: "clip" | "siglip";
  },
): TinyTokenizer {
  const vocabulary = new Map<string, number>();
  const add = (token: string) => void (vocabulary.has(token) || vocabulary.set(token, vocabulary.size));
  const characters = [..."abcdefghijklmnopqrstuvwxyz0123456789.,-'!?"];
  for (const character of characters) add(character);
  for (const character of characters) add(`${character}</w>`);
  const merges: string[] = [];
  for (const word of words) {
    // Later merges come after earlier ones, which therefore still make their words: what is left of this word is joined.
    let joined = "";
    for (const piece of piecesOf(word, merges)) {
      if (joined !== "" && !merges.includes(`${joined} ${piece}`)) merges.push(`${joined} ${piece}`);
      joined += piece;
      add(joined);
    }
  }
  const special = style === "clip" ? [START, END] : [END, "<pad>"];
  for (const token of special) add(token);
  const id = (token: string) => vocabulary.get(token)!;
  const pad = style === "clip" ? END : "<pad>";
  const postProcessor = style === "clip"
    ? {
      type: "RobertaProcessing",
      sep: [END, id(END)],
      cls: [START, id(START)],
      trim_offsets: false,
      add_prefix_space: false,
    }
    : {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: END, type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 0 } }],
      special_tokens: { [END]: { id: END, ids: [id(END)], tokens: [END] } },
    };
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content) => ({
      id: id(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: "Sequence",
      normalizers: [{ type: "NFC" }, { type: "Replace", pattern: { Regex: "\\s+" }, content: " " }, {
        type: "Lowercase",
      }],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        {
          type: "Split",
          pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
          behavior: "Removed",
          invert: true,
        },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: postProcessor,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: END,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      vocab: Object.fromEntries(vocabulary),
      merges,
    },
  };
  const config = {
    tokenizer_class: style === "clip" ? "CLIPTokenizer" : "SiglipTokenizer",
    ...(style === "clip" ? { bos_token: START } : {}),
    eos_token: END,
    unk_token: END,
    pad_token: pad,
    model_max_length: contextLength,
  };
  return { tokenizer, config, vocabulary };
}

/** A word's tokens: the earliest merge that applies is made first, until none does (Sennrich et al. 2016). */
function piecesOf(word: string, merges: readonly string[]): string[] {
  const pieces = [...word].map((letter, i, all) => i === all.length - 1 ? `${letter}</w>` : letter);
  for (;;) {
    const ranks = pieces.slice(1).map((piece, i) => merges.indexOf(`${pieces[i]} ${piece}`));
    const known = ranks.filter((rank) => rank >= 0);
    if (known.length === 0) return pieces;
    const at = ranks.indexOf(Math.min(...known));
    pieces.splice(at, 2, pieces[at]! + pieces[at + 1]!);
  }
}
