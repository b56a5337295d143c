import assert from "node:assert/strict";
import { join } from "node:path";
import { openSession, tensor } from "../runtime/mod.ts";
import { tinyWords, writeTinyClip } from "./fixture.ts";

/** Cosines of each row of `a` with each row of `b`, both [N, D] row by row. */
function cosines(a: Float32Array, b: Float32Array, dimension: number): number[][] {
  const rows = (data: Float32Array) =>
    Array.from({ length: data.length / dimension }, (_, n) => data.subarray(n * dimension, (n + 1) * dimension));
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, d) => sum + value * y[d]!, 0);
  return rows(a).map((x) => rows(b).map((y) => dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))));
}

Deno.test("the tiny CLIP places a colour's word nearest to a picture of that colour, with any seed", async () => {
  for (const [seed, style] of [[1, "clip"], [2, "siglip"], [3, "clip"]] as const) {
    const folder = await Deno.makeTempDir({ prefix: "pokedex_vlm_" });
    try {
      const { size, mean, std, dimension } = await writeTinyClip(folder, { seed, style });
      await using vision = await openSession(join(folder, "onnx", "vision_model.onnx"));
      await using text = await openSession(join(folder, "onnx", "text_model.onnx"));
      const vocabulary = JSON.parse(await Deno.readTextFile(join(folder, "tokenizer.json"))).model.vocab;
      const colours: [string, number[]][] = [
        ["red", [1, 0, 0]],
        ["green", [0, 1, 0]],
        ["blue", [0, 0, 1]],
        ["yellow", [1, 1, 0]],
        ["cyan", [0, 1, 1]],
        ["purple", [1, 0, 1]],
        ["white", [1, 1, 1]],
        ["black", [0, 0, 0]],
      ];
      const pixels = colours.flatMap(([, rgb]) =>
        rgb.flatMap((value, c) => new Array<number>(size * size).fill((value - mean[c]!) / std[c]!))
      );
      const ids = colours.flatMap(([name]) => ["a", name, "pokemon"].map((word) => vocabulary[`${word}</w>`]));
      assert.ok(ids.every(Number.isInteger));
      const pictures = await vision.run({ pixel_values: tensor("float32", [8, 3, size, size], pixels) });
      const texts = await text.run({
        input_ids: tensor("int64", [8, 3], ids),
        ...(style === "clip" ? { attention_mask: tensor("int64", [8, 3], new Array(24).fill(1)) } : {}),
      });
      const output = style === "clip" ? ["text_embeds", "image_embeds"] as const : ["pooler_output", "pooler_output"];
      const table = cosines(
        texts[output[0]!]!.data as Float32Array,
        pictures[output[1]!]!.data as Float32Array,
        dimension,
      );
      for (const [row, found] of table.entries()) assert.equal(found.indexOf(Math.max(...found)), row, `seed ${seed}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
});

Deno.test("the tiny CLIP in one file has all three outputs; its words are tokens", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_vlm_" });
  try {
    await writeTinyClip(folder, { layout: "one", precisions: ["fp32", "q8", "fp16"] });
    for (const suffix of ["", "_quantized", "_fp16"]) {
      await using session = await openSession(join(folder, "onnx", `model${suffix}.onnx`));
      assert.deepEqual(session.outputs.map(({ name }) => name).sort(), [
        "image_embeds",
        "logits_per_image",
        "text_embeds",
      ]);
    }
    const read = async (name: string) => JSON.parse(await Deno.readTextFile(join(folder, name)));
    const { PreTrainedTokenizer } = await import("@huggingface/transformers");
    const tokenizer = new PreTrainedTokenizer(await read("tokenizer.json"), await read("tokenizer_config.json"));
    for (const word of tinyWords) {
      assert.deepEqual(tokenizer(word, { return_tensor: false, add_special_tokens: false }).input_ids.length, 1, word);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
