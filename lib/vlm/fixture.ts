/** For tests: a CLIP-shaped model of a few thousand random weights in the Hub's layout, in which colours have their words. */
// deno-lint-ignore-file camelcase -- the Hub's names

import { join } from "node:path";
import {
  add,
  averagePool,
  cast,
  clip,
  concat,
  div,
  equal,
  flatten,
  gather,
  Graph,
  matMul,
  mul,
  not,
  reduceMean,
  reduceSum,
  sqrt,
  toFile,
  transpose,
  unsqueeze,
  type Value,
} from "../onnx/mod.ts";
import { Random } from "../runtime/mod.ts";
import { tinyTokenizer, tinyWords } from "./fixture_tokenizer.ts";

export { tinyWords } from "./fixture_tokenizer.ts";

/** Precisions that the fixture writes, by the Hub's names; each file's weights are rounded as such a file's are. */
export type TinyPrecision = "fp32" | "fp16" | "q8";

const SUFFIX: Record<TinyPrecision, string> = { fp32: "", fp16: "_fp16", q8: "_quantized" };

/** Settings of `writeTinyClip`. */
export interface TinyClipOptions {
  /** Numbers of an embedding. Default: 32. */
  readonly dimension?: number;
  /** Side of the input in pixels, a multiple of 4. Default: 16. */
  readonly size?: number;
  /** Default: 16. */
  readonly contextLength?: number;
  /** Other seeds give other models. Default: 1. */
  readonly seed?: number;
  /**
   * "clip" (default): inputs input_ids, attention_mask and pixel_values, outputs text_embeds and image_embeds; "siglip": no mask, all
   * of the padded context counts, outputs pooler_output.
   */
  readonly style?: "clip" | "siglip";
  /** "two" (default): text_model.onnx and vision_model.onnx; "one": model.onnx, which also has logits_per_image with `logitScale`. */
  readonly layout?: "two" | "one";
  /** Of the layout "one". Default: 50. */
  readonly logitScale?: number;
  /** Default: only fp32. */
  readonly precisions?: readonly TinyPrecision[];
  /** The precisions other than fp32 have weights that are not the model's. */
  readonly broken?: boolean;
  /** One-token words of the tokenizer. Default: `tinyWords`. */
  readonly words?: readonly string[];
  /** Over preprocessor_config.json's fields; null takes a field away. */
  readonly preprocessor?: Readonly<Record<string, unknown>>;
}

/** The words for colours, in red, green, blue of 0 … 1. */
const colours: Readonly<Record<string, readonly [number, number, number]>> = {
  red: [1, 0, 0],
  green: [0, 1, 0],
  blue: [0, 0, 1],
  yellow: [1, 1, 0],
  cyan: [0, 1, 1],
  purple: [1, 0, 1],
  white: [1, 1, 1],
  black: [0, 0, 0],
};

/** What `writeTinyClip` used, for tests that compute an embedding themselves. */
export interface TinyClip {
  readonly folder: string;
  readonly dimension: number;
  readonly size: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/**
 * Writes the model into a folder, which is made: config.json, preprocessor_config.json, tokenizer.json, tokenizer_config.json and
 * onnx/. A picture's embedding is a random projection of its mean colour, and weaker of its 4 x 4 coarse picture; a text's is the
 * mean of its tokens' vectors, in which a colour's word has the projection of that colour. So "a red picture" lies nearest to a
 * red picture among pictures of the colours `tinyWords` has words for (except grey), with any seed.
 */
export async function writeTinyClip(folder: string, options: TinyClipOptions = {}): Promise<TinyClip> {
  const { dimension = 32, size = 16, contextLength = 16, style = "clip", layout = "two", words = tinyWords } = options;
  const mean = style === "clip" ? [0.48145466, 0.4578275, 0.40821073] as const : [0.5, 0.5, 0.5] as const;
  const std = style === "clip" ? [0.26862954, 0.26130258, 0.27577711] as const : [0.5, 0.5, 0.5] as const;
  const { tokenizer, config, vocabulary } = tinyTokenizer({ words, contextLength, style });
  const onnx = join(folder, "onnx");
  await Deno.mkdir(onnx, { recursive: true });
  const json = (name: string, content: unknown) =>
    Deno.writeTextFile(join(folder, name), JSON.stringify(content, null, 1));
  await json("tokenizer.json", tokenizer);
  await json("tokenizer_config.json", config);
  await json("config.json", {
    model_type: style,
    ...(style === "clip" ? { projection_dim: dimension } : {}),
    text_config: { max_position_embeddings: contextLength, vocab_size: vocabulary.size, hidden_size: dimension },
    vision_config: { image_size: size, hidden_size: dimension },
  });
  const preprocessor = {
    image_processor_type: style === "clip" ? "CLIPImageProcessor" : "SiglipImageProcessor",
    do_resize: true,
    size: style === "clip" ? { shortest_edge: size } : { height: size, width: size },
    resample: 3,
    ...(style === "clip" ? { do_center_crop: true, crop_size: { height: size, width: size } } : {}),
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
    do_convert_rgb: true,
    ...options.preprocessor,
  };
  await json(
    "preprocessor_config.json",
    Object.fromEntries(Object.entries(preprocessor).filter(([, value]) => value !== null)),
  );
  for (const precision of options.precisions ?? ["fp32"]) {
    const weights = new TinyWeights(options, precision, { dimension, vocabulary, mean, std });
    const text = (graph: Graph) => textEmbedding(graph, weights, { style, pad: vocabulary.get("<pad>") });
    const picture = (graph: Graph) => pictureEmbedding(graph, weights, size);
    const suffix = SUFFIX[precision];
    if (layout === "one") {
      const graph = new Graph("clip");
      const rows = { text: unit(text(graph)), picture: unit(picture(graph)) };
      const logits = mul(matMul(rows.picture, transpose(rows.text, [1, 0])), options.logitScale ?? 50);
      graph.output(logits, "logits_per_image");
      graph.output(rows.text, "text_embeds");
      graph.output(rows.picture, "image_embeds");
      await toFile(graph, join(onnx, `model${suffix}.onnx`));
      continue;
    }
    for (const [name, build, output] of [["text", text, "text_embeds"], ["vision", picture, "image_embeds"]] as const) {
      const graph = new Graph(name);
      graph.output(build(graph), style === "clip" ? output : "pooler_output");
      await toFile(graph, join(onnx, `${name}_model${suffix}.onnx`));
    }
  }
  return { folder, dimension, size, mean, std };
}

/** The three matrices of a model, rounded to a precision. */
class TinyWeights {
  /** [3, D]: of the mean colour. */
  readonly colour: Float32Array<ArrayBuffer>;
  /** [48, D]: of the coarse picture. */
  readonly coarse: Float32Array<ArrayBuffer>;
  /** [V, D] */
  readonly table: Float32Array<ArrayBuffer>;

  constructor(
    { seed = 1, broken = false }: TinyClipOptions,
    precision: TinyPrecision,
    { dimension, vocabulary, mean, std }: {
      readonly dimension: number;
      readonly vocabulary: ReadonlyMap<string, number>;
      readonly mean: readonly number[];
      readonly std: readonly number[];
    },
  ) {
    const own = broken && precision !== "fp32" ? "broken" : "model";
    const draw = (name: string, rows: number, deviation: number) => {
      const random = Random.seeded("tiny clip", own, name, seed);
      return Float32Array.from({ length: rows * dimension }, () => random.normal(0, deviation));
    };
    this.colour = draw("colour", 3, 1);
    this.coarse = draw("coarse", 48, 0.03);
    this.table = draw("table", vocabulary.size, 0.1);
    for (const [word, rgb] of Object.entries(colours)) {
      const id = vocabulary.get(`${word}</w>`);
      if (id === undefined) continue;
      for (let d = 0; d < dimension; d++) {
        this.table[id * dimension + d]! += rgb.reduce(
          (sum, value, channel) =>
            sum + (value - mean[channel]!) / std[channel]! * this.colour[channel * dimension + d]!,
          0,
        );
      }
    }
    for (const matrix of [this.colour, this.coarse, this.table]) roundTo(precision, matrix);
  }
}

/** As a file of that precision has them: half floats, or 8 bits with one scale for the matrix. */
function roundTo(precision: TinyPrecision, weights: Float32Array): void {
  if (precision === "fp16") { for (const [i, weight] of weights.entries()) weights[i] = Math.f16round(weight); }
  if (precision === "q8") {
    const scale = weights.reduce((largest, weight) => Math.max(largest, Math.abs(weight)), 0) / 127;
    for (const [i, weight] of weights.entries()) weights[i] = Math.round(weight / scale) * scale;
  }
}

function matrix(graph: Graph, name: string, data: Float32Array<ArrayBuffer>, dimension: number): Value {
  return graph.parameter(name, { dtype: "float32", shape: [data.length / dimension, dimension], data });
}

function textEmbedding(
  graph: Graph,
  { table, colour }: TinyWeights,
  { style, pad }: { readonly style: "clip" | "siglip"; readonly pad: number | undefined },
): Value {
  const dimension = colour.length / 3;
  const ids = graph.input("input_ids", "int64", ["texts", "tokens"]);
  const vectors = gather(matrix(graph, "token_embedding", table, dimension), ids);
  // A SigLIP text model looks at the padding too: here it weighs a tenth of a word.
  const weights = style === "clip"
    ? cast(graph.input("attention_mask", "int64", ["texts", "tokens"]), "float32")
    : clip(cast(not(equal(ids, graph.ints(pad!))), "float32"), 0.1, 1);
  const weighted = reduceSum(mul(vectors, unsqueeze(weights, [2])), { axes: [1] });
  return div(weighted, reduceSum(weights, { axes: [1], keepdims: true }));
}

function pictureEmbedding(graph: Graph, { colour, coarse }: TinyWeights, size: number): Value {
  const dimension = colour.length / 3;
  const pixels = graph.input("pixel_values", "float32", ["pictures", 3, size, size]);
  const means = reduceMean(pixels, { axes: [2, 3] });
  const grid = flatten(averagePool(pixels, size / 4, { strides: size / 4 }));
  return matMul(
    concat([means, grid], 1),
    matrixOf(graph, [colour, coarse], dimension),
  );
}

function matrixOf(graph: Graph, parts: readonly Float32Array[], dimension: number): Value {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return matrix(graph, "projection", all, dimension);
}

function unit(rows: Value): Value {
  return div(rows, sqrt(add(reduceSum(mul(rows, rows), { axes: [1], keepdims: true }), 1e-12)));
}
