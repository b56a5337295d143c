import assert from "node:assert/strict";
import { join } from "node:path";
import { openModel, readPackage } from "../../experiment/mod.ts";
import {
  conv,
  copyGraph,
  dequantizeLinear,
  flatten,
  fromFile,
  fromModel,
  gemm,
  globalAveragePool,
  Graph,
  quantizeLinear,
  sigmoid,
  softmax,
  tensor,
  toModel,
  type Value,
} from "../../onnx/mod.ts";
import { openSession, Random, sha256 } from "../../runtime/mod.ts";
import { CLASSES, SIZE, smallNetwork, smallPackage } from "./export_fixture.ts";
import { exportTarget } from "./export_target.ts";
import { readManifest, TARGETS } from "./manifest.ts";
import { probabilitiesModel } from "./model_file.ts";
import { writeNewKey } from "../updates/keys.ts";
import { verifiedManifest } from "./assets/rpi/updater.mjs";

const folder = await Deno.makeTempDir({ prefix: "pokedex_export_" });
const small = await openModel(await smallPackage(folder));
Deno.test.afterAll(async () => {
  await small[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
});

const random = Random.seeded("export test");
const images = tensor(
  "float32",
  [2, 3, SIZE, SIZE],
  Float32Array.from({ length: 6 * SIZE * SIZE }, () => random.uniform()),
);

/** All files of a folder with their hashes, by path. */
async function filesOf(place: string, below = ""): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(join(place, below))) {
    const path = below + name;
    if (isDirectory) Object.assign(found, await filesOf(place, `${path}/`));
    else found[path] = sha256(await Deno.readFile(join(place, path)));
  }
  return found;
}

async function probabilities(model: Uint8Array, fed = images): Promise<Float32Array> {
  await using session = await openSession(model);
  return (await session.run({ images: fed }))["probabilities"]!.data as Float32Array;
}

function assertClose(found: Float32Array, expected: Float32Array, by: number): void {
  assert.equal(found.length, expected.length);
  const most = found.reduce((worst, x, i) => Math.max(worst, Math.abs(x - expected[i]!)), 0);
  assert.ok(most <= by, `${most}`);
}

Deno.test("each target's folder is whole: the manifest and SHA256SUMS name its very files, and two exports are the same bytes", async () => {
  const key = await writeNewKey(join(folder, "signing.pem"));
  for (const target of TARGETS) {
    const places = [join(folder, `${target}-a`), join(folder, `${target}-b`)];
    for (const place of places) {
      await exportTarget(small, target, place, { sign: join(folder, "signing.pem"), version: 3 });
    }
    const [files, again] = await Promise.all(places.map((place) => filesOf(place)));
    assert.deepEqual(files, again, target);
    const manifest = await readManifest(places[0]!);
    assert.deepEqual([manifest.target, manifest.model, manifest.version, manifest.created], [
      target,
      "small",
      3,
      "2026-01-02",
    ]);
    assert.equal(manifest.source.sha256, small.card.file.sha256);
    const { "manifest.json": manifestSum, "manifest.sig": signatureSum, SHA256SUMS: _, ...listed } = files!;
    assert.deepEqual(Object.fromEntries(manifest.files.map(({ path, sha256 }) => [path, sha256])), listed);
    const sums = await Deno.readTextFile(join(places[0]!, "SHA256SUMS"));
    const expected = { ...listed, "manifest.json": manifestSum, "manifest.sig": signatureSum };
    assert.deepEqual(
      Object.fromEntries(sums.trimEnd().split("\n").map((line) => line.split("  ").toReversed())),
      expected,
    );
    const bytes = await Deno.readFile(join(places[0]!, "manifest.json"));
    const signature = await Deno.readTextFile(join(places[0]!, "manifest.sig"));
    assert.equal(verifiedManifest(bytes, signature, key.publicKey).version, 3);
    for (const name of ["classes.txt", "preprocessing.json", "README.md", "selftest.json", "selftest-1.png"]) {
      assert.ok(name in listed, `${target}: ${name}`);
    }
    const readme = await Deno.readTextFile(join(places[0]!, "README.md"));
    assert.match(readme, /red 114, green 114, blue 114/);
    assert.match(readme, /float32, \[batch, 3, 24, 24\], planes red, green, blue/);
    assert.match(readme, /alpha of at least 16/);
    assert.ok(!/undefined|NaN|\[object/.test(readme), target);
  }
});

Deno.test("TensorRT's file has a fixed batch, opset 13, float32 or float16 weights, and the same probabilities", async () => {
  const expected = await probabilities(await Deno.readFile(small.path));
  for (const [weights, by] of [["float32", 1e-6], ["float16", 5e-3]] as const) {
    const place = join(folder, `jetson-${weights}`);
    await exportTarget(small, "tensorrt", place, { batch: 2, weights });
    const model = await Deno.readFile(join(place, "model.onnx")), graph = fromModel(model);
    assert.deepEqual([...graph.inputs, ...graph.outputs].map(({ shape }) => shape), [[2, 3, SIZE, SIZE], [2, CLASSES]]);
    assertClose(await probabilities(model), expected, by);
    assert.match(await Deno.readTextFile(join(place, "README.md")), /speaks opset 13, with a fixed batch of 2/);
  }
  // The shipped model keeps its weights as float16 and int8, which TensorRT does not take: they are float32 again.
  await using shipped = await openModel("pokedex-1025");
  const place = join(folder, "jetson-shipped");
  await exportTarget(shipped, "tensorrt", place);
  const graph = await fromFile(join(place, "model.onnx"));
  const kinds = new Set(graph.nodes.map(({ opType }) => opType));
  for (const opType of ["Cast", "DequantizeLinear", "Shape"]) assert.ok(!kinds.has(opType), opType);
  const one = tensor("float32", [1, 3, 80, 80], Float32Array.from({ length: 3 * 80 * 80 }, (_, i) => (i % 97) / 97));
  const original = await Deno.readFile(shipped.path);
  assertClose(
    await probabilities(await Deno.readFile(join(place, "model.onnx")), one),
    await probabilities(original, one),
    1e-5,
  );
});

Deno.test("of a detector only the probabilities go to a device, without the nodes that its boxes need", async () => {
  const graph = smallNetwork(), [images] = graph.inputs;
  graph.output(sigmoid(flatten(images!)), "boxes");
  const bytes = toModel(graph), source = { path: "model.onnx", input: "images", size: SIZE, classes: CLASSES };
  const cut = probabilitiesModel({ ...source, bytes }), kept = fromModel(cut);
  assert.deepEqual(kept.outputs.map(({ name }) => name), ["probabilities"]);
  assert.ok(!kept.nodes.some(({ opType }) => opType === "Sigmoid"));
  assert.deepEqual(await probabilities(cut), await probabilities(bytes));
  const plain = toModel(smallNetwork());
  assert.equal(probabilitiesModel({ ...source, bytes: plain }), plain); // nothing to cut: the very file
});

/** The small network's kind with quantized activations and weights. */
function quantizedNetwork(dtype: "int8" | "uint8", zero = 0): Uint8Array<ArrayBuffer> {
  const drawn = Random.seeded("quantized"), graph = new Graph("quantized");
  const point = () => graph.constant(tensor(dtype, [], dtype === "int8" ? Int8Array.of(zero) : Uint8Array.of(zero)));
  const scale = (value: number) => graph.constant(tensor("float32", [], Float32Array.of(value)));
  const pair = (x: Value, s: number) => dequantizeLinear(quantizeLinear(x, scale(s), point()), scale(s), point());
  const whole = (shape: number[], name: string) =>
    graph.constant(
      tensor("int8", shape, Int8Array.from({ length: shape.reduce((a, b) => a * b) }, () => drawn.int(255) - 127)),
      { name },
    );
  const x = pair(graph.input("images", "float32", ["N", 3, SIZE, SIZE]), 1 / 127);
  const weights = dequantizeLinear(whole([16, 3, 3, 3], "w"), scale(0.004));
  const counts = Int32Array.from({ length: 16 }, () => drawn.int(4000) - 2000);
  const bias = dequantizeLinear(graph.constant(tensor("int32", [16], counts), { name: "b" }), scale(0.004 / 127));
  const maps = pair(conv(x, weights, { bias, pads: 1 }), 0.02);
  const decision = graph.constant(
    tensor("float32", [CLASSES, 16], Float32Array.from({ length: CLASSES * 16 }, () => drawn.normal())),
  );
  graph.output(softmax(gemm(flatten(globalAveragePool(maps)), decision, undefined, { transB: true })), "probabilities");
  return toModel(graph);
}

Deno.test("a quantized file keeps its scales for TensorRT, its biases become float32, and what is not S8S8 is refused", async () => {
  const path = join(folder, "s8s8.onnx"), place = join(folder, "jetson-int8");
  await Deno.writeFile(path, quantizedNetwork("int8"));
  await exportTarget(small, "tensorrt", place, { quantized: path, batch: 2 });
  const model = await Deno.readFile(join(place, "model.onnx")), graph = fromModel(model);
  const count = (opType: string) => graph.nodes.filter((node) => node.opType === opType).length;
  assert.deepEqual([count("QuantizeLinear"), count("DequantizeLinear")], [2, 3]); // the bias has none any more
  assert.ok(!graph.initialisers.some(({ dtype }) => dtype === "int32"));
  assertClose(await probabilities(model), await probabilities(await Deno.readFile(path)), 1e-3);
  assert.match(await Deno.readTextFile(join(place, "README.md")), /--int8 --fp16 --saveEngine=model\.engine/);
  const manifest = await readManifest(place);
  assert.equal(manifest.source.sha256, sha256(await Deno.readFile(path)));
  for (
    const [name, bytes, found] of [["u8", quantizedNetwork("uint8", 128), "uint8 with 128"], [
      "odd",
      quantizedNetwork("int8", 5),
      "int8 with 5",
    ]] as const
  ) {
    const wrong = join(folder, `${name}.onnx`);
    await Deno.writeFile(wrong, bytes);
    await assert.rejects(
      exportTarget(small, "tensorrt", join(folder, "never"), { quantized: wrong }),
      new RegExp(`${name}\\.onnx: .*expected S8S8, int8 with a zero point of 0, .*found ${found}`),
    );
  }
});

/** A reader of protocol buffers' text format, as far as Triton's configuration goes: scalars, lists and messages. */
function parseText(text: string): Record<string, unknown[]> {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[\w.-]+|[{}\[\]:,]/g) ?? [];
  assert.equal(tokens.join("").length, text.replace(/\s/g, "").length);
  let at = 0;
  const value = (): unknown => {
    const token = tokens[at++]!;
    if (token === "{") return message("}");
    return token.startsWith('"') ? JSON.parse(token) : /^-?\d+$/.test(token) ? Number(token) : token;
  };
  const message = (end: string | undefined): Record<string, unknown[]> => {
    const fields: Record<string, unknown[]> = {};
    while (tokens[at] !== end) {
      const name = tokens[at++]!, values: unknown[] = fields[name] ??= [];
      assert.match(name, /^[a-z_]+$/);
      if (tokens[at] === ":") at++;
      else assert.ok(tokens[at] === "{" || tokens[at] === "[", `${name}: expected a value, found ${tokens[at]}`);
      if (tokens[at] !== "[") values.push(value());
      else {
        for (at++; tokens[at] !== "]"; at += tokens[at] === "," ? 1 : 0) values.push(value());
        at++;
      }
    }
    at++;
    return fields;
  };
  return message(undefined);
}

Deno.test("Triton's repository says what the model is, and its sample request is the first picture of the self-test", async () => {
  const place = join(folder, "repository");
  await exportTarget(small, "triton", place, { version: 7 });
  const folders = (await Array.fromAsync(Deno.readDir(place))).filter(({ isDirectory }) => isDirectory).map((
    { name },
  ) => name);
  assert.deepEqual(folders, ["small"]); // Triton takes every folder for a model
  const config = parseText(await Deno.readTextFile(join(place, "small", "config.pbtxt")));
  assert.deepEqual([config["name"], config["platform"], config["max_batch_size"]], [["small"], ["onnxruntime_onnx"], [
    32,
  ]]);
  const [input] = config["input"] as Record<string, unknown[]>[],
    [output] = config["output"] as Record<string, unknown[]>[];
  const graph = await fromFile(join(place, "small", "7", "model.onnx"));
  const [port] = graph.inputs, [result] = graph.outputs;
  assert.deepEqual(input, { name: [port!.name], "data_type": ["TYPE_FP32"], dims: port!.shape.slice(1) });
  const labels = { "label_filename": ["labels.txt"] };
  assert.deepEqual(output, {
    name: [result!.name],
    "data_type": ["TYPE_FP32"],
    dims: result!.shape.slice(1),
    ...labels,
  });
  const [batching] = config["dynamic_batching"] as Record<string, unknown[]>[];
  assert.deepEqual(batching, { "preferred_batch_size": [8, 16, 32], "max_queue_delay_microseconds": [2000] });
  const names = (await Deno.readTextFile(join(place, "small", "labels.txt"))).trimEnd().split("\n");
  assert.deepEqual(names, small.classes.map(({ name }) => name));
  const { inputs: [{ name, shape, datatype, data }] } = JSON.parse(
    await Deno.readTextFile(join(place, "request.json")),
  );
  assert.deepEqual([name, shape, datatype, data.length], ["images", [1, 3, SIZE, SIZE], "FP32", 3 * SIZE * SIZE]);
  const [answer] = JSON.parse(await Deno.readTextFile(join(place, "selftest.json"))).pictures;
  const found = await probabilities(
    await Deno.readFile(join(place, "small", "7", "model.onnx")),
    tensor("float32", shape, Float32Array.from(data)),
  );
  assert.equal(found.indexOf(Math.max(...found)), answer.class);
});

Deno.test("what cannot be exported is refused in one line, and nothing is written", async () => {
  const full = join(folder, "full"), file = join(folder, "taken"), never = join(folder, "never");
  await Deno.mkdir(full);
  await Deno.writeTextFile(join(full, "note.txt"), "mine");
  await Deno.writeTextFile(file, "mine");
  const open = join(folder, "open.onnx"), plain = join(folder, "plain.onnx"), fixed = join(folder, "fixed.onnx");
  await Deno.writeFile(open, toModel(smallNetwork("H")));
  await Deno.writeFile(plain, toModel(smallNetwork()));
  const fixedBatch = copyGraph(smallNetwork(), { symbols: { N: 1 } });
  await Deno.writeFile(fixed, toModel(fixedBatch));
  const rsa = await crypto.subtle.generateKey(
    { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
    true,
    ["sign", "verify"],
  );
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", rsa.privateKey)).toBase64();
  const pem = join(folder, "rsa.pem"), publicPem = join(folder, "public.pem"), noKey = join(folder, "note.pem");
  await Deno.writeTextFile(
    pem,
    `-----BEGIN PRIVATE KEY-----\n${der.match(/.{1,64}/g)!.join("\n")}\n-----END PRIVATE KEY-----\n`,
  );
  await Deno.writeTextFile(publicPem, "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n");
  await Deno.writeTextFile(noKey, "no key");
  type Case = [Parameters<typeof exportTarget>[1], string, Parameters<typeof exportTarget>[3], RegExp];
  const cases: Case[] = [
    ["rpi", full, {}, /full: expected no folder or an empty one, found one that is not empty/],
    ["rpi", file, {}, /taken: expected no folder or an empty one, found a file/],
    [
      "web",
      never,
      { budget: 1000 },
      /model\.onnx: expected at most 0\.00 MB for the web, found 0\.01 MB; .*--budget MB/,
    ],
    ["rpi", never, { sign: join(folder, "none.pem") }, /none\.pem: expected a private key, found nothing there/],
    ["rpi", never, { sign: pem }, /rsa\.pem: expected an Ed25519 key, found rsa/],
    ["rpi", never, { sign: publicPem }, /public\.pem: expected a private key, found a public one/],
    ["rpi", never, { sign: noKey }, /note\.pem: expected a private key in PEM, found another file/],
    [
      "tensorrt",
      never,
      { quantized: open },
      /open\.onnx: expected an input of fixed size \[batch, 3, 24, 24\], found .*H/,
    ],
    [
      "tensorrt",
      never,
      { quantized: plain },
      /plain\.onnx: expected a quantized model, found one without QuantizeLinear/,
    ],
    [
      "triton",
      never,
      { quantized: fixed },
      /fixed\.onnx: expected a batch that may vary, found "images" \[1, 3, 24, 24\]/,
    ],
    ["rpi", never, { quantized: join(folder, "no.onnx") }, /no\.onnx: expected an ONNX file, found nothing there/],
    ["tensorrt", never, { weights: "int8" }, /--weights: expected float32 or float16 for tensorrt, found "int8"/],
    ["tensorrt", never, { batch: 0 }, /--batch: expected a whole number in 1 … 256, found 0/],
    ["rpi", never, { version: 0 }, /--version: expected a whole number ≥ 1, found 0/],
    ["rpi", never, { rollout: 2 }, /--rollout: expected a share in 0 … 1, found 2/],
    [
      "rpi",
      never,
      { updateUrl: "ftp://x" },
      /--update-url: expected a URL that begins with http or https, found "ftp:\/\/x"/,
    ],
  ];
  for (const [target, place, options, message] of cases) {
    await assert.rejects(
      exportTarget(small, target, place, options),
      (error: Error) =>
        message.test(error.message) && !error.message.includes("\n") || assert.fail(`${message}: ${error.message}`),
    );
  }
  await assert.rejects(Deno.stat(never), Deno.errors.NotFound);
  await assert.rejects(writeNewKey(pem), /rsa\.pem: expected no file, found one: a key is never written over/);
  assert.deepEqual((await Array.fromAsync(Deno.readDir(folder))).filter(({ name }) => name.includes("tmp~")), []);
  assert.deepEqual(await Deno.readTextFile(join(full, "note.txt")), "mine");
  assert.ok((await readPackage(small.folder)).card);
});
