/** For tests only: gradients of small graphs on ONNX Runtime, and their check against central finite differences. */

import assert from "node:assert/strict";
import {
  type DType,
  elementCount,
  Graph,
  isFloat,
  mul,
  reduceSum,
  type Tensor,
  tensor,
  toModel,
  toNumbers,
  type Value,
} from "../onnx/mod.ts";
import { type Device, openSession, type Random, type Session } from "../runtime/mod.ts";
import { gradients } from "./mod.ts";

/** An input of a graph under test. */
export interface CheckedInput {
  readonly shape: readonly number[];
  /** Default: the case's floating-point type. Integers and booleans need `data`. */
  readonly dtype?: DType;
  /** The elements. Default: drawn by `sample`, `distinct` or from `low` … `high`. */
  readonly data?: readonly number[];
  /** Range of uniform elements. Default: −2 … 2. */
  readonly low?: number;
  readonly high?: number;
  /** Draws one element: to stay clear of kinks and poles. */
  readonly sample?: (random: Random) => number;
  /** Elements at least 0.05 apart in random order: for maxima, which have a kink where two are equal. */
  readonly distinct?: boolean;
  /** Default: true for floating-point inputs. */
  readonly differentiate?: boolean;
  /** The shape in the graph, with symbols; default: `shape`. */
  readonly declared?: readonly (number | string)[];
}

/** A graph under test: named inputs, and how outputs are made of them. */
export interface GradientCase {
  readonly inputs: Readonly<Record<string, CheckedInput>>;
  readonly build: (inputs: Record<string, Value>, graph: Graph) => Value | readonly Value[];
  /** Default: "float64"; "float32" for operators of which ONNX Runtime has no float64 kernel. */
  readonly dtype?: "float64" | "float32";
  readonly device?: Device;
  /** Values to keep, by function of the built inputs' graph: see GradientsOptions.checkpoint. */
  readonly checkpoint?: (graph: Graph) => readonly Value[];
}

/** How the outputs are weighted in the loss Σ w · y: an own weight an element, one for whole axes, or 1. */
export type Weighting = "full" | "compact" | "uniform";

/** What `checkGradient` takes besides the case. */
export interface CheckOptions {
  readonly random: Random;
  readonly weighting?: Weighting;
  /** Half the distance of the two points of a difference. Default: 1e-5 for float64, 1e-2 for float32. */
  readonly step?: number;
  /** Largest difference, relative to the larger of 1 and the derivative. Default: 1e-6 for float64, 2e-3 for float32. */
  readonly tolerance?: number;
}

/** Numbers by name. */
export type Numbers = Record<string, readonly number[]>;

/** A compiled case: run it on elements of its inputs. */
export interface CompiledCase {
  readonly graph: Graph;
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Names of the inputs with a gradient. */
  readonly wrt: readonly string[];
  /** The loss, worked out in double precision from the outputs, the outputs, and the gradients of the inputs. */
  run(inputs?: Readonly<Record<string, Tensor>>): Promise<{ loss: number; outputs: number[][]; gradients: Numbers }>;
  release(): Promise<void>;
}

const DEFAULTS = { float64: { step: 1e-5, tolerance: 1e-6 }, float32: { step: 1e-2, tolerance: 2e-3 } } as const;

/** Builds the graph and its gradient and opens one session with both. */
export async function compileCase(
  gradientCase: GradientCase,
  { random, weighting = "full" }: Pick<CheckOptions, "random" | "weighting">,
): Promise<CompiledCase> {
  const { dtype = "float64", device } = gradientCase;
  const graph = new Graph("case");
  const tensors: Record<string, Tensor> = {}, values: Record<string, Value> = {};
  for (const [name, input] of Object.entries(gradientCase.inputs)) {
    const type = input.dtype ?? dtype;
    tensors[name] = tensor(type, input.shape, input.data ?? draw(input, random));
    values[name] = graph.input(name, type, input.declared ?? input.shape);
  }
  const wrt = Object.keys(values).filter((name) =>
    isFloat(values[name]!.dtype) && gradientCase.inputs[name]!.differentiate !== false
  );
  const built = gradientCase.build(values, graph);
  const outputs = "graph" in built ? [built] : built;
  const weights: (Tensor | undefined)[] = [];
  let loss: Value | undefined;
  for (const [i, output] of outputs.entries()) {
    let term = output;
    if (weighting !== "uniform") {
      // A size that is not known before the run takes one weight for the whole axis.
      const shape = output.shape.map((dim) =>
        typeof dim === "string" || (weighting === "compact" && random.chance(0.6)) ? 1 : dim
      );
      const weight = tensor(output.dtype, shape, normals(elementCount(shape), random));
      weights.push(weight);
      const fed = graph.input(`weight${i}`, output.dtype, shape);
      tensors[fed.name] = weight;
      term = mul(output, fed);
    } else weights.push(undefined);
    const sum = reduceSum(term);
    loss = loss ? graph.node("Add", [loss, sum])[0]! : sum;
  }
  const results = gradients(loss!, wrt.map((name) => values[name]!), {
    ...(device ? { device } : {}),
    ...(gradientCase.checkpoint ? { checkpoint: gradientCase.checkpoint(graph) } : {}),
  });
  results.forEach((result, i) => {
    const wanted = values[wrt[i]!]!;
    assert.deepEqual(result.shape, wanted.shape, `gradient of ${wrt[i]} has the input's shape`);
    graph.output(result, `gradient/${wrt[i]}`);
  });
  outputs.forEach((output, i) => graph.output(output, `output/${i}`));
  const session = await open(graph, 1);
  return {
    graph,
    inputs: tensors,
    wrt,
    async run(given = tensors) {
      const fetched = await session.run({ ...tensors, ...given });
      const found: number[][] = [];
      let total = 0;
      outputs.forEach((_, i) => {
        const output = fetched[`output/${i}`]!;
        const y = toNumbers(output);
        found.push(y);
        total += weightedSum(y, output.shape, weights[i]);
      });
      const gradient: Record<string, readonly number[]> = {};
      for (const name of wrt) {
        const result = fetched[`gradient/${name}`]!;
        assert.deepEqual([...result.shape], [...tensors[name]!.shape], `gradient of ${name} has its shape at run time`);
        gradient[name] = toNumbers(result);
      }
      return { loss: total, outputs: found, gradients: gradient };
    },
    release: () => session.dispose(),
  };
}

/**
 * Compares the gradients of a case with central differences: along random directions of all inputs at once, along one of
 * each input, and for some single elements. Throws AssertionError with the place and both numbers.
 */
export async function checkGradient(gradientCase: GradientCase, options: CheckOptions): Promise<void> {
  const { random } = options;
  const defaults = DEFAULTS[gradientCase.dtype ?? "float64"];
  const { step = defaults.step, tolerance = defaults.tolerance } = options;
  const compiled = await compileCase(gradientCase, options);
  try {
    const { gradients: analytic } = await compiled.run();
    const directions: { place: string; direction: Numbers }[] = [];
    const zero = (name: string) => new Array<number>(compiled.inputs[name]!.data.length).fill(0);
    const drawn = (name: string) => zero(name).map(() => random.normal());
    directions.push({
      place: "all inputs",
      direction: Object.fromEntries(compiled.wrt.map((name) => [name, drawn(name)])),
    });
    for (const name of compiled.wrt) {
      const length = compiled.inputs[name]!.data.length;
      if (length === 0) continue;
      if (compiled.wrt.length > 1) directions.push({ place: name, direction: { [name]: drawn(name) } });
      for (let i = 0; i < Math.min(3, length); i++) {
        const at = random.int(length), unit = zero(name);
        unit[at] = 1;
        directions.push({ place: `${name}[${at}]`, direction: { [name]: unit } });
      }
    }
    for (const { place, direction } of directions) {
      let expected = 0, scale = 1;
      for (const [name, along] of Object.entries(direction)) {
        along.forEach((d, i) => {
          const term = d * analytic[name]![i]!;
          expected += term;
          scale = Math.max(scale, Math.abs(term));
        });
      }
      const ahead = await compiled.run(moved(compiled.inputs, direction, step));
      const behind = await compiled.run(moved(compiled.inputs, direction, -step));
      const found = (ahead.loss - behind.loss) / (2 * step);
      const problem = `derivative along ${place}: gradient graph ${expected}, central difference ${found}`;
      assert.ok(Math.abs(found - expected) <= tolerance * scale, problem); // false for NaN too
    }
  } finally {
    await compiled.release();
  }
}

/** Runs many seeded cases, each under another weighting of the outputs; a failure names the case's number. */
export async function checkGradients(
  count: number,
  random: Random,
  make: (random: Random, index: number) => GradientCase,
  options: Omit<CheckOptions, "random" | "weighting"> = {},
): Promise<void> {
  const weightings: readonly Weighting[] = ["full", "compact", "uniform"];
  for (let i = 0; i < count; i++) {
    const own = random.fork("case", i);
    const made = make(own, i);
    try {
      await checkGradient(made, { ...options, random: own, weighting: weightings[i % weightings.length]! });
    } catch (error) {
      const shapes = Object.entries(made.inputs).map(([name, { shape }]) => `${name} [${shape}]`).join(", ");
      throw new Error(`case ${i} (${shapes}, ${weightings[i % 3]}): ${(error as Error).message}`, { cause: error });
    }
  }
}

/** The output and the gradients of a case with one output, for a given gradient of that output (row-major). */
export async function runCase(
  gradientCase: GradientCase,
  outputGradient: readonly number[],
  random: Random,
): Promise<{ output: readonly number[]; gradients: Numbers }> {
  const compiled = await compileCase(gradientCase, { random });
  try {
    const { dtype, shape } = compiled.inputs.weight0!;
    const { outputs, gradients } = await compiled.run({ weight0: tensor(dtype, shape, outputGradient) });
    return { output: outputs[0]!, gradients };
  } finally {
    await compiled.release();
  }
}

/** Runs a graph once on the CPU; returns its outputs by name. */
export async function runGraph(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  { threads = 1 }: { readonly threads?: number } = {},
): Promise<Record<string, Tensor>> {
  await using session = await open(graph, threads);
  return await session.run(feeds);
}

/** Throws AssertionError unless all numbers agree: |a − b| ≤ tolerance · max(1, |b|). */
export function assertClose(
  found: readonly number[],
  expected: readonly number[],
  tolerance: number,
  place = "",
): void {
  assert.equal(found.length, expected.length, `${place}: number of elements`);
  found.forEach((a, i) => {
    const b = expected[i]!;
    if (Object.is(a, b)) return;
    assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${place}[${i}]: found ${a}, expected ${b}`);
  });
}

/** A random shape of some rank with sizes low … high. */
export function randomShape(random: Random, rank: number, low = 1, high = 4): number[] {
  return Array.from({ length: rank }, () => low + random.int(high - low + 1));
}

/** Shapes that broadcast to `shape`: axes turned to 1, leading axes left out. The first keeps enough to give all. */
export function broadcastable(random: Random, shape: readonly number[]): number[] {
  const drop = random.chance(0.4) ? random.int(shape.length + 1) : 0;
  return shape.slice(drop).map((size) => random.chance(0.3) ? 1 : size);
}

function open(graph: Graph, threads: number): Promise<Session> {
  return openSession(toModel(graph), { threads, arena: false, name: graph.name });
}

function draw(input: CheckedInput, random: Random): number[] {
  const count = elementCount(input.shape);
  if (input.distinct) {
    return random.shuffle(Array.from({ length: count }, (_, i) => (i - count / 2 + random.uniform(0.1, 0.9)) * 0.25));
  }
  const { low = -2, high = 2, sample = (source: Random) => source.uniform(low, high) } = input;
  return Array.from({ length: count }, () => sample(random));
}

function normals(count: number, random: Random): number[] {
  return Array.from({ length: count }, () => random.normal());
}

function moved(inputs: Readonly<Record<string, Tensor>>, direction: Numbers, step: number): Record<string, Tensor> {
  const result: Record<string, Tensor> = { ...inputs };
  for (const [name, along] of Object.entries(direction)) {
    const { dtype, shape } = inputs[name]!;
    result[name] = tensor(dtype, shape, toNumbers(inputs[name]!).map((x, i) => x + step * along[i]!));
  }
  return result;
}

/** Σ w · y, with w broadcast to y's shape; Σ y without w. */
function weightedSum(y: readonly number[], dims: readonly number[], weight: Tensor | undefined): number {
  if (!weight) return y.reduce((sum, element) => sum + element, 0);
  const w = toNumbers(weight), offset = dims.length - weight.shape.length;
  const place = new Array<number>(dims.length).fill(0);
  let sum = 0;
  for (const element of y) {
    let at = 0;
    weight.shape.forEach((size, axis) => at = at * size + (size === 1 ? 0 : place[axis + offset]!));
    sum += element * w[at]!;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      if (++place[axis]! < dims[axis]!) break;
      place[axis] = 0;
    }
  }
  return sum;
}
