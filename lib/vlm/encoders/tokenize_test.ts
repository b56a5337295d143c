// deno-lint-ignore-file camelcase -- the Hub's names
import assert from "node:assert/strict";
import { InputError } from "../../runtime/mod.ts";
import { tinyTokenizer } from "../fixture_tokenizer.ts";
import { openTokenizer } from "./tokenize.ts";

const texts = [
  "A photo of a  RED Pikachu!",
  "",
  "the water's blue, 42 ok?",
  "a photo of a drawing of a green Bulbasaur in the grass with fire",
];

/** What the Python package `tokenizers` 0.23.3 gives, cut and padded to 8 (enable_truncation, enable_padding). */
const recorded = {
  clip: {
    ids: [
      [192, 42, 95, 86, 42, 118, 173, 193],
      [192, 193, 193, 193, 193, 193, 193, 193],
      [192, 85, 180, 39, 60, 124, 79, 193],
      [192, 42, 95, 86, 42, 100, 86, 193],
    ],
    inEmpty: 2,
  },
  siglip: {
    ids: [
      [42, 95, 86, 42, 118, 173, 82, 192],
      [192, 193, 193, 193, 193, 193, 193, 193],
      [85, 180, 39, 60, 124, 79, 72, 192],
      [42, 95, 86, 42, 100, 86, 42, 192],
    ],
    inEmpty: 1,
  },
} as const;

Deno.test("texts become the ids of the Python tokenizer: cut before the end token, padded to the context", async () => {
  for (const style of ["clip", "siglip"] as const) {
    const { tokenizer, config, vocabulary } = tinyTokenizer({ contextLength: 8, style });
    const opened = await openTokenizer(tokenizer, config, { place: "here", contextLength: 8 });
    assert.equal(opened.largestId, vocabulary.size - 1);
    const { ids, mask } = opened.encode(texts, "context");
    const { ids: expected, inEmpty } = recorded[style];
    assert.deepEqual(Array.from(ids.data, Number), expected.flat(), style);
    assert.deepEqual(
      Array.from(mask.data, Number),
      [8, inEmpty, 8, 8].flatMap((n) => [0, 1, 2, 3, 4, 5, 6, 7].map((i) => i < n ? 1 : 0)),
    );
    assert.deepEqual(opened.encode(["a red", "a"], "longest").ids.shape, [2, style === "clip" ? 4 : 3]);
  }
});

Deno.test("files that are no tokenizer are refused in a line that names the place", async () => {
  const { tokenizer, config } = tinyTokenizer({ contextLength: 8, style: "clip" });
  const options = { place: "t.json", contextLength: 8 };
  const refused = (pattern: RegExp) => (error: unknown) =>
    error instanceof InputError && pattern.test(error.message) && !error.message.includes("\n");
  await assert.rejects(openTokenizer({}, config, options), refused(/^t\.json: expected a tokenizer with model\.vocab/));
  const unknown = { ...tokenizer, pre_tokenizer: { type: "Nonsense" } };
  await assert.rejects(openTokenizer(unknown, config, options), refused(/^t\.json: expected a tokenizer, found/));
  await assert.rejects(openTokenizer(tokenizer, {}, options), refused(/^t\.json: expected a padding token/));
});
