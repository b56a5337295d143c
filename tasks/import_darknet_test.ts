/** Tests of import_darknet.ts, as a process. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fromFile } from "../lib/onnx/mod.ts";
import { openSession, tensor } from "../lib/runtime/mod.ts";

const fixtures = join(import.meta.dirname!, "..", "tests", "fixtures", "darknet");
const cfg = join(fixtures, "mini.cfg"), weights = join(fixtures, "mini.weights");

async function run(...args: string[]) {
  const task = join(import.meta.dirname!, "import_darknet.ts");
  const output = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", task, ...args] }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code: output.code, stdout: stdout!, stderr: stderr! };
}

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_darknet_" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("import:darknet writes a file whose outputs are Darknet's, and tells of it as one JSON document", () =>
  inFolder(async (folder) => {
    const out = join(folder, "deep", "mini.onnx");
    const { code, stdout, stderr } = await run(cfg, weights, out, "--json");
    assert.equal(code, 0, stderr);
    const told = JSON.parse(stdout);
    assert.deepEqual([told.numbers, told.parameters, told.seen, told.version], [13056, 12816, 777, "0.2.0"]);
    assert.deepEqual(told.outputs.map((output: { name: string; shape: unknown }) => [output.name, output.shape]), [
      ["yolo10", ["N", 36, 8, 12]],
      ["yolo17", ["N", 36, 16, 24]],
    ]);
    await using session = await openSession(out, { threads: 1 });
    const floats = async (name: string) => new Float32Array((await Deno.readFile(join(fixtures, name))).buffer);
    const result = await session.run({ images: tensor("float32", [1, 3, 64, 96], await floats("input.f32")) });
    const found = Object.values(result).flatMap(({ data }) => [...data as Float32Array]);
    (await floats("output.f32")).forEach((value, i) => assert.ok(Math.abs(found[i]! - value) <= 1e-4, `${i}`));
  }));

Deno.test("import:darknet --raw --fold --classes 4 --size 64 makes raw heads for four classes", () =>
  inFolder(async (folder) => {
    const out = join(folder, "mini.onnx");
    const { code, stderr } = await run(cfg, weights, out, "--raw", "--fold", "--classes", "4", "--size", "64");
    assert.equal(code, 0, stderr);
    assert.match(stderr, /8 of 10 layers loaded; 777 pictures seen/);
    const graph = await fromFile(out);
    assert.deepEqual(graph.outputs.map(({ shape }) => shape), [["N", 27, 8, 8], ["N", 27, 16, 16]]);
    assert.ok(graph.nodes.every(({ opType }) => opType !== "BatchNormalization" && opType !== "Sigmoid"));
  }));

Deno.test("import:darknet: what is wrong is one line that names the file, and status 2", () =>
  inFolder(async (folder) => {
    const file = async (name: string, content: string | Uint8Array) => {
      const path = join(folder, name);
      await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
      return path;
    };
    const text = await Deno.readTextFile(cfg), bytes = await Deno.readFile(weights);
    const longer = new Uint8Array(bytes.length + 4);
    longer.set(bytes);
    const out = join(folder, "out.onnx");
    const cases: readonly [string[], RegExp][] = [
      [[cfg, weights], /import:darknet: expected CFG WEIGHTS OUT\.onnx, found /],
      [["/nowhere.cfg", weights, out], /\/nowhere\.cfg: expected a \.cfg file, found nothing there/],
      [[cfg, folder, out], /: expected a \.weights file, found a folder/],
      [
        [cfg, await file("cut", bytes.subarray(0, 50000)), out],
        /cut: expected 52244 bytes for 10 layers with weights, found 50000: /,
      ],
      [[cfg, await file("long", longer), out], /long: expected 52244 bytes .* found 52248: it is too long/],
      [[weights, weights, out], /mini\.weights: expected a \.cfg text, found binary data/],
      [[cfg, cfg, out], /mini\.cfg: expected the header of a \.weights file, found the version/],
      [
        [await file("wide", text.replace("width=96", "width=1000000000")), weights, out],
        /wide:4: \[net\]: expected width to be/,
      ],
      [
        [await file("many", text.replace("filters=32", "filters=1000000")), weights, out],
        /mini\.weights: expected \d+ bytes .* found 52244/,
      ],
      [
        [await file("other", text.replace("filters=32", "filters=64")), weights, out],
        /mini\.weights: expected \d+ bytes .* found 52244/,
      ],
      [[cfg, weights, out, "--classes", "0"], /--classes: expected a whole number/],
    ];
    const results = await Promise.all(cases.map(([args]) => run(...args)));
    results.forEach(({ code, stdout, stderr }, i) => {
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, cases[i]![1]);
      assert.match(stderr, /^error: [^\n]+\n$/);
    });
    await assert.rejects(Deno.stat(out), Deno.errors.NotFound);
  }));
