/** For tests: a random Idefics3 model of a few thousand weights with the files, inputs and outputs of the Hub's. */

import { dirname, join } from "node:path";
import {
  add,
  cast,
  concat,
  conv,
  gather,
  Graph,
  greater,
  matMul,
  mul,
  range,
  reshape,
  shape,
  softmax,
  squeeze,
  sub,
  tanh,
  tensor,
  toModel,
  transpose,
  unsqueeze,
} from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";

/** Side of the picture, numbers of an embedding, heads, numbers of a head. */
const SIDE = 8, HIDDEN = 12, HEADS = 2, HEAD = 6, POSITIONS = 256;
const SPECIAL = [
  "<|endoftext|>",
  "<|im_start|>",
  "<end_of_utterance>",
  "<fake_token_around_image>",
  "<image>",
  "<global-img>",
];
/** Pieces of names that the tokenizer knows beside single bytes. */
const MERGES = ["Ġ P", "i k", "ĠP ik", "a c", "h u", "ac hu", "e w", "ĠM ew"] as const;

/** SmolVLM's. */
const TEMPLATE = "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}" +
  "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}" +
  "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}" +
  "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n" +
  "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}";

/** The characters that stand for bytes in a byte-level tokenizer (Radford et al. 2019, GPT-2, `bytes_to_unicode`). */
function byteCharacters(): string[] {
  const isPlain = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPlain(byte) ? byte : 256 + others++));
}

/** Writes the files of a model below a folder; `bytes: false` leaves single bytes out of the vocabulary but those of "Pikachu Mew". */
export async function writeTinyModel(folder: string, { bytes = true, seed = 0 } = {}): Promise<void> {
  const letters = byteCharacters().filter((letter) => bytes || "ĠPikachuMew:AstnUrWo.D?ésmg<>_|-Ċ,yl".includes(letter));
  const tokens = [...letters, ...MERGES.map((merge) => merge.replace(" ", "")), ...SPECIAL];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const settings: Record<string, unknown> = {
    "config.json": {
      architectures: ["Idefics3ForConditionalGeneration"],
      ...{ "model_type": "idefics3", "image_token_id": vocab["<image>"], "scale_factor": 4 },
      "text_config": { "model_type": "llama", "num_hidden_layers": 1, "num_key_value_heads": HEADS, "head_dim": HEAD },
    },
    "generation_config.json": { "bos_token_id": vocab["<|im_start|>"], "eos_token_id": vocab["<end_of_utterance>"] },
    "preprocessor_config.json": {
      ...{ "image_processor_type": "Idefics3ImageProcessor", "processor_class": "Idefics3Processor" },
      ...{ "do_convert_rgb": true, "do_image_splitting": true, "do_normalize": true, "do_pad": true },
      ...{ "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5] },
      ...{ "rescale_factor": 1 / 255, resample: 1, size: { "longest_edge": 2 * SIDE } },
      "max_image_size": { "longest_edge": SIDE },
    },
    "processor_config.json": { "image_seq_len": 4, "processor_class": "Idefics3Processor" },
    "tokenizer_config.json": {
      ...{ "tokenizer_class": "GPT2Tokenizer", "bos_token": "<|im_start|>", "eos_token": "<end_of_utterance>" },
      ...{ "clean_up_tokenization_spaces": false, "chat_template": TEMPLATE },
    },
    "tokenizer.json": {
      ...{ version: "1.0", truncation: null, padding: null, normalizer: null, "post_processor": null },
      "added_tokens": SPECIAL.map((content) => ({
        ...{ id: vocab[content], content, special: true },
        ...{ "single_word": false, lstrip: false, rstrip: false, normalized: false },
      })),
      "pre_tokenizer": { type: "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
      decoder: { type: "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
      model: {
        ...{ type: "BPE", dropout: null, "unk_token": null, "continuing_subword_prefix": null },
        ...{ "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false },
        ...{ vocab, merges: MERGES },
      },
    },
  };
  for (const [file, content] of Object.entries(settings)) await write(join(folder, file), JSON.stringify(content));
  const random = Random.seeded("tiny model", seed);
  await write(join(folder, "onnx/vision_encoder.onnx"), toModel(visionEncoder(random)));
  await write(join(folder, "onnx/embed_tokens.onnx"), toModel(embedTokens(random, tokens.length)));
  await write(join(folder, "onnx/decoder_model_merged.onnx"), toModel(decoder(random, tokens.length)));
}

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await (typeof content === "string" ? Deno.writeTextFile(path, content) : Deno.writeFile(path, content));
}

function weights(graph: Graph, random: Random, sizes: readonly number[], deviation = 0.6) {
  const count = sizes.reduce((a, b) => a * b, 1);
  return graph.constant(
    tensor("float32", sizes, Float32Array.from({ length: count }, () => deviation * random.normal())),
  );
}

/** pixel_values [B, n, 3, S, S] → image_features [B · n, 4, hidden]. */
function visionEncoder(random: Random): Graph {
  const graph = new Graph("vision_encoder");
  const pixels = graph.input("pixel_values", "float32", ["batch_size", "num_images", 3, SIDE, SIDE]);
  const mask = graph.input("pixel_attention_mask", "bool", ["batch_size", "num_images", SIDE, SIDE]);
  const shown = mul(reshape(pixels, [-1, 3, SIDE, SIDE]), reshape(cast(mask, "float32"), [-1, 1, SIDE, SIDE]));
  const patches = conv(shown, weights(graph, random, [HIDDEN, 3, SIDE / 2, SIDE / 2], 0.3), { strides: SIDE / 2 });
  graph.output(transpose(reshape(patches, [-1, HIDDEN, 4]), [0, 2, 1]), "image_features");
  return graph;
}

/** input_ids [B, L] → inputs_embeds [B, L, hidden]. */
function embedTokens(random: Random, tokens: number): Graph {
  const graph = new Graph("embed_tokens");
  const ids = graph.input("input_ids", "int64", ["batch_size", "sequence_length"]);
  graph.output(gather(weights(graph, random, [tokens, HIDDEN], 1), ids), "inputs_embeds");
  return graph;
}

/** One layer of causal attention with its cache, as the Hub's merged decoder has its inputs and outputs. */
function decoder(random: Random, tokens: number): Graph {
  const graph = new Graph("decoder");
  const embeds = graph.input("inputs_embeds", "float32", ["batch_size", "sequence_length", HIDDEN]);
  const attended = graph.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]);
  const positions = graph.input("position_ids", "int64", ["batch_size", "sequence_length"]);
  const past = (what: string) =>
    graph.input(`past_key_values.0.${what}`, "float32", ["batch_size", HEADS, "past_sequence_length", HEAD]);
  const [pastKey, pastValue] = [past("key"), past("value")];
  const x = add(embeds, gather(weights(graph, random, [POSITIONS, HIDDEN]), positions));
  const heads = () =>
    transpose(reshape(matMul(x, weights(graph, random, [HIDDEN, HEADS * HEAD])), [0, 0, HEADS, HEAD]), [0, 2, 1, 3]);
  const query = heads(), key = concat([pastKey, heads()], 2), value = concat([pastValue, heads()], 2);
  const places = range(0, squeeze(shape(attended, { start: 1, end: 2 })), 1);
  const isLater = cast(greater(unsqueeze(places, [0, 1]), unsqueeze(positions, [2])), "float32");
  const isPadding = sub(1, unsqueeze(cast(attended, "float32"), [1]));
  const hidden = unsqueeze(mul(add(isLater, isPadding), -1e9), [1]);
  const shares = softmax(add(matMul(query, transpose(key, [0, 1, 3, 2])), hidden), { axis: 3 });
  const mixed = reshape(transpose(matMul(shares, value), [0, 2, 1, 3]), [0, 0, HEADS * HEAD]);
  const state = tanh(add(x, matMul(mixed, weights(graph, random, [HEADS * HEAD, HIDDEN]))));
  graph.output(matMul(state, weights(graph, random, [HIDDEN, tokens], 1)), "logits");
  graph.output(key, "present.0.key");
  graph.output(value, "present.0.value");
  return graph;
}
