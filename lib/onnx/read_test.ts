/** Reading: what is written comes back, and hostile files are one clear line each. */

import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { openSession, tensor, toNumbers } from "../runtime/mod.ts";
import { memoryHeld } from "./fuzz.ts";
import { Graph } from "./graph.ts";
import * as ops from "./ops/mod.ts";
import {
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from "./proto/onnx_pb.ts";
import { fromFile, fromModel } from "./read.ts";
import { sampleCnn, sampleFeeds, sampleTransformer } from "./samples.ts";
import { toFile, toModel } from "./write.ts";

/** A good small model's message, to be broken. */
function broken(change: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, toModel(sampleCnn()));
  change(model);
  return toBinary(ModelProtoSchema, model);
}

function assertRefused(bytes: Uint8Array, message: RegExp): void {
  assert.throws(() => fromModel(bytes, { name: "m" }), (error: Error) => {
    assert.equal(error.name, "OnnxError", String(error));
    assert.match(error.message, message);
    assert.match(error.message, /^m: [^\n]+$/);
    return true;
  });
}

Deno.test("a network that is written and read again computes the same and knows its parameters", async () => {
  const feeds = sampleFeeds();
  const cases = [[sampleCnn(), feeds.cnn], [sampleTransformer(), feeds.transformer]] as const;
  for (const [graph, feed] of cases) {
    const again = fromModel(toModel(graph));
    const names = (g: Graph) => g.parameters.map((value) => value.name);
    assert.deepEqual(names(again), names(graph));
    assert.deepEqual(again.outputs.map(String), graph.outputs.map(String));
    assert.deepEqual(toModel(again), toModel(graph), "the bytes are the same");
    await using first = await openSession(toModel(graph), { threads: 1 });
    await using second = await openSession(toModel(again, { opset: 13 }), { threads: 1 });
    const name = graph.outputs[0]!.name;
    const expected = toNumbers((await first.run(feed))[name]!), found = toNumbers((await second.run(feed))[name]!);
    assert.ok(expected.length > 0 && expected.every((x, i) => Math.abs(x - found[i]!) < 1e-4));
  }
});

Deno.test("shapes stay known behind shape arithmetic as exporters write it", () => {
  const graph = fromModel(toModel(sampleTransformer()));
  assert.deepEqual(graph.value("states").shape, ["N", "T", 8]);
  const unknown = [...graph.values.values()].filter((value) =>
    !value.type || value.shape.some((dim) => /\./.test(`${dim}`))
  );
  assert.deepEqual(unknown.map(String), []);
});

Deno.test("every truncation of a file is refused", () => {
  const bytes = toModel(sampleTransformer());
  let refused = 0;
  for (let length = 0; length < bytes.length; length += 7) {
    try {
      fromModel(bytes.subarray(0, length));
    } catch (error) {
      assert.equal((error as Error).name, "OnnxError", `${length}: ${error}`);
      refused++;
    }
  }
  // A file cut exactly between two of its outermost fields is a shorter file; without a graph it is refused too.
  assert.equal(refused, Math.ceil(bytes.length / 7));
});

Deno.test("a model that is none, too old or too new is refused with what was expected", async () => {
  assertRefused(new Uint8Array(), /an IR version|a graph, found none$/);
  assertRefused(new TextEncoder().encode("<html>not found</html>"), /expected an ONNX model/);
  assertRefused(broken((model) => model.opsetImport[0]!.version = 99n), /expected an opset in 7 … 24, found 99$/);
  assertRefused(broken((model) => model.opsetImport[0]!.version = 5n), /expected an opset in 7 … 24, found 5$/);
  assertRefused(broken((model) => model.opsetImport = []), /expected an opset of ONNX's own domain, found none$/);
  assertRefused(broken((model) => model.irVersion = 77n), /expected an IR version in 3 … 13, found 77$/);
  await assert.rejects(
    fromFile("/nowhere/x.onnx"),
    /^OnnxError: \/nowhere\/x\.onnx: expected an ONNX file, found nothing there$/,
  );
  await assert.rejects(fromFile("/"), /expected an ONNX file, found a folder$|found .*directory/);
});

Deno.test("a cycle, a missing initialiser, a name taken twice and an unsupported type are named", () => {
  assertRefused(
    broken(({ graph }) => {
      const [first, second] = graph!.node;
      first!.input[0] = second!.output[0]!;
    }),
    /Conv "stem\/conv": expected an input, initialiser or node before it named "[^"]+", found only a later node .*cycle/,
  );
  assertRefused(
    broken(({ graph }) => graph!.initializer.shift()),
    /Conv "stem\/conv": expected an input, initialiser or node before it named "stem\/weight", found none$/,
  );
  assertRefused(
    broken(({ graph }) => graph!.node[1]!.output[0] = "stem/weight"),
    /expected each value once, found "stem\/weight" twice$/,
  );
  assertRefused(broken(({ graph }) => graph!.initializer[0]!.dataType = 14), /supported, found number 14$/);
  assertRefused(
    broken(({ graph }) => graph!.output[0]!.name = "other"),
    /output "other": expected a node that computes it/,
  );
  assertRefused(
    broken(({ graph }) => graph!.initializer.find(({ name }) => name === "stem/scale")!.dims = [2n, 4n]),
    /BatchNormalization "stem\/[^"]+": expected scale "stem\/scale" \[2, 4\] to be \[8\]/,
  );
});

Deno.test("a huge tensor claimed in a small file is refused before anything is allocated", () => {
  const before = memoryHeld();
  const claim = (dims: bigint[]) => broken(({ graph }) => graph!.initializer[0]!.dims = dims);
  assertRefused(claim([1n << 40n]), /expected 4398046511104 bytes for float32 \[1099511627776\], found 864$/);
  assertRefused(claim([1n << 40n, 1n << 40n]), /sizes from 0 that can be counted/);
  assertRefused(claim([-1n, -216n]), /sizes from 0 that can be counted, found \[-1, -216\]$/);
  assertRefused(
    broken(({ graph }) => {
      graph!.initializer[0]!.rawData = new Uint8Array();
      graph!.initializer[0]!.dims = [1n << 33n];
    }),
    /expected 8589934592 elements for float32/,
  );
  assert.ok(memoryHeld() - before < 256 * 2 ** 20);
});

Deno.test("deep nesting and a flood of small objects are refused before they are decoded", () => {
  let inner = new Uint8Array([0x12, 0]); // GraphProto.name ""
  for (let depth = 0; depth < 20_000; depth++) {
    // graph { node { attribute { g } } }: fields 1, 5, 6 of their messages
    inner = field(1, field(5, field(6, inner)));
    if (inner.length > 4_000_000) break;
  }
  const before = memoryHeld();
  assertRefused(new Uint8Array([0x08, 8, ...field(7, inner)]), /messages nested at most 64 deep, found more$/);
  const flood = new Uint8Array(2 * 5_000_000);
  for (let i = 0; i < flood.length; i += 2) flood[i] = 0x0a; // five million empty nodes in 10 MB
  assertRefused(field(7, flood), /at most 4000000 objects, found more$/);
  assertRefused(
    field(7, field(5, field(7, new Uint8Array(40_000_000)))),
    /at most 32000000 single integers, found more$/,
  );
  assert.ok(memoryHeld() - before < 512 * 2 ** 20);
});

/** A length-delimited protobuf field. */
function field(number: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = [number << 3 | 2];
  let length = content.length;
  for (; length > 127; length = Math.floor(length / 128)) head.push(length % 128 | 128);
  head.push(length);
  const result = new Uint8Array(head.length + content.length);
  result.set(head);
  result.set(content, head.length);
  return result;
}

Deno.test("external data are read from the model's folder, and from nowhere else", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/model/sub`, { recursive: true });
    await Deno.writeFile(`${folder}/secret.bin`, new Uint8Array(16));
    await Deno.writeFile(`${folder}/model/sub/w.bin`, new Uint8Array(new Float32Array([9, 1, 2, 3, 4]).buffer));
    await Deno.symlink(`${folder}/secret.bin`, `${folder}/model/link.bin`);
    await Deno.symlink(`${folder}`, `${folder}/model/up`);
    const path = `${folder}/model/m.onnx`;
    const read = async (location: string, offset = "4", length = "16") => {
      const graph = new Graph("g");
      const w = graph.constant(tensor("float32", [4], [0, 0, 0, 0]), { name: "w" });
      graph.output(ops.relu(w), "y");
      const model = fromBinary(ModelProtoSchema, toModel(graph));
      model.graph!.initializer = [create(TensorProtoSchema, {
        name: "w",
        dims: [4n],
        dataType: 1,
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: [{ key: "location", value: location }, { key: "offset", value: offset }, {
          key: "length",
          value: length,
        }],
      })];
      await Deno.writeFile(path, toBinary(ModelProtoSchema, model));
      return await fromFile(path);
    };
    assert.deepEqual((await read("sub/w.bin")).value("w").tensor, tensor("float32", [4], [1, 2, 3, 4]));
    const outside = [
      "../secret.bin",
      `${folder}/secret.bin`,
      "link.bin",
      "up/secret.bin",
      "sub/../../secret.bin",
      "",
      "C:\\x",
    ];
    for (const location of outside) {
      await assert.rejects(
        read(location, "0"),
        /OnnxError: .*initialiser "w": expected external data inside the model's folder, found /,
      );
    }
    await assert.rejects(read("sub/none.bin"), /expected external data in "sub\/none.bin", found nothing there$/);
    await assert.rejects(read("sub"), /expected external data in a file "sub", found something else$/);
    await assert.rejects(read("sub/w.bin", "8"), /of 16 bytes from 8 in "sub\/w.bin", found a file of 20 bytes$/);
    await assert.rejects(read("sub/w.bin", "0", "1e9"), /at a whole offset and length/);
    await assert.rejects(read("sub/w.bin", "0", "999999999999"), /of 16 bytes, found a length of 999999999999$/);
    await read("sub/w.bin");
    assert.throws(
      () => fromModel(Deno.readFileSync(path), { name: "m" }),
      /expected the data inside the file, found external data/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("models of older opsets are lifted: softmax over the rest, axes and bounds as attributes", async () => {
  const graph = new Graph("old");
  const x = graph.input("x", "float32", [2, 3, 4]);
  graph.output(ops.relu(x, { name: "y" }));
  const model = fromBinary(ModelProtoSchema, toModel(graph));
  const node = (
    opType: string,
    input: string,
    output: string,
    attribute: { name: string; type: number; f?: number; i?: bigint; ints?: bigint[] }[],
  ) => create(NodeProtoSchema, { opType, input: [input], output: [output], attribute });
  model.opsetImport[0]!.version = 9n;
  model.irVersion = 4n;
  model.graph!.node = [
    node("Softmax", "x", "s", []), // axis 1: over the 12 elements of each example
    node("Clip", "s", "c", [{ name: "max", type: 1, f: 0.1 }]),
    node("Unsqueeze", "c", "u", [{ name: "axes", type: 7, ints: [0n] }]),
    node("Squeeze", "u", "q", [{ name: "axes", type: 7, ints: [0n] }]),
    create(NodeProtoSchema, {
      opType: "ReduceSum",
      input: ["q"],
      output: ["y"],
      attribute: [{ name: "axes", type: 7, ints: [1n, 2n] }],
    }),
  ];
  const bytes = toBinary(ModelProtoSchema, model);
  const feeds = { x: tensor("float32", [2, 3, 4], Array.from({ length: 24 }, (_, i) => Math.sin(i))) };
  await using old = await openSession(bytes, { threads: 1 });
  await using lifted = await openSession(toModel(fromModel(bytes)), { threads: 1 });
  const expected = toNumbers((await old.run(feeds))["y"]!);
  assert.deepEqual(
    toNumbers((await lifted.run(feeds))["y"]!).map((v) => v.toFixed(5)),
    expected.map((v) => v.toFixed(5)),
  );
});

Deno.test("the end of a slice at the largest int64, as exporters write it, is the end", async () => {
  const graph = new Graph("slice");
  const x = graph.input("x", "float32", [5, 4]);
  const end = graph.constant(tensor("int64", [1], [2n ** 63n - 1n]), { name: "end" });
  graph.output(graph.node("Slice", [x, graph.ints([2]), end, graph.ints([0])], {}, { name: "y" })[0]!);
  assert.deepEqual(graph.value("y").shape, [3, 4]);
  const model = fromBinary(ModelProtoSchema, toModel(graph));
  model.opsetImport[0]!.version = 9n;
  model.graph!.node = [create(NodeProtoSchema, {
    opType: "Slice",
    input: ["x"],
    output: ["y"],
    attribute: [{ name: "starts", type: 7, ints: [2n] }, { name: "ends", type: 7, ints: [2n ** 63n - 1n] }],
  })];
  const old = fromModel(toBinary(ModelProtoSchema, model));
  assert.deepEqual(old.value("y").shape, [3, 4]);
  await using session = await openSession(toModel(old), { threads: 1 });
  const { y } = await session.run({ x: tensor("float32", [5, 4], Array.from({ length: 20 }, (_, i) => i)) });
  assert.deepEqual(toNumbers(y!), Array.from({ length: 12 }, (_, i) => i + 8));
});

Deno.test("a file is written whole into a new folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await toFile(sampleCnn(), `${folder}/new/net.onnx`);
    assert.equal((await fromFile(`${folder}/new/net.onnx`)).nodes.length, sampleCnn().nodes.length);
    assert.deepEqual([...Deno.readDirSync(`${folder}/new`)].map((entry) => entry.name), ["net.onnx"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
