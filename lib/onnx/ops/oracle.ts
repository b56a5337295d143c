/**
 * The oracle of the operator tests: a graph is built twice, once on static and once on symbolic shapes, run by ONNX
 * Runtime, and what the run returns is compared with what was inferred: element types, shapes, known elements.
 */

import assert from "node:assert/strict";
import {
  allocate,
  type DType,
  elementCount,
  isFloat,
  openSession,
  Random,
  type Tensor,
  tensor,
  toNumbers,
} from "../../runtime/mod.ts";
import { type Dim, formatShape, type Shape } from "../dims.ts";
import { Graph } from "../graph.ts";
import type { Value } from "../value.ts";
import { toModel } from "../write.ts";

/** What a case builds its graph with. */
export interface Bench {
  readonly graph: Graph;
  readonly random: Random;
  /** An input with random elements in [low, high). */
  input(shape: readonly number[], dtype?: DType, low?: number, high?: number): Value;
  /** An input whose sizes stay numbers in the symbolic pass, for operators that need them. */
  fixed(shape: readonly number[], dtype?: DType, low?: number, high?: number): Value;
  /** A whole number in low … high. */
  int(low: number, high: number): number;
  /** Random sizes from 1, `rank` of them. */
  shape(rank: number, most?: number): number[];
}

export type Build = (bench: Bench) => Value | readonly Value[];

/** An assembled case. */
export interface Pass {
  readonly graph: Graph;
  readonly outputs: readonly Value[];
  readonly feeds: Record<string, Tensor>;
  readonly symbols: ReadonlyMap<string, number>;
}

/** Builds, runs and compares one case. Both passes draw the same random numbers. */
export async function checkCase(build: Build, ...seed: readonly (string | number)[]): Promise<void> {
  const plain = assemble(build, Random.seeded(...seed), false);
  const symbolic = assemble(build, Random.seeded(...seed), true);
  for (const pass of [plain, symbolic]) {
    const place = `${seed.join(" ")}, ${pass === plain ? "static" : "symbolic"}`;
    await using session = await openSession(toModel(pass.graph), { threads: 1, name: place });
    const results = await session.run(pass.feeds);
    pass.outputs.forEach((output) => compare(output, results[output.name]!, pass.symbols, place));
  }
}

/** A case's graph and what to feed it; with `symbolic`, the sizes of its open inputs are symbols. */
export function assemble(build: Build, random: Random, symbolic: boolean): Pass {
  const graph = new Graph("case");
  const feeds: Record<string, Tensor> = {};
  const symbols = new Map<string, number>();
  const declare = (shape: readonly number[], dtype: DType, low: number, high: number, open: boolean) => {
    const name = `x${graph.inputs.length}`;
    const dims = shape.map((size, i): Dim => {
      if (!open) return size;
      const symbol = `${name}d${i}`;
      symbols.set(symbol, size);
      return symbol;
    });
    const length = elementCount(shape);
    const draw = () => {
      const x = random.uniform(low, high);
      return isFloat(dtype) ? x : dtype === "bool" ? Number(x < (low + high) / 2) : Math.floor(x);
    };
    const content = dtype === "string"
      ? { dtype, shape, data: allocate("string", length) }
      : tensor(dtype, shape, Array.from({ length }, draw));
    feeds[name] = content;
    return graph.input(name, dtype, dims);
  };
  const int = (low: number, high: number) => low + random.int(high - low + 1);
  const built = build({
    graph,
    random,
    int,
    input: (shape, dtype = "float32", low = -2, high = 2) => declare(shape, dtype, low, high, symbolic),
    fixed: (shape, dtype = "float32", low = -2, high = 2) => declare(shape, dtype, low, high, false),
    shape: (rank, most = 5) => Array.from({ length: rank }, () => int(1, most)),
  });
  const values = "graph" in built ? [built] : built;
  const outputs = values.map((value) => graph.output(value, value.kind === "node" ? undefined : `${value.name}_out`));
  return { graph, outputs, feeds, symbols };
}

function compare(inferred: Value, found: Tensor, symbols: ReadonlyMap<string, number>, place: string): void {
  assert.equal(inferred.dtype, found.dtype, `${place}: ${inferred}`);
  const expected = evaluateShape(inferred.shape, symbols);
  const message = `${place}: inferred ${inferred}, that is ${formatShape(expected.map((dim) => dim ?? "?"))}`;
  assert.equal(expected.length, found.shape.length, `${message}, found ${formatShape(found.shape)}`);
  expected.forEach((size, i) => {
    if (size !== undefined) assert.equal(size, found.shape[i], `${message}, found ${formatShape(found.shape)}`);
  });
  const elements = inferred.elements && evaluateShape(inferred.elements, symbols);
  if (elements) {
    const numbers = toNumbers(found);
    elements.forEach((element, i) => {
      if (element !== undefined) assert.ok(Math.abs(element - numbers[i]!) < 1e-5, `${message}: element ${i}`);
    });
  }
}

/** The sizes with numbers in place of symbols; undefined for those known only at run time. */
export function evaluateShape(shape: Shape, symbols: ReadonlyMap<string, number>): (number | undefined)[] {
  return shape.map((dim) => {
    if (typeof dim === "number") return dim;
    const text = dim.replace(/x\d+d\d+/g, (symbol) => String(symbols.get(symbol)))
      .replace(/\b(floor|ceil|max)\b/g, "Math.$1");
    return /^(?:[\d+\-*/(),. ]|Math\.(?:floor|ceil|max))+$/.test(text)
      ? Number(new Function(`return ${text}`)())
      : undefined;
  });
}
