/** Whether the Edge TPU's compiler can map a TFLite model, operator by operator, before any compiler is asked. */

import { elementCount, InputError } from "../../runtime/mod.ts";
import type { TfliteModel, TfliteOperator, TfliteTensor } from "./model.ts";

/** What the chip holds (coral.ai, "TensorFlow models on the Edge TPU", "Edge TPU compiler"). */
export const EDGETPU = {
  /**
   * Bytes of memory on the chip, for parameters that stay there and for the program. What does not fit comes from the host at every run,
   * which is slower and no fault.
   */
  memory: 8 * 2 ** 20,
  /** Elements of a softmax. */
  softmax: 16_000,
} as const;

/** What stands against running an operator on the chip. */
export interface EdgeTpuProblem {
  /** The operator's result, by its name; "the model" for what is wrong with all of it. */
  readonly operator: string;
  /** "expected an operator of the Edge TPU, found LEAKY_RELU". */
  readonly what: string;
  /** What to do about it. */
  readonly change: string;
}

/** The verdict. */
export interface EdgeTpuReport {
  /** Whether all of it can be mapped. Size is no condition: see `isCached`. */
  readonly fits: boolean;
  readonly problems: readonly EdgeTpuProblem[];
  /** How often each operator is there. */
  readonly operators: ReadonlyMap<string, number>;
  /** Bytes of weights, biases and other constants. */
  readonly parameterBytes: number;
  /** Bytes of the largest result. */
  readonly largestActivation: number;
  /** Whether the parameters have room on the chip, but for what the compiler takes for itself. */
  readonly isCached: boolean;
}

/** An operator with its tensors. */
interface Seen {
  readonly operator: TfliteOperator;
  readonly inputs: readonly TfliteTensor[];
  readonly outputs: readonly TfliteTensor[];
}

type Rule = (seen: Seen) => readonly [what: string, change: string] | undefined;

const unfused: Rule = ({ operator }) => {
  const found = operator.options.activation ?? "NONE";
  return found === "NONE"
    ? undefined
    : [`expected no fused activation, found ${found}`, "an operator of its own behind it"];
};

const weightsKnown: Rule = ({ inputs: [, ...weights] }) => {
  const computed = weights.find((each) => !each.data);
  return computed &&
    [`expected constant weights, found ${computed.name}, computed`, "weights that are fixed in the file"];
};

const scalesForAll: Rule = ({ inputs: [, weight] }) => {
  const scales = weight?.quantization?.scales.length ?? 1;
  return scales > 1
    ? [`expected one scale for all weights, found ${scales}`, "a convolution 1x1 in its place, which has one a channel"]
    : undefined;
};

/** Dimensions that a reduction or padding touches must be rows and columns. */
const onlyPlaces = (touched: (seen: Seen) => readonly number[]): Rule => (seen) => {
  const wrong = touched(seen).filter((axis) => axis !== 1 && axis !== 2);
  return wrong.length > 0
    ? [`expected rows and columns (1, 2) alone, found dimension ${wrong}`, "work on one place at a time"]
    : undefined;
};

const int32sOf = (tensor: TfliteTensor | undefined): number[] =>
  tensor?.data ? Array.from(new Int32Array(tensor.data.slice().buffer)) : [];

const SIMPLE = [
  "ADD",
  "EXPAND_DIMS",
  "L2_NORMALIZATION",
  "LOGISTIC",
  "LSTM",
  "MAXIMUM",
  "MINIMUM",
  "MUL",
  "PACK",
  "QUANTIZE",
];
const MORE = [
  "PRELU",
  "REDUCE_MAX",
  "REDUCE_MIN",
  "RELU",
  "RELU6",
  "RELU_N1_TO_1",
  "RESHAPE",
  "RESIZE_BILINEAR",
  "RSQRT",
];
const LAST = [
  "RESIZE_NEAREST_NEIGHBOR",
  "SLICE",
  "SPACE_TO_DEPTH",
  "SPLIT",
  "SQUARED_DIFFERENCE",
  "SQUEEZE",
  "SUB",
  "SUM",
  "TANH",
];

/** The chip's operators with their known limits, as Coral's table of supported operations has them. */
const RULES: ReadonlyMap<string, readonly Rule[]> = new Map<string, readonly Rule[]>([
  ...[...SIMPLE, ...MORE, ...LAST, "STRIDED_SLICE", "TRANSPOSE", "TRANSPOSE_CONV"].map((
    name,
  ): [string, Rule[]] => [name, []]),
  ["AVERAGE_POOL_2D", [unfused]],
  ["MAX_POOL_2D", [unfused]],
  ["CONCATENATION", [unfused, ({ inputs }) => {
    const constants = inputs.filter(({ data }) => data),
      isZero = constants.every(({ data }) => data!.every((byte) => byte === 0));
    const isFine = constants.length === 0 || (inputs.length === 2 && isZero);
    return isFine ? undefined : ["expected computed parts, or one of zeros among two, found constants", "zeros by PAD"];
  }]],
  ["CONV_2D", [
    weightsKnown,
    ({ operator: { options: { dilationH, dilationW } } }) =>
      dilationH === dilationW
        ? undefined
        : [`expected one dilation for rows and columns, found ${dilationH} and ${dilationW}`, "the same dilation"],
  ]],
  ["DEPTHWISE_CONV_2D", [
    weightsKnown,
    ({ operator: { options: { dilationH, dilationW } } }) =>
      dilationH === 1 && dilationW === 1
        ? undefined
        : [`expected no dilation, found ${dilationH} x ${dilationW}`, "a larger kernel, or a stride before it"],
  ]],
  ["FULLY_CONNECTED", [weightsKnown, scalesForAll, ({ operator, outputs: [result] }) => {
    const format = operator.options.weightsFormat ?? 0, rows = elementCount(result!.shape.slice(0, -1));
    if (format !== 0) return [`expected weights in the default format, found ${format}`, "weights as they are"];
    return rows === 1 ? undefined : [`expected one row of results, found ${rows}`, "a convolution 1x1"];
  }]],
  ["MEAN", [
    onlyPlaces(({ inputs: [x, axes] }) => int32sOf(axes).map((axis) => axis < 0 ? axis + x!.shape.length : axis)),
  ]],
  ["PAD", [onlyPlaces(({ inputs: [, pads] }) => {
    const around = int32sOf(pads);
    return around.flatMap((zeros, i) => zeros === 0 ? [] : [Math.floor(i / 2)]);
  })]],
  ["SOFTMAX", [({ inputs: [x] }) => {
    const elements = elementCount(x!.shape);
    const isRow = elements === x!.shape.at(-1) && elements <= EDGETPU.softmax;
    return isRow
      ? undefined
      : [`expected one row of at most ${EDGETPU.softmax}, found [${x!.shape}]`, "leave it to the runner"];
  }]],
]);

/** What to do about operators that are not the chip's. */
const INSTEAD: Readonly<Record<string, string>> = {
  LEAKY_RELU: "the larger of x and alpha · x, MAXIMUM and MUL",
  HARD_SWISH: "Relu, or x · Relu6(x + 3) / 6 of its parts",
  DEQUANTIZE: "int8 as the model's result, and the runner turns it to numbers",
};

const COMPUTED_WITH = ["INT8", "UINT8"];

/**
 * Checks a model: int8 or uint8 throughout, fixed sizes, operators of the chip within their limits. The compiler gives the processor the
 * first operator that it cannot map and everything behind it. Coral publishes its table without the compiler's source: what passes here
 * may still be left to the processor, e.g. for very large results.
 */
export function checkEdgeTpu(model: TfliteModel): EdgeTpuReport {
  const problems: EdgeTpuProblem[] = [], at = (index: number) => model.tensors[index]!;
  const computed = new Set([...model.inputs, ...model.operators.flatMap(({ outputs }) => outputs)]);
  for (const index of computed) {
    const tensor = at(index), found = wrongWith(tensor);
    if (found) problems.push({ operator: tensor.name, ...found });
  }
  for (const operator of model.operators) {
    const seen = { operator, inputs: operator.inputs.filter((i) => i >= 0).map(at), outputs: operator.outputs.map(at) };
    const name = seen.outputs[0]?.name ?? operator.code, rules = RULES.get(operator.code);
    if (!rules) {
      const change = INSTEAD[operator.code] ?? "other operators, or cut the model before it and finish in the runner";
      problems.push({ operator: name, what: `expected an operator of the Edge TPU, found ${operator.code}`, change });
    }
    for (const rule of rules ?? []) {
      const found = rule(seen);
      if (found) problems.push({ operator: name, what: `${operator.code}: ${found[0]}`, change: found[1] });
    }
  }
  const parameterBytes = model.tensors.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
  return {
    ...{ fits: problems.length === 0, problems, parameterBytes, isCached: parameterBytes <= EDGETPU.memory },
    operators: new Map([...Map.groupBy(model.operators, ({ code }) => code)].map(([code, all]) => [code, all.length])),
    largestActivation: Math.max(0, ...[...computed].map((index) => elementCount(at(index).shape))),
  };
}

/** Throws InputError, in one line with each operator's name, what is wrong with it and what to change, unless the model can be mapped. */
export function assertFitsEdgeTpu(
  name: string,
  { fits, problems }: EdgeTpuReport,
  { shown = 8 }: { readonly shown?: number } = {},
): void {
  if (fits) return;
  const lines = problems.slice(0, shown).map(({ operator, what, change }) => `${operator}: ${what} (${change})`);
  const more = problems.length > shown ? `; and ${problems.length - shown} more` : "";
  throw new InputError(`${name}: does not fit on an Edge TPU: ${lines.join("; ")}${more}`);
}

function wrongWith({ shape, type, quantization }: TfliteTensor): Omit<EdgeTpuProblem, "operator"> | undefined {
  if (shape.some((size) => size < 0)) {
    return { what: `expected fixed sizes, found [${shape}]`, change: "write the model for one picture of one size" };
  }
  if (!COMPUTED_WITH.includes(type) || !quantization) {
    return {
      what: `expected int8 with a scale, found ${type}`,
      change: "quantize all of it to int8, inputs and outputs too",
    };
  }
  if (shape.length > 3 && elementCount(shape.slice(0, -3)) !== 1) {
    return { what: `expected one picture, rows, columns and channels, found [${shape}]`, change: "a batch of 1" };
  }
  return undefined;
}
