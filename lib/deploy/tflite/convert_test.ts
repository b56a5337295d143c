import assert from "node:assert/strict";
import { add, conv, dequantizeLinear, Graph, quantizeLinear, relu, sin, tensor, type Value } from "../../onnx/mod.ts";
import { transposed } from "./builder.ts";
import { checkEdgeTpu } from "./check.ts";
import { type TfliteOptions, toTflite } from "./convert.ts";
import { windowsOf } from "./window.ts";

/** A value through uint8 and back. */
function rounded(x: Value, scale: number, zero: number): Value {
  const constants = [
    x.graph.constant(tensor("float32", [], [scale])),
    x.graph.constant(tensor("uint8", [], [zero])),
  ] as const;
  return dequantizeLinear(quantizeLinear(x, ...constants), ...constants);
}

/** Constants of whole numbers with a scale a channel. */
function whole(
  graph: Graph,
  dtype: "int8" | "int32",
  shape: readonly number[],
  values: readonly number[],
  scales: readonly number[],
) {
  return dequantizeLinear(
    graph.constant(tensor(dtype, shape, [...values])),
    graph.constant(tensor("float32", [scales.length], [...scales])),
    graph.constant(tensor(dtype, [scales.length], scales.map(() => 0))),
    { axis: 0 },
  );
}

/** One convolution of 2 channels to 2 filters, 1x2, with known numbers. */
function oneConvolution(finish: (y: Value) => Value = (y) => rounded(relu(y), 0.5, 0)): Graph {
  const graph = new Graph("one"), images = graph.input("images", "float32", [1, 2, 3, 4]);
  const weight = whole(graph, "int8", [2, 2, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8], [0.25, 0.5]);
  const bias = whole(graph, "int32", [2], [10, -20], [0.03125, 0.0625]);
  const y = conv(rounded(images, 0.125, 100), weight, { bias, name: "layer" });
  graph.output(finish(y), "out");
  return graph;
}

Deno.test("weights lie as filters, rows, columns, channels; uint8 moves by 128; a bias has the scale input · weight", () => {
  const { tensors, operators, inputs, outputs } = toTflite(oneConvolution());
  assert.deepEqual(operators.map(({ code }) => code), ["CONV_2D"]);
  const [x, weight, bias] = operators[0]!.inputs.map((index) => tensors[index]!),
    result = tensors[operators[0]!.outputs[0]!]!;
  assert.deepEqual([inputs, outputs], [[operators[0]!.inputs[0]], operators[0]!.outputs]);
  assert.deepEqual([x!.shape, x!.quantization], [[1, 3, 4, 2], { scales: [0.125], zeroPoints: [-28], axis: 0 }]);
  assert.deepEqual([weight!.shape, [...weight!.data!]], [[2, 1, 2, 2], [1, 3, 2, 4, 5, 7, 6, 8]]);
  assert.deepEqual(weight!.quantization, { scales: [0.25, 0.5], zeroPoints: [0, 0], axis: 0 });
  assert.deepEqual([...new Int32Array(bias!.data!.slice().buffer)], [10, -20]);
  assert.deepEqual(bias!.quantization, { scales: [0.03125, 0.0625], zeroPoints: [0, 0], axis: 0 });
  assert.deepEqual([result.shape, result.quantization], [[1, 3, 3, 2], { scales: [0.5], zeroPoints: [-128], axis: 0 }]);
  assert.deepEqual([operators[0]!.options.padding, operators[0]!.options.activation], ["VALID", "NONE"]); // −128 is 0: Relu is in the range
});

Deno.test("a Relu whose work the range does not do is fused", () => {
  const { operators } = toTflite(oneConvolution((y) => rounded(relu(y), 0.5, 10)));
  assert.deepEqual(operators.map(({ code, options }) => [code, options.activation]), [["CONV_2D", "RELU"]]);
});

Deno.test("the border in float32 has a QUANTIZE and a DEQUANTIZE, and is none of the Edge TPU's", () => {
  const model = toTflite(oneConvolution(), { border: "float32" });
  assert.deepEqual(model.operators.map(({ code }) => code), ["QUANTIZE", "CONV_2D", "DEQUANTIZE"]);
  assert.deepEqual([...model.inputs, ...model.outputs].map((index) => model.tensors[index]!.type), [
    "FLOAT32",
    "FLOAT32",
  ]);
  assert.equal(checkEdgeTpu(model).fits, false);
});

Deno.test("graphs in float32, of open sizes and with other operators are refused in one line that names the place", () => {
  const float = new Graph("float");
  float.output(relu(float.input("images", "float32", [1, 3, 4, 4])), "out");
  const open = new Graph("open");
  open.output(rounded(open.input("images", "float32", ["N", 3, 4, 4]), 1, 0), "out");
  const cases: [Graph, RegExp, TfliteOptions?][] = [
    [float, /^float: expected a graph quantized to int8 \(quantizeStatic\), found one in float32$/],
    [open, /^open: expected fixed sizes, also of the batch, found "images" \[N, 3, 4, 4\]/],
    [oneConvolution((y) => rounded(sin(rounded(y, 1, 0)), 1, 0)), /^one: Sin .*: expected an operator .*, found Sin$/],
    [oneConvolution((y) => y), /^one: Conv layer: expected a result in int8 .*, found float32/],
    [oneConvolution((y) => rounded(add(y, y), 1, 0)), /^one: Conv layer: expected a result in int8/],
  ];
  for (const [graph, message, options] of cases) assert.throws(() => toTflite(graph, options), { message });
});

Deno.test("SAME where it puts the zeros where ONNX has them, else zeros of their own", () => {
  const windows = (size: number, kernel: number, strides: number, pads: number[]) => {
    const graph = new Graph("windows"), x = graph.input("x", "float32", [1, 1, size, size]);
    const weight = graph.parameter("w", {
      shape: [1, 1, kernel, kernel],
      init: () => new Float32Array(kernel * kernel),
    });
    const node = conv(x, weight, { strides, pads }).producer!;
    const { padding, pads: own } = windowsOf(node, [size, size], [kernel, kernel], "here");
    return [padding, own && [...own]];
  };
  // TensorFlow's SAME: ⌈224 / 2⌉ = 112 results, (112 − 1) · 2 + 3 − 224 = 1 row of zeros, at the end (tf.nn, "Padding").
  assert.deepEqual(windows(224, 3, 2, [0, 0, 1, 1]), ["SAME", undefined]);
  assert.deepEqual(windows(224, 3, 2, [1, 1, 1, 1]), ["VALID", [1, 1, 1, 1]]);
  assert.deepEqual(windows(225, 3, 2, [1, 1, 1, 1]), ["SAME", undefined]); // 113 results: 2 rows, one on each side
  assert.deepEqual(windows(8, 3, 1, [1, 1, 1, 1]), ["SAME", undefined]);
  assert.deepEqual(windows(8, 3, 1, [0, 0, 0, 0]), ["VALID", undefined]);
});

Deno.test("dimensions change places", () => {
  assert.deepEqual([...transposed(Int8Array.of(1, 2, 3, 4, 5, 6), [2, 3], [1, 0])], [1, 4, 2, 5, 3, 6]);
  assert.deepEqual([...transposed(Int8Array.of(1, 2, 3, 4, 5, 6, 7, 8), [2, 2, 2], [2, 0, 1])], [
    1,
    3,
    5,
    7,
    2,
    4,
    6,
    8,
  ]);
});
