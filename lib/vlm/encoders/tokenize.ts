/** Texts as token ids: the model's own tokenizer.json, cut and padded as its Python tokenizer does. */

import type { PreTrainedTokenizer } from "@huggingface/transformers";
import { describeError, InputError, type Tensor, tensor } from "../../runtime/mod.ts";

/** Token ids and which of them are text, both [N, L]. */
export interface Tokens {
  readonly ids: Tensor<"int64">;
  /** 1 for a token of the text, its start and end included; 0 for padding. */
  readonly mask: Tensor<"int64">;
}

/** Turns texts into token ids. */
export interface TextTokenizer {
  /** The largest id that it can give. */
  readonly largestId: number;
  readonly contextLength: number;
  /** `to`: pad to the longest text of these, or to the whole context. Throws InputError for no texts. */
  encode(texts: readonly string[], to: "longest" | "context"): Tokens;
}

/**
 * A tokenizer from the contents of tokenizer.json and tokenizer_config.json. A text that is too long loses its last tokens, not its
 * end token, as in Python. Throws InputError at `place` when the files are no tokenizer or name no padding token.
 */
export async function openTokenizer(
  tokenizer: unknown,
  config: unknown,
  { place, contextLength }: { readonly place: string; readonly contextLength: number },
): Promise<TextTokenizer> {
  const largestId = largestIn(tokenizer, place);
  // The package loads ONNX Runtime and takes a second: only who opens a tokenizer waits for it.
  const { PreTrainedTokenizer } = await import("@huggingface/transformers");
  let own: PreTrainedTokenizer;
  try {
    own = new PreTrainedTokenizer(tokenizer as object, config as object);
  } catch (cause) {
    throw new InputError(`${place}: expected a tokenizer, found: ${describeError(cause)}`, { cause });
  }
  const pad = own.pad_token_id ?? undefined;
  if (pad === undefined) {
    throw new InputError(`${place}: expected a padding token, found none in tokenizer_config.json`);
  }
  const idsOf = (text: string, special: boolean): number[] =>
    own(text, { add_special_tokens: special, return_tensor: false }).input_ids;
  const cut = (text: string): number[] => {
    const whole = idsOf(text, true);
    if (whole.length <= contextLength) return whole;
    const plain = idsOf(text, false);
    // The special tokens stand before and after the text's own, which are the same with and without them.
    const empty = idsOf("", true);
    const before = empty.findIndex((id, i) => whole[i] !== id);
    const start = before < 0 ? empty.length : before;
    const end = empty.slice(start);
    const head = whole.slice(0, whole.length - plain.length - end.length);
    return [...head, ...plain.slice(0, contextLength - head.length - end.length), ...end];
  };
  return {
    largestId,
    contextLength,
    encode(texts, to) {
      if (texts.length === 0) throw new InputError(`${place}: expected texts, found none`);
      const rows = texts.map(cut);
      const length = to === "context" ? contextLength : Math.max(1, ...rows.map((row) => row.length));
      const ids = new BigInt64Array(rows.length * length).fill(BigInt(pad));
      const mask = new BigInt64Array(rows.length * length);
      for (const [n, row] of rows.entries()) {
        const from = n * length + (own.padding_side === "left" ? length - row.length : 0);
        for (const [i, id] of row.entries()) {
          ids[from + i] = BigInt(id);
          mask[from + i] = 1n;
        }
      }
      const shape = [rows.length, length];
      return { ids: tensor("int64", shape, ids), mask: tensor("int64", shape, mask) };
    },
  };
}

/** The largest id of a tokenizer.json: its vocabulary is a table (byte pairs) or a list (unigrams). */
function largestIn(tokenizer: unknown, place: string): number {
  const { model, added_tokens: added = [] } = (tokenizer ?? {}) as {
    model?: { vocab?: Record<string, number> | unknown[] };
    added_tokens?: { id: number }[];
  };
  const vocabulary = model?.vocab;
  if (typeof vocabulary !== "object" || vocabulary === null) {
    throw new InputError(`${place}: expected a tokenizer with model.vocab, found none`);
  }
  let largest = Array.isArray(vocabulary) ? vocabulary.length - 1 : -1;
  if (!Array.isArray(vocabulary)) { for (const id of Object.values(vocabulary)) if (id > largest) largest = id; }
  for (const { id } of added) if (id > largest) largest = id;
  if (!Number.isInteger(largest) || largest < 0) {
    throw new InputError(`${place}: expected a vocabulary of whole numbers, found ${largest} as the largest`);
  }
  return largest;
}
