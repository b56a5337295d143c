/** Byte-pair tokenizers: learned from texts, written as on the Hub, run. */

export { BYTE_SIGNS, END_OF_WORD, learnMerges, type LearnOptions, type Merge, wordsOf } from "./byte_pair.ts";
export {
  ClipTokenizer,
  END_OF_TEXT,
  learnTokenizer,
  START_OF_TEXT,
  type TokenizedTexts,
  tokenizerConfig,
  type TokenizerJson,
} from "./clip_tokenizer.ts";
