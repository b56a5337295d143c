import assert from "node:assert/strict";
import { Tokenizer } from "@huggingface/tokenizers";
import { ClipTokenizer, learnMerges, learnTokenizer, tokenizerConfig, wordsOf } from "./mod.ts";

Deno.test("merges by hand: of low ×5, lower ×2, newest ×6, widest ×3 (Sennrich et al. 2016, algorithm 1)", () => {
  const text = ["low ".repeat(5), "lower ".repeat(2), "newest ".repeat(6), "widest ".repeat(3)].join("");
  // es occurs 9 times (as s t</w> does), then es+t</w>, then l+o 7 times; "e s" comes before "s t</w>" by code units.
  assert.deepEqual(learnMerges([text], { merges: 3 }), [["e", "s"], ["es", "t</w>"], ["l", "o"]]);
  assert.deepEqual(learnMerges(["ab"], { merges: 5 }), []); // no pair twice
});

Deno.test("words are lower case, digits single, other bytes signs", () => {
  assert.deepEqual(wordsOf("It's  PIKACHU 25!"), ["it", "'s", "pikachu", "2", "5", "!"]);
  assert.deepEqual(wordsOf("é"), ["Ã©"]);
});

Deno.test("the package encodes with the learned merges as by hand", () => {
  const json = learnTokenizer(["low low low lower newest newest widest widest"], { vocabulary: 517 });
  const { merges, vocab } = json.model as { merges: string[]; vocab: Record<string, number> };
  // 517 − 514 = 3 merges: "l o" 4, then "es"/"s t</w>" 4 …: by code units "e s" first, then "es t</w>", then "l o".
  assert.deepEqual(merges, ["e s", "es t</w>", "l o"]);
  const tokenizer = new ClipTokenizer(json, { context: 12 });
  const expected = ["<|startoftext|>", "lo", "w</w>", "n", "e", "w", "est</w>", "<|endoftext|>"].map((token) =>
    vocab[token]
  );
  assert.deepEqual(tokenizer.tokens("Low NEWEST"), expected);
  assert.equal(tokenizer.vocabulary, 517);
});

Deno.test("any text can be encoded, and comes back", () => {
  const json = learnTokenizer(["a sprite of pikachu"], { vocabulary: 600 });
  const tokenizer = new Tokenizer(json, tokenizerConfig(32));
  for (const text of ["flabébé ♀ 火 🔥", "type: null", "\u0007 tab\t"]) {
    const { ids } = tokenizer.encode(text);
    assert.ok(ids.every((id: number) => Number.isInteger(id)), text);
    const back = tokenizer.decode(ids, { skip_special_tokens: true }).replaceAll("</w>", " ");
    assert.equal(back.replace(/\s+/g, ""), text.replace(/\s+/g, ""));
  }
});

Deno.test("word by word the tokens are those of the whole text, start and end around them", () => {
  const json = learnTokenizer(["artwork of a large pokémon of generation 1, evolves from type: null"], {
    vocabulary: 560,
  });
  const whole = new Tokenizer(json, tokenizerConfig(32)), tokenizer = new ClipTokenizer(json, { context: 64 });
  for (const text of ["Artwork of a  large Pokémon, evolves from Type: Null", "", "farfetch'd's 25!", " mr. mime\n"]) {
    assert.deepEqual(tokenizer.tokens(text), whole.encode(text).ids, text);
  }
});

Deno.test("texts are filled up with the end of the text, and a long one is cut before its end", () => {
  const json = learnTokenizer([], { vocabulary: 514 });
  const { vocab } = json.model as { vocab: Record<string, number> };
  const end = BigInt(vocab["<|endoftext|>"]!);
  const tokenizer = new ClipTokenizer(json, { context: 6 });
  const { ids, mask } = tokenizer.encode(["ab", "abcdefgh"]);
  assert.deepEqual([...mask.data], [1n, 1n, 1n, 1n, 0n, 0n, 1n, 1n, 1n, 1n, 1n, 1n]);
  assert.deepEqual([...ids.data].slice(3, 6), [end, end, end]);
  assert.equal(ids.data[11], end);
  assert.deepEqual(tokenizer.encode(["abcdefgh"], { length: 4 }).ids.data[3], end);
  assert.throws(() => learnTokenizer([], { vocabulary: 100 }), /expected at least 514 tokens/);
});
