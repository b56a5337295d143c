/** Tensors: conversion of elements and the refusal of wrong counts. */

import assert from "node:assert/strict";
import { allocate, type DType, elementSize, isDType, isFloat, tensor, toNumbers, zeros } from "./tensor.ts";

Deno.test("elements are converted to the type, and a fitting array is taken without a copy", () => {
  assert.deepEqual(tensor("int64", [2], [1, -2]).data, new BigInt64Array([1n, -2n]));
  assert.deepEqual(tensor("bool", [2], [true, false]).data, new Uint8Array([1, 0]));
  assert.deepEqual(toNumbers(tensor("float16", [1], [0.1])), [0.0999755859375]); // the nearest float16 (IEEE 754)
  const data = new Float32Array(4);
  assert.equal(tensor("float32", [2, 2], data).data, data);
  assert.deepEqual(toNumbers(zeros("uint8", [3])), [0, 0, 0]);
});

Deno.test("a wrong count or size is refused", () => {
  assert.throws(() => tensor("float32", [2, 2], [1, 2, 3]), {
    name: "InputError",
    message: "tensor: expected 4 elements for shape [2, 2], found 3",
  });
  assert.throws(() => tensor("float32", [1.5], [1]), /sizes that are whole numbers from 0, found \[1.5\]$/);
  assert.throws(
    () => toNumbers(tensor("string", [1], allocate("string", 1))),
    /expected a tensor of numbers, found string$/,
  );
});

Deno.test("types have the sizes of their elements", () => {
  const sizes: Partial<Record<DType, number>> = {
    float64: 8,
    float32: 4,
    float16: 2,
    bfloat16: 2,
    int64: 8,
    bool: 1,
    string: 0,
  };
  for (const [dtype, size] of Object.entries(sizes)) assert.equal(elementSize(dtype as DType), size);
  assert.ok(isDType("int8") && !isDType("complex64") && !isDType("toString"));
  assert.ok(isFloat("bfloat16") && !isFloat("int32"));
});
