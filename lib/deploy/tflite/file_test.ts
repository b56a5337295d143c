import assert from "node:assert/strict";
import { InputError } from "../../runtime/mod.ts";
import type { TfliteModel } from "./model.ts";
import { readTflite } from "./read.ts";
import { OPERATORS, OPTION_TABLES } from "./schema.ts";
import { writeTflite } from "./write.ts";

const scaled = (scale: number, zeroPoint: number) => ({ scales: [scale], zeroPoints: [zeroPoint], axis: 0 });

/** A convolution with two filters and a softmax: constants of odd lengths, options that are and are not the default. */
const MODEL: TfliteModel = {
  description: "by hand",
  minRuntime: "1.14.0",
  inputs: [0],
  outputs: [4],
  tensors: [
    { name: "images", shape: [1, 4, 4, 1], type: "INT8", quantization: scaled(0.5, -128) },
    {
      ...{ name: "weight", shape: [2, 1, 1, 1], type: "INT8", data: Uint8Array.of(3, 0xfd) },
      quantization: { scales: [0.25, 0.125], zeroPoints: [0, 0], axis: 0 },
    },
    { name: "bias", shape: [1], type: "INT32", data: Uint8Array.of(1, 0, 0, 0), quantization: scaled(0.125, 0) },
    { name: "maps", shape: [1, 2, 4, 2], type: "INT8", quantization: scaled(2, 7) },
    { name: "answer", shape: [1, 2, 4, 2], type: "INT8", quantization: scaled(1 / 256, -128) },
  ],
  operators: [
    {
      ...{ code: "CONV_2D", version: 3, inputs: [0, 1, 2], outputs: [3] },
      options: { padding: "VALID", strideW: 1, strideH: 2, activation: "RELU6", dilationW: 1, dilationH: 1 },
    },
    { code: "SOFTMAX", version: 2, inputs: [3], outputs: [4], options: { beta: 1 } },
  ],
};

Deno.test("what is written is read again, every table and field", () => {
  assert.deepEqual(readTflite(writeTflite(MODEL)), MODEL);
});

Deno.test("the same model gives the same bytes; constants lie at multiples of 16", () => {
  const bytes = writeTflite(MODEL), again = writeTflite(MODEL);
  assert.deepEqual(bytes, again);
  assert.equal(new TextDecoder().decode(bytes.subarray(4, 8)), "TFL3");
  for (const tensor of readTflite(bytes).tensors) {
    if (tensor.data) assert.equal((tensor.data.byteOffset - bytes.byteOffset) % 16, 0, tensor.name);
  }
});

Deno.test("a file cut off anywhere is refused in one line or, behind its last byte of use, read", () => {
  const bytes = writeTflite(MODEL);
  for (let length = 0; length < bytes.length; length++) {
    try {
      readTflite(bytes.slice(0, length), { name: "cut.tflite" });
    } catch (error) {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, /^cut\.tflite: expected [^\n]+, found [^\n]+$/);
    }
  }
  assert.throws(
    () => readTflite(bytes.slice(0, 200)),
    /expected a whole file, found one whose 200 bytes end before byte/,
  );
  assert.throws(() => readTflite(new TextEncoder().encode("no such thing")), /expected a TFLite file .*, found "uch "/);
});

Deno.test("any bytes changed give another model or one line, and no endless work", () => {
  const bytes = writeTflite(MODEL);
  for (let i = 0; i < bytes.length; i++) {
    const changed = bytes.slice();
    changed[i]! ^= 0xff;
    try {
      readTflite(changed);
    } catch (error) {
      assert.ok(error instanceof InputError, `byte ${i}: ${error}`);
    }
  }
});

Deno.test("an operator or option outside the schema's part is refused", () => {
  const [conv, softmax] = MODEL.operators;
  const withOperator = (operator: TfliteModel["operators"][number]) =>
    writeTflite({ ...MODEL, operators: [conv!, operator] });
  assert.throws(
    () => withOperator({ ...softmax!, code: "FFT" }),
    /expected an operator of the schema's part, found FFT/,
  );
  assert.throws(() => withOperator({ ...softmax!, options: { axis: 1 } }), /SoftmaxOptions: expected beta, found axis/);
});

Deno.test("numbers of operators and tables are those of TFLite's schema", () => {
  // tensorflow/lite/schema/schema.fbs, BuiltinOperator and BuiltinOptions.
  const code = (name: keyof typeof OPERATORS) => OPERATORS[name].code;
  assert.deepEqual(
    ["ADD", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "PAD", "MEAN", "QUANTIZE"].map((each) => code(each as "ADD")),
    [
      ...[0, 3, 9, 25, 34, 40, 114],
    ],
  );
  assert.deepEqual([OPTION_TABLES.Pool2DOptions.type, OPTION_TABLES.ReducerOptions.type], [5, 27]);
});
