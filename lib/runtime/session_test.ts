/** Sessions: results, in-place updates, and one-line errors. Models are built by hand, as lib/onnx stands above. */

import assert from "node:assert/strict";
import { openSession } from "./session.ts";
import { tensor } from "./tensor.ts";

/** y = a + b on float32 [2], as the bytes of an ONNX file: protobuf fields written out (onnx.proto, IR 8, opset 17). */
function addModel(): Uint8Array {
  const text = (value: string) => [...new TextEncoder().encode(value)];
  const field = (number: number, bytes: number[]) => [number << 3 | 2, bytes.length, ...bytes];
  const type = field(1, [0x08, 1, ...field(2, field(1, [0x08, 2]))]); // tensor_type{elem_type=1, shape{dim{dim_value=2}}}
  const port = (name: string) => [...field(1, text(name)), ...field(2, type)];
  const node = [...field(1, text("a")), ...field(1, text("b")), ...field(2, text("y")), ...field(4, text("Add"))];
  const graph = [
    ...field(1, node),
    ...field(2, text("g")),
    ...field(11, port("a")),
    ...field(11, port("b")),
    ...field(12, port("y")),
  ];
  return new Uint8Array([0x08, 8, ...field(8, [0x10, 17]), ...field(7, graph)]);
}

const pair = (a: number, b: number) => tensor("float32", [2], [a, b]);

Deno.test("a session returns the sum of its inputs and knows its ports", async () => {
  await using session = await openSession(addModel(), { threads: 1, name: "sum" });
  assert.deepEqual(session.inputs.map((input) => [input.name, input.dtype, input.shape]), [
    ["a", "float32", [2]],
    ["b", "float32", [2]],
  ]);
  const { y } = await session.run({ a: pair(1, 2), b: pair(10, 20) });
  assert.deepEqual(y, pair(11, 22));
});

Deno.test("an output written into an input's own tensor updates it in place", async () => {
  await using session = await openSession(addModel(), { threads: 1 });
  const weights = pair(1, 2);
  for (let step = 0; step < 3; step++) {
    const { y } = await session.run({ a: weights, b: pair(1, 1) }, { into: { y: weights } });
    assert.equal(y, weights);
  }
  assert.deepEqual([...weights.data], [4, 5]);
});

Deno.test("wrong feeds are refused with the input's name, the expectation and the finding", async () => {
  await using session = await openSession(addModel(), { threads: 1, name: "sum" });
  const good = pair(1, 2);
  const cases: [Parameters<typeof session.run>[0], RegExp][] = [
    [{ a: good }, /^sum: expected a tensor for input "b", found none$/],
    [{ a: good, b: good, c: good }, /^sum: expected inputs a, b, found "c"$/],
    [{ a: good, b: tensor("float32", [3], [1, 2, 3]) }, /input "b": expected float32 \[2\], found float32 \[3\]$/],
    [{ a: good, b: tensor("int32", [2], [1, 2]) }, /input "b": expected float32 \[2\], found int32 \[2\]$/],
  ];
  for (const [feeds, message] of cases) {
    await assert.rejects(session.run(feeds), { name: "InputError", message });
  }
  await assert.rejects(session.run({ a: good, b: good }, { outputs: ["z"] }), /expected outputs y, found "z"/);
  await assert.rejects(session.run({ a: good, b: good }, { into: { z: good } }), /expected outputs y, found "z"/);
});

Deno.test("bytes that are no model, a missing file and a closed session are one-line errors", async () => {
  await assert.rejects(openSession(new Uint8Array([1, 2, 3]), { name: "junk" }), {
    name: "InputError",
    message: /^junk: expected a model that ONNX Runtime can load, found: [^\n]+$/,
  });
  await assert.rejects(openSession("/nowhere/model.onnx"), {
    name: "InputError",
    message: /^\/nowhere\/model\.onnx: /,
  });
  await assert.rejects(openSession(addModel(), { threads: 0 }), { name: "InputError" });
  const session = await openSession(addModel(), { threads: 1 });
  await session.dispose();
  await session.dispose();
  await assert.rejects(session.run({ a: pair(1, 2), b: pair(1, 2) }), { name: "WorkError" });
});

Deno.test("importing the runtime does not load ONNX Runtime's native library", async () => {
  const script = `await import(${JSON.stringify(import.meta.resolve("./mod.ts"))});
    const maps = await Deno.readTextFile("/proc/self/maps").catch(() => "");
    console.log(maps.includes("onnxruntime"));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", script],
    cwd: new URL("../..", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  assert.equal(new TextDecoder().decode(stdout).trim(), "false");
});
