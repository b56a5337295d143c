/**
 * The gradients of the convolution family against PyTorch's, recorded in float64 by
 * tests/peers/record_convolution_gradients.py; ours are float32, so that 1e-5 of the largest element is their rounding.
 */

import assert from "node:assert/strict";
import {
  add,
  averagePool,
  batchNormalizationTraining,
  conv,
  convTranspose,
  depthToSpace,
  Graph,
  instanceNormalization,
  layerNormalization,
  leakyRelu,
  logSoftmax,
  matMul,
  maxPool,
  mul,
  neg,
  pad,
  pRelu,
  reduceMean,
  reduceSum,
  resize,
  type Tensor,
  tensor,
  toNumbers,
  type Value,
} from "../../onnx/mod.ts";
import { assertClose, runGraph } from "../gradient_check.ts";
import { gradients, poolFirst } from "../mod.ts";
import recorded from "./convolution_recorded.json" with { type: "json" };

interface Plain {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

type Options = Readonly<Record<string, unknown>>;
type Inputs = Readonly<Record<string, Value>>;

/** Reads an option that the recording is known to hold. */
const option = <T>(options: Options, name: string): T => options[name] as T;

const OPERATORS: Readonly<Record<string, (inputs: Inputs, options: Options) => Value>> = {
  conv: ({ x, w, bias }, options) => conv(x!, w!, { ...options, ...(bias ? { bias } : {}) }),
  convTranspose: ({ x, w }, options) => convTranspose(x!, w!, options),
  maxPool: ({ x }, options) => maxPool(x!, option(options, "kernel"), options),
  averagePool: ({ x }, options) => averagePool(x!, option(options, "kernel"), options),
  batchNorm: ({ x, scale, bias }) => trainedNormalisation(x!, scale!, bias!),
  instanceNorm: ({ x, scale, bias }) => instanceNormalization(x!, scale!, bias!),
  layerNorm: ({ x, scale, bias }, options) => layerNormalization(x!, scale!, bias!, options),
  resize: ({ x }, options) => resize(x!, options),
  pad: ({ x }, options) => pad(x!, option(options, "pads"), options),
  depthToSpace: ({ x }) => depthToSpace(x!, 2, { mode: "CRD" }),
  leakyRelu: ({ x }, options) => leakyRelu(x!, options),
  pRelu: ({ x, slope }) => pRelu(x!, x!.graph.node("Unsqueeze", [slope, x!.graph.ints([1])])[0]!),
};

function trainedNormalisation(x: Value, scale: Value, bias: Value): Value {
  // ONNX Runtime writes over running statistics and shares small constants of equal content: each is unlike the others.
  const channels = scale.staticShape[0]!;
  const running = (content: number) =>
    x.graph.constant(tensor("float32", [channels], new Array<number>(channels).fill(content + x.graph.nodes.length)));
  return batchNormalizationTraining(x, scale, bias, running(0.25), running(0.75), { momentum: 0 }).y;
}

function single({ shape, data }: Plain): Tensor {
  return tensor("float32", shape, data);
}

function compare(found: Tensor, expected: Plain, tolerance: number, place: string): void {
  assert.deepEqual(found.shape, expected.shape, place);
  const largest = Math.max(1e-3, ...expected.data.map(Math.abs));
  assertClose(toNumbers(found).map((x) => x / largest), expected.data.map((x) => x / largest), tolerance, place);
}

for (const [i, { op, options, inputs, weight, gradients: expected }] of recorded.cases.entries()) {
  Deno.test(`${op} ${JSON.stringify(options)} has PyTorch's gradients (case ${i})`, async () => {
    const graph = new Graph();
    const feeds: Record<string, Tensor> = {};
    const values: Record<string, Value> = {};
    for (const [name, content] of Object.entries(inputs)) {
      feeds[name] = single(content as Plain);
      values[name] = graph.input(name, "float32", feeds[name].shape);
    }
    const y = OPERATORS[op]!(values, options);
    const loss = reduceSum(mul(y, graph.constant(single(weight))));
    const names = Object.keys(expected);
    gradients(loss, names.map((name) => values[name]!)).forEach((gradient, k) =>
      graph.output(gradient, `d ${names[k]}`)
    );
    const results = await runGraph(graph, feeds);
    for (const [name, gradient] of Object.entries(expected)) {
      compare(results[`d ${name}`]!, gradient as Plain, 1e-5, `${op}: ${name}`);
    }
  });
}

for (const rewritten of [false, true]) {
  Deno.test(`a network of convolutions has PyTorch's loss and gradients${rewritten ? ", after poolFirst too" : ""}`, async () => {
    const { images, labels, loss, parameters, gradients: expected } = recorded.network;
    const graph = new Graph();
    const p = parameters.map((content, i) => graph.parameter(`p${i}`, single(content)));
    let x = graph.input("images", "float32", images.shape);
    for (const [w, scale, bias] of [p.slice(0, 3), p.slice(3, 6)]) {
      x = conv(x, w!, { pads: 1 });
      x = maxPool(leakyRelu(trainedNormalisation(x, scale!, bias!), { alpha: 0.1 }), 2, { strides: 2 });
    }
    const logits = add(matMul(reduceMean(x, { axes: [2, 3] }), p[6]!), p[7]!);
    const targets = labels.flatMap((label) => [0, 1, 2, 3, 4].map((k) => k === label ? 1 : 0));
    const likelihood = mul(logSoftmax(logits), graph.constant(tensor("float32", [labels.length, 5], targets)));
    const total = neg(reduceMean(reduceSum(likelihood, { axes: [1] })));
    graph.output(total, "loss");
    if (rewritten) assert.equal(poolFirst(graph), 2);
    gradients(graph.value("loss"), p).forEach((gradient, i) => graph.output(gradient, `d${i}`));
    const results = await runGraph(graph, { images: single(images) });
    assertClose(toNumbers(results["loss"]!), [loss], 1e-6, "loss");
    expected.forEach((gradient, i) => compare(results[`d${i}`]!, gradient, 2e-5, `gradient of p${i}`));
  });
}
