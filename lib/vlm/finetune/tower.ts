/** A text or image tower of a CLIP as an ONNX file: its inputs and its embedding, and both towers in one training graph. */

import { copyGraph, type Dim, fromFile, Graph, inline, isFloat, type Shape, type Value } from "../../onnx/mod.ts";
import { InputError, sha256, type Tensor } from "../../runtime/mod.ts";

/** Which of the two towers. */
export type TowerKind = "image" | "text";

/** A tower: `pixel_values` → `image_embeds`, or `input_ids` (and `attention_mask`) → `text_embeds`. */
export interface Tower {
  readonly kind: TowerKind;
  /** For messages: the file's path, or the graph's name. */
  readonly place: string;
  readonly graph: Graph;
  /** Pixels [N, 3, H, W], or token ids [N, T]. */
  readonly input: Value;
  /** [N, T]: 1 for a token, 0 for filling. */
  readonly mask: Value | undefined;
  /** [N, D], not yet of length 1. */
  readonly output: Value;
  /** SHA-256 of the weights: the same weights under the same names, the same identity. */
  readonly identity: string;
}

/** Token ids of texts, and where they are filled up. */
export interface PromptTokens {
  /** [C, T]. */
  readonly inputIds: Tensor<"int64">;
  /** [C, T]: 1 for a token, 0 for filling. Only for a tower with such an input; default there: all 1. */
  readonly attentionMask?: Tensor<"int64">;
}

const OUTPUTS: Readonly<Record<TowerKind, readonly string[]>> = {
  image: ["image_embeds", "image_embedding", "pooler_output"],
  text: ["text_embeds", "text_embedding", "pooler_output"],
};

/**
 * A tower from its ONNX file or graph, as exports of Hugging Face's CLIP and open_clip have them. Throws InputError when
 * the inputs are others or no output is an embedding, OnnxError for a file that cannot be read.
 */
export async function openTower(kind: TowerKind, source: string | Graph): Promise<Tower> {
  const graph = typeof source === "string" ? await fromFile(source) : source;
  const place = typeof source === "string" ? source : `${kind} tower "${graph.name}"`;
  const inputs = [...graph.inputs];
  const take = (fits: (value: Value) => boolean) => {
    const at = inputs.findIndex(fits);
    return at < 0 ? undefined : inputs.splice(at, 1)[0]!;
  };
  const integers = (value: Value) => value.rank === 2 && (value.dtype === "int64" || value.dtype === "int32");
  const mask = kind === "text" ? take((value) => integers(value) && /mask/.test(value.name)) : undefined;
  const input = take(kind === "text" ? integers : (value) => value.rank === 4 && value.dtype === "float32");
  if (!input || inputs.length > 0) {
    const wanted = kind === "text"
      ? "token ids [N, T] and at most an attention mask [N, T]"
      : "one float32 input of pixels [N, 3, H, W]";
    throw new InputError(`${place}: expected ${wanted}, found inputs ${graph.inputs.map(String).join(", ") || "none"}`);
  }
  const embeds = graph.outputs.filter((value) => value.type && isFloat(value.dtype) && value.rank === 2);
  const output = OUTPUTS[kind].map((name) => embeds.find((value) => value.name === name)).find(Boolean) ??
    (embeds.length === 1 ? embeds[0] : undefined);
  if (!output) {
    throw new InputError(
      `${place}: expected an output ${OUTPUTS[kind][0]} [N, D], found ${graph.outputs.map(String).join(", ")}`,
    );
  }
  return { kind, place, graph, input, mask, output, identity: identityOf(graph) };
}

function identityOf(graph: Graph): string {
  const lines = graph.initialisers.filter(({ dtype, tensor }) => isFloat(dtype) && tensor!.data.length > 1).map(
    (value) => {
      const { dtype, shape, data } = value.tensor!, { buffer, byteOffset, byteLength } = data as Float32Array;
      return `${value.name} ${dtype} [${shape.join()}] ${sha256(new Uint8Array(buffer, byteOffset, byteLength))}`;
    },
  );
  return sha256(lines.sort().join("\n"));
}

/** What stands where a tower's embedding comes out in a graph of both. */
export interface JoinedTower {
  readonly embeds: Value;
  /** The tower's values in the joined graph. */
  readonly values: ReadonlyMap<Value, Value>;
}

/**
 * Copies a tower behind its name ("text/…") into a graph, with inputs of other sizes: `rows` texts or pictures, and the sizes
 * of one of them where the file leaves them open. Throws InputError when the file has other sizes.
 */
export function joinTower(
  target: Graph,
  tower: Tower,
  { rows, sizes, fed = new Map() }: {
    readonly rows: Dim;
    readonly sizes: readonly number[];
    /** Inner values of the tower that are made otherwise. */
    readonly fed?: ReadonlyMap<Value, Value>;
  },
): JoinedTower {
  const feeds = new Map<Value, Value>(fed);
  for (const value of [tower.input, ...(tower.mask ? [tower.mask] : [])]) {
    if (feeds.has(value)) continue;
    const shape: Shape = [rows, ...sizes];
    const misfit = value.shape.findIndex((dim, i) => typeof dim === "number" && shape[i] !== dim && i > 0);
    if (value.rank !== shape.length || misfit >= 0) {
      throw new InputError(`${tower.place}: expected ${value} to be fed, found [${shape.join(", ")}]`);
    }
    feeds.set(value, target.input(value.name, value.dtype, shape));
  }
  const values = inline(target, tower.graph, feeds, { prefix: `${tower.kind}/`, outputs: [tower.output] });
  return { embeds: values.get(tower.output)!, values };
}

/** The inputs of a text tower for some texts. Throws InputError when ids and mask do not fit each other. */
export function textFeeds(tower: Tower, { inputIds, attentionMask }: PromptTokens): Record<string, Tensor> {
  if (inputIds.shape.length !== 2 || (attentionMask && String(attentionMask.shape) !== String(inputIds.shape))) {
    const mask = attentionMask ? ` and a mask [${attentionMask.shape.join(", ")}]` : "";
    throw new InputError(
      `${tower.place}: expected token ids [C, T] and a mask of their shape, found [${
        inputIds.shape.join(", ")
      }]${mask}`,
    );
  }
  const typed = (value: Value, { shape, data }: Tensor<"int64">): Tensor =>
    value.dtype === "int64"
      ? { dtype: "int64", shape, data }
      : { dtype: "int32", shape, data: Int32Array.from(data, Number) };
  const { mask } = tower;
  const ones = (): Tensor<"int64"> => ({
    dtype: "int64",
    shape: inputIds.shape,
    data: new BigInt64Array(inputIds.data.length).fill(1n),
  });
  return {
    [tower.input.name]: typed(tower.input, inputIds),
    ...(mask ? { [mask.name]: typed(mask, attentionMask ?? ones()) } : {}),
  };
}

/** Some rows of prompts, in the order given. */
export function promptRows({ inputIds, attentionMask }: PromptTokens, rows: readonly number[]): PromptTokens {
  const pick = ({ shape, data }: Tensor<"int64">): Tensor<"int64"> => {
    const length = shape[1]!, result = new BigInt64Array(rows.length * length);
    rows.forEach((row, i) => result.set(data.subarray(row * length, (row + 1) * length), i * length));
    return { dtype: "int64", shape: [rows.length, length], data: result };
  };
  return { inputIds: pick(inputIds), ...(attentionMask ? { attentionMask: pick(attentionMask) } : {}) };
}

/** A copy of the tower in which no weight is marked to be trained. */
export function frozenTower(tower: Tower): Tower {
  const graph = copyGraph(tower.graph);
  for (const value of graph.parameters) graph.setTrainable(value, false);
  return onGraph(tower, graph);
}

/** The same tower on a graph of the same names. */
export function onGraph(tower: Tower, graph: Graph): Tower {
  const twin = (value: Value) => graph.value(value.name);
  return {
    ...tower,
    graph,
    input: twin(tower.input),
    mask: tower.mask && twin(tower.mask),
    output: twin(tower.output),
  };
}

/** Throws InputError unless what was learned belongs to this tower. */
export function expectTower(tower: Tower, identity: string, what: string): void {
  if (tower.identity === identity) return;
  throw new InputError(
    `${tower.place}: expected a ${what} learned with this model (${tower.identity.slice(0, 12)}…), found one of ` +
      `another (${identity.slice(0, 12)}…)`,
  );
}
