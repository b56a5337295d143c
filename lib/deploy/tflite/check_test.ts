import assert from "node:assert/strict";
import { assertFitsEdgeTpu, checkEdgeTpu, EDGETPU } from "./check.ts";
import type { TfliteModel, TfliteOperator, TfliteTensor } from "./model.ts";

const int8 = (name: string, shape: readonly number[], more: Partial<TfliteTensor> = {}): TfliteTensor => ({
  ...{ name, shape, type: "INT8", quantization: { scales: [1], zeroPoints: [0], axis: 0 } },
  ...more,
});

const int32 = (name: string, ...values: number[]): TfliteTensor => ({
  ...{ name, shape: [values.length], type: "INT32", data: new Uint8Array(Int32Array.from(values).buffer) },
});

/** One operator from the first tensor to the last. */
function one(code: string, tensors: readonly TfliteTensor[], options: TfliteOperator["options"] = {}): TfliteModel {
  const last = tensors.length - 1, inputs = tensors.slice(0, -1).map((_, i) => i);
  const operators = [{ code, version: 1, inputs, outputs: [last], options }];
  return { description: "", minRuntime: "", tensors, operators, inputs: [0], outputs: [last] };
}

const map = [1, 8, 8, 4];

/** What is found, as "operator: what". */
const found = (model: TfliteModel) => checkEdgeTpu(model).problems.map(({ operator, what }) => `${operator}: ${what}`);

Deno.test("what the Edge TPU does not run is named with its operator, the reason and a way out", () => {
  const leaky = one("LEAKY_RELU", [int8("x", map), int8("leaky", map)]);
  assert.throws(() => assertFitsEdgeTpu("student", checkEdgeTpu(leaky)), {
    message: "student: does not fit on an Edge TPU: leaky: expected an operator of the Edge TPU, found LEAKY_RELU " +
      "(the larger of x and alpha · x, MAXIMUM and MUL)",
  });
  const weight = int8("weight", [2, 4], {
    data: new Uint8Array(8),
    quantization: { scales: [1, 2], zeroPoints: [0, 0], axis: 0 },
  });
  assert.deepEqual(found(one("FULLY_CONNECTED", [int8("x", [1, 4]), weight, int8("y", [1, 2])])), [
    "y: FULLY_CONNECTED: expected one scale for all weights, found 2",
  ]);
  assert.deepEqual(
    found(one("CONV_2D", [int8("x", map), int8("w", [4, 1, 1, 4]), int8("y", map)], { dilationH: 1, dilationW: 2 })),
    [
      "y: CONV_2D: expected constant weights, found w, computed",
      "y: CONV_2D: expected one dilation for rows and columns, found 1 and 2",
    ],
  );
  assert.deepEqual(found(one("MEAN", [int8("x", map), int32("axes", 1, 3), int8("y", [1, 8])])), [
    "y: MEAN: expected rows and columns (1, 2) alone, found dimension 3",
  ]);
  assert.deepEqual(
    found(one("PAD", [int8("x", map), int32("pads", 0, 0, 1, 1, 0, 0, 0, 2), int8("y", [1, 10, 8, 6])])),
    [
      "y: PAD: expected rows and columns (1, 2) alone, found dimension 3",
    ],
  );
  assert.deepEqual(found(one("SOFTMAX", [int8("x", [1, 16001]), int8("y", [1, 16001])])), [
    "y: SOFTMAX: expected one row of at most 16000, found [1,16001]",
  ]);
  assert.deepEqual(found(one("MAX_POOL_2D", [int8("x", map), int8("y", map)], { activation: "RELU" })), [
    "y: MAX_POOL_2D: expected no fused activation, found RELU",
  ]);
});

Deno.test("float32, open sizes and batches are refused", () => {
  assert.deepEqual(found(one("RELU", [int8("x", map, { type: "FLOAT32" }), int8("y", map)])), [
    "x: expected int8 with a scale, found FLOAT32",
  ]);
  assert.deepEqual(found(one("RELU", [int8("x", [-1, 8, 8, 4]), int8("y", [2, 8, 8, 4])])), [
    "x: expected fixed sizes, found [-1,8,8,4]",
    "y: expected one picture, rows, columns and channels, found [2,8,8,4]",
  ]);
});

Deno.test("what is right is found right; parameters beyond the chip's memory are told and no fault", () => {
  const weight = int8("w", [4, 1, 1, 4], { data: new Uint8Array(EDGETPU.memory + 1) });
  const report = checkEdgeTpu(one("CONV_2D", [int8("x", map), weight, int8("y", map)], { dilationH: 1, dilationW: 1 }));
  assert.deepEqual([report.fits, report.isCached, report.parameterBytes], [true, false, EDGETPU.memory + 1]);
  assert.equal(report.largestActivation, 256);
  assert.deepEqual([...report.operators], [["CONV_2D", 1]]);
});
