/** Low-rank adaptation (Hu et al. 2022, "LoRA"): attention's matrices stay, a product of two thin ones is learned beside each. */

import { z } from "zod";
import {
  add,
  concat,
  copyGraph,
  type Graph,
  insertAfter,
  matMul,
  mul,
  readSafetensors,
  tensor,
  type Value,
  writeSafetensors,
  zeros,
} from "../../onnx/mod.ts";
import { InputError, type Random, type Tensor } from "../../runtime/mod.ts";
import { findProjections, type Projection } from "./attention.ts";
import { expectTower, frozenTower, type Tower, type TowerKind } from "./tower.ts";

/** Settings of the adapters. */
export interface LowRankOptions {
  /** r. Default: 4. */
  readonly rank?: number;
  /** α: the learned product counts α / r. Default: twice the rank. */
  readonly alpha?: number;
  /** Which matrices of each attention. Default: queries and values (Hu et al. 2022, section 7.1). */
  readonly projections?: readonly Projection[];
}

/** One matrix of a tower's file, or some of its columns, and where its adapter is added. */
export interface LowRankPlace {
  readonly projection: Projection;
  /** The initialiser: [inputs, outputs], or [outputs, inputs] when `transposed`. */
  readonly weight: string;
  readonly transposed: boolean;
  readonly inputs: number;
  readonly outputs: number;
  readonly from: number;
  readonly to: number;
  /** The value that the matrix gives, before a bias where the file adds it by itself. */
  readonly product: string;
}

/** Learned adapters of one tower. */
export interface LowRankAdapters {
  readonly kind: TowerKind;
  /** `Tower.identity` of the tower that they belong to. */
  readonly tower: string;
  readonly rank: number;
  readonly alpha: number;
  readonly places: readonly LowRankPlace[];
  /** `NAME/A` [inputs, r] and `NAME/B` [r, columns] of each place, NAME by `adapterName`. */
  readonly tensors: ReadonlyMap<string, Tensor<"float32">>;
}

/** `lora/PRODUCT/q`: what the names of a place's two matrices begin with. */
export function adapterName({ product, projection }: LowRankPlace): string {
  return `lora/${product}/${projection}`;
}

/**
 * Adapters that change nothing yet: A uniform in ±1 / √inputs, B zeros. `sizes` are those of one text or picture. Throws
 * InputError when the tower has no attention that is known, or a setting is out of range.
 */
export async function initialAdapters(
  tower: Tower,
  { rank = 4, alpha = 2 * rank, projections = ["q", "v"], sizes, random }: LowRankOptions & {
    readonly sizes: readonly number[];
    readonly random: Random;
  },
): Promise<LowRankAdapters> {
  if (!(Number.isInteger(rank) && rank >= 1)) throw new InputError(`lora: expected a rank from 1, found ${rank}`);
  if (!(alpha > 0)) throw new InputError(`lora: expected alpha above 0, found ${alpha}`);
  if (projections.length === 0) throw new InputError("lora: expected projections among q, k, v, o, found none");
  const found = await findProjections(tower, sizes);
  const places = found.filter(({ projection }) => projections.includes(projection)).map((each): LowRankPlace => ({
    projection: each.projection,
    weight: each.weight.name,
    transposed: each.transposed,
    inputs: each.inputs,
    outputs: each.outputs,
    from: each.from,
    to: each.to,
    product: each.node.output().name,
  }));
  expectOwnMatrices(tower, places);
  const tensors = new Map<string, Tensor<"float32">>();
  for (const place of places) {
    const { inputs, from, to } = place, name = adapterName(place), own = random.fork(name);
    if (rank > Math.min(inputs, to - from)) {
      throw new InputError(
        `lora: expected a rank up to ${Math.min(inputs, to - from)} for ${place.weight}, found ${rank}`,
      );
    }
    const reach = 1 / Math.sqrt(inputs);
    const elements = Array.from({ length: inputs * rank }, () => own.uniform(-reach, reach));
    tensors.set(`${name}/A`, tensor("float32", [inputs, rank], elements));
    tensors.set(`${name}/B`, zeros("float32", [rank, to - from]));
  }
  return { kind: tower.kind, tower: tower.identity, rank, alpha, places, tensors };
}

/**
 * A copy of the tower with x·A·B·(α / r) added to each product x·W; A and B are its parameters, all else is fixed. Throws
 * InputError when the adapters belong to another tower.
 */
export function withAdapters(tower: Tower, adapters: LowRankAdapters): Tower {
  expectAdapters(tower, adapters);
  const adapted = frozenTower(tower), { graph } = adapted;
  for (const place of adapters.places) {
    const product = graph.value(place.product), x = product.producer!.input(0);
    insertAfter(graph, product, () => add(product, lowRank(graph, x, place, adapters)));
  }
  return adapted;
}

function lowRank(
  graph: Graph,
  x: Value,
  place: LowRankPlace,
  { rank, alpha, tensors }: LowRankAdapters,
): Value {
  const name = adapterName(place), { from, to, outputs } = place;
  const a = graph.parameter(`${name}/A`, tensors.get(`${name}/A`)!);
  let b = graph.parameter(`${name}/B`, tensors.get(`${name}/B`)!);
  const blank = (width: number) => graph.constant(zeros("float32", [rank, width]));
  if (to - from < outputs) {
    b = concat([...(from > 0 ? [blank(from)] : []), b, ...(to < outputs ? [blank(outputs - to)] : [])], 1);
  }
  return mul(matMul(matMul(x, a), b), alpha / rank);
}

/**
 * The tower's graph with W + A·B·(α / r) in the place of each W: the same operators and shapes, nothing to add when it runs.
 * Throws InputError when the adapters belong to another tower, or their matrices do not fit.
 */
export function mergeAdapters(tower: Tower, adapters: LowRankAdapters): Graph {
  expectAdapters(tower, adapters);
  const graph = copyGraph(tower.graph);
  const { rank, alpha, tensors } = adapters;
  for (const place of adapters.places) {
    const name = adapterName(place);
    const a = tensors.get(`${name}/A`)!.data, b = tensors.get(`${name}/B`)!.data;
    const { inputs, outputs, from, to, transposed } = place;
    const old = graph.value(place.weight).tensor!, columns = to - from;
    const merged = Float32Array.from(old.data as Float32Array);
    for (let i = 0; i < inputs; i++) {
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let k = 0; k < rank; k++) sum += a[i * rank + k]! * b[k * columns + j]!;
        const at = transposed ? (from + j) * inputs + i : i * outputs + from + j;
        merged[at] = merged[at]! + sum * alpha / rank;
      }
    }
    graph.setTensor(graph.value(place.weight), tensor("float32", old.shape, merged));
  }
  return graph;
}

/** A matrix that something else reads too could not be merged without changing that. */
function expectOwnMatrices({ graph, place: file }: Tower, places: readonly LowRankPlace[]): void {
  const consumers = graph.consumers();
  for (const { weight, product } of places) {
    const readers = consumers.get(graph.value(weight))?.length ?? 0;
    if (readers === 1 && places.every((other) => other.weight !== weight || other.product === product)) continue;
    throw new InputError(`${file}: expected a matrix "${weight}" that one product reads, found several that do`);
  }
}

function expectAdapters(tower: Tower, adapters: LowRankAdapters): void {
  if (adapters.kind !== tower.kind) {
    throw new InputError(
      `${tower.place}: expected adapters of the ${tower.kind} tower, found those of ${adapters.kind}`,
    );
  }
  expectTower(tower, adapters.tower, "set of adapters");
  for (const place of adapters.places) {
    const name = adapterName(place), { rank } = adapters;
    const weight = tower.graph.values.get(place.weight)?.tensor, product = tower.graph.values.get(place.product);
    const wanted = place.transposed ? [place.outputs, place.inputs] : [place.inputs, place.outputs];
    if (String(weight?.shape) !== String(wanted) || !product?.producer) {
      throw new InputError(
        `${tower.place}: expected a matrix "${place.weight}" [${wanted.join(", ")}], found ${
          weight ? `[${weight.shape.join(", ")}]` : "none"
        }`,
      );
    }
    for (const [part, shape] of [["A", [place.inputs, rank]], ["B", [rank, place.to - place.from]]] as const) {
      const found = adapters.tensors.get(`${name}/${part}`);
      if (String(found?.shape) === String(shape)) continue;
      throw new InputError(
        `adapters: expected ${name}/${part} [${shape.join(", ")}], found ${
          found ? `[${found.shape.join(", ")}]` : "none"
        }`,
      );
    }
  }
}

const FORMAT = "low-rank-adapters/1";

/** Writes the adapters of one tower, or of both, as safetensors. */
export async function saveAdapters(path: string, adapters: readonly LowRankAdapters[]): Promise<void> {
  const tensors = adapters.flatMap(({ kind, tensors }) =>
    [...tensors].map(([name, content]) => [`${kind}/${name}`, content] as const)
  );
  const heads = adapters.map(({ kind, tower, rank, alpha, places }) => ({ kind, tower, rank, alpha, places }));
  await writeSafetensors(path, tensors, { format: FORMAT, towers: JSON.stringify(heads) });
}

const placeSchema = z.object({
  projection: z.enum(["q", "k", "v", "o"]),
  weight: z.string(),
  transposed: z.boolean(),
  inputs: z.int().min(1),
  outputs: z.int().min(1),
  from: z.int().min(0),
  to: z.int().min(1),
  product: z.string(),
});

const towersSchema = z.array(z.object({
  kind: z.enum(["image", "text"]),
  tower: z.string(),
  rank: z.int().min(1),
  alpha: z.number().positive(),
  places: z.array(placeSchema),
}));

/** Reads adapters. Throws InputError when the file is another kind, OnnxError when it is no safetensors file. */
export async function loadAdapters(path: string): Promise<readonly LowRankAdapters[]> {
  const { tensors, metadata } = await readSafetensors(path);
  const wrong = (found: string) => new InputError(`${path}: expected low-rank adapters (${FORMAT}), found ${found}`);
  if (metadata.format !== FORMAT) throw wrong(metadata.format ?? "other tensors");
  const heads = towersSchema.safeParse(parseJson(metadata.towers ?? ""));
  if (!heads.success) throw wrong("a head that does not say of which towers");
  return heads.data.map((head) => ({
    ...head,
    tensors: new Map(
      [...tensors].filter(([name, { dtype }]) => name.startsWith(`${head.kind}/`) && dtype === "float32")
        .map(([name, content]) => [name.slice(head.kind.length + 1), content as Tensor<"float32">]),
    ),
  }));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
