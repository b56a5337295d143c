/** Safetensors: bytes as the format's description has them, all types, and hostile headers. */

import assert from "node:assert/strict";
import { type DType, Random, type Tensor, tensor } from "../runtime/mod.ts";
import { Graph } from "./graph.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  exportWeights,
  importWeights,
  readSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
} from "./safetensors.ts";

/** A file written by hand: header text and data. */
function file(header: string | object, content?: Uint8Array, length?: bigint): Uint8Array {
  const data = content ?? new Uint8Array();
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

const entry = (dtype: string, shape: unknown, offsets: unknown) => ({ dtype, shape, "data_offsets": offsets });

Deno.test("the bytes are those of the reference implementation, both ways", () => {
  // Python, safetensors 0.8.0: safetensors.numpy.save({"b": np.array([3], np.int64),
  //   "a": np.array([[1, 2]], np.float32)}, {"k": "v"}).hex()
  const recorded =
    "88000000000000007b225f5f6d657461646174615f5f223a7b226b223a2276227d2c2262223a7b226474797065223a2249" +
    "3634222c227368617065223a5b315d2c22646174615f6f666673657473223a5b302c385d7d2c2261223a7b226474797065223a22463332" +
    "222c227368617065223a5b312c325d2c22646174615f6f666673657473223a5b382c31365d7d7d20030000000000000000" +
    "00803f00000040";
  const bytes = Uint8Array.from(recorded.match(/../g)!, (pair) => parseInt(pair, 16));
  const { tensors, metadata } = decodeSafetensors(bytes);
  const expected = [["b", tensor("int64", [1], [3n])], ["a", tensor("float32", [1, 2], [1, 2])]] as const;
  assert.deepEqual([...tensors], expected);
  assert.equal(metadata["k"], "v");
  assert.deepEqual(encodeSafetensors(expected, { k: "v" }), bytes);
});

Deno.test("every type comes back with the same bits, and the data begin at a multiple of 8", async () => {
  const random = Random.seeded("safetensors");
  const dtypes: DType[] = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16"];
  const tensors = new Map<string, Tensor>();
  for (const dtype of [...dtypes, "uint32", "uint64", "bool"] as DType[]) {
    tensors.set(`w.${dtype}`, tensor(dtype, [2, 3], Array.from({ length: 6 }, () => random.int(2))));
  }
  tensors.set("w.bfloat16", { dtype: "bfloat16", shape: [2], data: new Uint16Array([0x3f80, 0xc000]) });
  tensors.set("scalar", tensor("float32", [], [0.5]));
  tensors.set("empty", tensor("float32", [0, 4], []));
  tensors.set("__proto__", tensor("float32", [1], [1]));
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/deep/weights.safetensors`;
    await writeSafetensors(path, tensors, { step: "7" });
    const read = await readSafetensors(path);
    assert.deepEqual([...read.tensors].sort(), [...tensors].sort());
    assert.equal(read.metadata["step"], "7");
    const head = await readSafetensorsHeader(path);
    assert.deepEqual(head.metadata, read.metadata);
    const specs = [...tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape }] as const);
    assert.deepEqual([...head.tensors].sort(), specs.sort());
    const bytes = await Deno.readFile(path);
    assert.equal(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("hostile headers are refused with one line each", async () => {
  const four = new Uint8Array(4);
  const deep = "[".repeat(200_000);
  const cases: [Uint8Array, RegExp][] = [
    [new Uint8Array(3), /at least 8 bytes, found 3$/],
    [file("{}", four, 1n << 62n), /a header of at most 100000000 bytes, found 4611686018427387904$/],
    [file("{}", four, 50n), /a header of 50 bytes, found 6$/],
    [file("{nonsense"), /a JSON header, found /],
    [file(deep), /a JSON header, found /],
    [file("[]"), /a header that is an object, found a list$/],
    [file({ a: 1 }), /type, shape and place of "a", found number$/],
    [file({ a: entry("F31", [1], [0, 4]) }, four), /a type of F64.* for "a", found "F31"$/],
    [file({ a: entry("F32", [-1], [0, 4]) }, four), /a shape that can be counted for "a", found \[-1\]$/],
    [file({ a: entry("F32", [2 ** 40, 2 ** 40], [0, 4]) }, four), /a shape that can be counted for "a"/],
    [file({ a: entry("F32", [2 ** 40], [0, 4]) }, four), /expected 4398046511104 bytes for "a".*, found 4$/],
    [file({ a: entry("F32", [1], [4, 0]) }, four), /begin and end of "a", found \[4,0\]$/],
    [file({ a: entry("F32", [1], [0, 8]) }, four), /"a" within the file's 4 bytes of data, found an end at 8$/],
    [
      file({ a: entry("U8", [3], [0, 3]), b: entry("U8", [3], [1, 4]) }, four),
      /"b" to begin at 3, without gap or overlap, found 1$/,
    ],
    [file({ a: entry("U8", [1], [0, 1]), b: entry("U8", [1], [3, 4]) }, four), /"b" to begin at 1, .*found 3$/],
    [file({ a: entry("U8", [1], [0, 1]) }, four), /expected 1 bytes of data as the header says, found 4$/],
    [file({ "__metadata__": { a: 1 } }), /texts in __metadata__/],
  ];
  for (const [bytes, message] of cases) {
    assert.throws(() => decodeSafetensors(bytes, { name: "w" }), (error: Error) => {
      assert.equal(error.name, "OnnxError");
      assert.match(error.message, message);
      assert.match(error.message, /^w: expected [^\n]+$/);
      return true;
    });
    const path = await Deno.makeTempFile();
    await Deno.writeFile(path, bytes);
    await assert.rejects(readSafetensorsHeader(path), message).finally(() => Deno.remove(path));
  }
  await assert.rejects(
    readSafetensorsHeader("/nowhere/w"),
    /^OnnxError: \/nowhere\/w: expected .*, found nothing there/,
  );
  await assert.rejects(readSafetensors("/nowhere/w.safetensors"), /^OnnxError: \/nowhere\/w\.safetensors: expected/);
});

Deno.test("a thousand mutated files are either read or refused with an OnnxError", () => {
  const random = Random.seeded("mutated safetensors");
  const good = encodeSafetensors([["a", tensor("float32", [2, 2], [1, 2, 3, 4])], [
    "b",
    tensor("int8", [3], [1, 2, 3]),
  ]]);
  let refused = 0;
  for (let i = 0; i < 1000; i++) {
    const bytes = good.slice(0, random.chance(0.3) ? random.int(good.length + 1) : good.length);
    for (let n = random.int(4); n > 0 && bytes.length > 0; n--) bytes[random.int(bytes.length)] = random.int(256);
    try {
      decodeSafetensors(bytes);
    } catch (error) {
      assert.equal((error as Error).name, "OnnxError", String(error));
      refused++;
    }
  }
  assert.ok(refused > 300 && refused < 1000, `${refused} were refused`);
});

Deno.test("weights go from graph to graph by name; a wrong shape changes nothing", () => {
  const build = (fill: number) => {
    const graph = new Graph("net");
    graph.parameter("w", tensor("float32", [2], [fill, fill]));
    graph.parameter("b", tensor("float32", [1], [fill]));
    return graph;
  };
  const from = build(1), to = build(0);
  const { loaded } = importWeights(to, decodeSafetensors(encodeSafetensors(exportWeights(from))).tensors);
  assert.deepEqual(loaded, ["w", "b"]);
  assert.deepEqual([...to.value("w").tensor!.data], [1, 1]);
  const wrong = new Map([["b", tensor("float32", [1], [9])], ["w", tensor("float32", [3], [9, 9, 9])]]);
  assert.throws(() => importWeights(to, wrong), /expected float32 \[2\] for "w", found float32 \[3\]$/);
  assert.deepEqual([...to.value("b").tensor!.data], [1]);
  assert.throws(() => importWeights(to, new Map()), /found 2 missing and 0 unknown, the first "w"$/);
  assert.deepEqual(importWeights(to, new Map(), { partial: true }).missing, ["w", "b"]);
});
