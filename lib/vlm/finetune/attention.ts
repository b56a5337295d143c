/** The projections of attention in an exported tower, found by the structure around each softmax. */

import { add, copyGraph, insertAfter, mul, type Node, tensor, toModel, type Value } from "../../onnx/mod.ts";
import { InputError, openSession, type Tensor, toNumbers } from "../../runtime/mod.ts";
import type { Tower } from "./tower.ts";

/** The matrices of multi-head attention (Vaswani et al. 2017, section 3.2.2): queries, keys, values, output. */
export type Projection = "q" | "k" | "v" | "o";

/** A matrix that makes queries, keys, values or the output of one attention, or some columns of it. */
export interface ProjectionPlace {
  readonly projection: Projection;
  /** The MatMul or Gemm. */
  readonly node: Node;
  /** What is multiplied, [.., in]. */
  readonly input: Value;
  /** The initialiser that holds the matrix: [in, out], or [out, in] when `transposed`. */
  readonly weight: Value;
  readonly transposed: boolean;
  readonly inputs: number;
  /** Columns of the product: all of it, or from `from` to before `to` where one matrix makes several. */
  readonly outputs: number;
  readonly from: number;
  readonly to: number;
}

/** What may lie between scores and softmax, and between softmax and the product with the values. */
const AROUND_SOFTMAX = [
  ..."Add Sub Mul Div Where Cast Reshape Transpose Identity Dropout Max Min Clip Squeeze Unsqueeze".split(" "),
];

/** What may lie between a projection and the products of attention: it rearranges, scales or adds a bias. */
const LAYOUT = [
  ..."Add Mul Div Reshape Transpose Split Slice Gather Squeeze Unsqueeze Identity Cast Flatten Expand Concat".split(
    " ",
  ),
];

/**
 * All projections of a tower in the order of its graph: for each softmax whose scores are a product of two computed values
 * and which weights a third, the MatMul or Gemm by a constant matrix behind each of the three, and behind the result. `sizes`
 * are those of one text or picture, where the file leaves them open: a matrix that makes queries, keys and values in one is
 * told apart by running the tower once on marked columns.
 *
 * Throws InputError when there is no such softmax, or what lies around one cannot be told.
 */
export async function findProjections(tower: Tower, sizes: readonly number[]): Promise<readonly ProjectionPlace[]> {
  const { graph, place } = tower;
  const consumers = graph.consumers();
  const found: ProjectionPlace[] = [];
  const packed: PackedAttention[] = [];
  for (const softmax of graph.nodes) {
    if (softmax.opType !== "Softmax" || softmax.domain !== "") continue;
    const scores = behind(softmax.input(0), AROUND_SOFTMAX, isProduct);
    const weighted = ahead(softmax.output(), AROUND_SOFTMAX, isProduct, consumers);
    if (scores.size !== 1 || weighted.size !== 1) continue;
    const [score] = scores, [context] = weighted;
    const ends = { q: score!.input(0), k: score!.input(1), v: context!.input(1) };
    const nodes = Object.fromEntries(
      Object.entries(ends).map(([projection, value]) => [projection, [...behind(value, LAYOUT, isProjection)]]),
    ) as Record<"q" | "k" | "v", Node[]>;
    const distinct = new Set(Object.values(nodes).flat());
    if (Object.values(nodes).some((list) => list.length !== 1) || distinct.size === 2) {
      throw new InputError(
        `${place}: ${softmax}: expected queries, keys and values from one matrix each or all from one, found ` +
          `${distinct.size} matrices before it`,
      );
    }
    const outputs = ahead(context!.output(), LAYOUT, isProjection, consumers);
    if (distinct.size === 3) {
      for (const projection of ["q", "k", "v"] as const) found.push(placeOf(projection, nodes[projection][0]!, place));
    } else {
      const node = nodes.q[0]!;
      packed.push({ node, ends });
      for (const projection of ["q", "k", "v"] as const) found.push(placeOf(projection, node, place));
    }
    if (outputs.size === 1) found.push(placeOf("o", [...outputs][0]!, place));
  }
  if (found.length === 0) {
    const foreign = graph.nodes.find((node) => /Attention/.test(node.opType));
    throw new InputError(
      `${place}: expected attention written out (MatMul, Softmax, MatMul) with constant float32 matrices before it, found ` +
        (foreign ? `${foreign}, one operator for all of it` : "none"),
    );
  }
  if (packed.length === 0) return found;
  const columns = await tellColumns(tower, packed, sizes);
  return found.map((each) => {
    const own = columns.get(each.node)?.[each.projection as "q" | "k" | "v"];
    return own ? { ...each, ...own } : each;
  });
}

interface PackedAttention {
  readonly node: Node;
  readonly ends: Readonly<Record<"q" | "k" | "v", Value>>;
}

type Columns = Readonly<Record<"q" | "k" | "v", { readonly from: number; readonly to: number }>>;

/** Which third of the columns becomes queries, keys and values: what changes when that third does. */
async function tellColumns(
  tower: Tower,
  packed: readonly PackedAttention[],
  sizes: readonly number[],
): Promise<Map<Node, Columns>> {
  const graph = copyGraph(tower.graph);
  const twin = (value: Value) => graph.value(value.name);
  const names: string[][] = [];
  for (const [i, { node, ends }] of packed.entries()) {
    const product = twin(node.output()), width = product.shape.at(-1) as number;
    const marks = graph.input(`columns/${i}`, "float32", [width]);
    insertAfter(graph, product, () => add(mul(product, 0), marks));
    names.push(["q", "k", "v"].map((key) => graph.output(twin(ends[key as "q"]), `columns/${i}/${key}`).name));
  }
  const feeds = (third: number): Record<string, Tensor> => {
    const result: Record<string, Tensor> = {};
    for (const input of graph.inputs) {
      const own = /^columns\/(\d+)$/.exec(input.name);
      const shape = own ? input.staticShape : [typeof input.shape[0] === "number" ? input.shape[0] : 1, ...sizes];
      const fill = (_: unknown, at: number) => own ? Number(Math.floor(at * 3 / shape[0]!) === third) : 1;
      result[input.name] = tensor(input.dtype, shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, fill));
    }
    return result;
  };
  await using session = await openSession(toModel(graph), { threads: 1, name: tower.place });
  const runs: Record<string, Tensor>[] = [];
  for (const third of [-1, 0, 1, 2]) runs.push(await session.run(feeds(third)));
  return new Map(packed.map(({ node }, i) => {
    const width = node.output().shape.at(-1) as number / 3;
    const entries = (["q", "k", "v"] as const).map((key, which) => {
      const [rest, ...marked] = runs.map((run) => toNumbers(run[names[i]![which]!]!));
      const moved = [0, 1, 2].filter((third) => marked[third]!.some((element, at) => element !== rest![at]));
      if (moved.length !== 1 || !Number.isInteger(width)) {
        throw new InputError(
          `${tower.place}: ${node}: expected one third of its columns to make ${key}, found ${moved.length} that do`,
        );
      }
      return [key, { from: moved[0]! * width, to: (moved[0]! + 1) * width }] as const;
    });
    return [node, Object.fromEntries(entries) as unknown as Columns];
  }));
}

function placeOf(projection: Projection, node: Node, place: string): ProjectionPlace {
  const { weight, turned } = matrixOf(node)!;
  const gemm = node.opType === "Gemm";
  const transposed = turned !== (gemm && node.int("transB") === 1);
  if (gemm && (node.int("transA") !== 0 || node.float("alpha") !== 1)) {
    throw new InputError(`${place}: ${node}: expected a product without transA and alpha, found one with them`);
  }
  const [first, second] = weight.staticShape as [number, number];
  const [inputs, outputs] = transposed ? [second, first] : [first, second];
  return { projection, node, input: node.input(0), weight, transposed, inputs, outputs, from: 0, to: outputs };
}

/** The matrix that a MatMul or Gemm multiplies by, as it stands in the file: perhaps turned before its use. */
function matrixOf(node: Node): { weight: Value; turned: boolean } | undefined {
  let value = node.inputs[1], turned = false;
  while (value?.producer && ["Transpose", "Identity"].includes(value.producer.opType)) {
    if (value.producer.opType === "Transpose") turned = !turned;
    value = value.producer.input(0);
  }
  return value?.tensor?.shape.length === 2 && value.dtype === "float32" ? { weight: value, turned } : undefined;
}

function isProjection(node: Node): boolean {
  return ["MatMul", "Gemm"].includes(node.opType) && node.domain === "" && matrixOf(node) !== undefined;
}

/** A product of two values that are both computed. */
function isProduct(node: Node): boolean {
  return node.opType === "MatMul" && node.domain === "" && node.inputs.every((value) => value && !value.tensor) &&
    !isProjection(node);
}

/** The nearest nodes that feed a value and are `wanted`, going back through `passing` operators only. */
function behind(value: Value, passing: readonly string[], wanted: (node: Node) => boolean): Set<Node> {
  const found = new Set<Node>(), seen = new Set<Node>();
  const open = [value];
  for (let next = open.pop(); next; next = open.pop()) {
    const node = next.producer;
    if (!node || seen.has(node)) continue;
    seen.add(node);
    if (wanted(node)) found.add(node);
    else if (passing.includes(node.opType) && node.domain === "") {
      for (const input of node.inputs) if (input) open.push(input);
    }
  }
  return found;
}

/** The nearest nodes that read a value, as their first input, and are `wanted`, going on through `passing` operators only. */
function ahead(
  value: Value,
  passing: readonly string[],
  wanted: (node: Node) => boolean,
  consumers: ReadonlyMap<Value, readonly Node[]>,
): Set<Node> {
  const found = new Set<Node>(), seen = new Set<Node>();
  const open = [value];
  for (let next = open.pop(); next; next = open.pop()) {
    for (const node of consumers.get(next) ?? []) {
      if (seen.has(node)) continue;
      seen.add(node);
      if (wanted(node) && node.input(0) === next) found.add(node);
      else if (passing.includes(node.opType) && node.domain === "") {
        for (const output of node.outputs) if (output) open.push(output);
      }
    }
  }
  return found;
}
