/**
 * Reading and inference against ONNX's own conformance models: every node test of the Python package `onnx` (a model of
 * some opset, inputs, and the outputs that its authors recorded) is read; inferred types and shapes are compared with the
 * recorded outputs; and the graph is written at opset 17 and run, where ONNX Runtime runs the original right.
 *
 *   python3 -m venv .venv-onnx && .venv-onnx/bin/pip install onnx==1.19.1
 *   deno run -A tests/peers/onnx_nodes.ts .venv-onnx/lib/python3.*\/site-packages/onnx/backend/test/data/node
 *
 * Ends with 1 when a type, a known size or a result differs, or when reading throws anything but an OnnxError.
 */

import {
  fromModel,
  fromTensorBytes,
  type Graph,
  OnnxError,
  type Tensor,
  toModel,
  toNumbers,
} from "../../lib/onnx/mod.ts";
import { InputError, openSession, runCommand } from "../../lib/runtime/mod.ts";

function load(folder: string): Graph | OnnxError {
  try {
    return fromModel(Deno.readFileSync(`${folder}/model.onnx`));
  } catch (error) {
    if (error instanceof OnnxError) return error;
    throw error;
  }
}

/** The numbered tensors of a test: inputs or outputs. */
function recordedTensors(folder: string, kind: "input" | "output", count: number): Tensor[] {
  return Array.from({ length: count }, (_, i) => {
    const path = `${folder}/test_data_set_0/${kind}_${i}.pb`;
    return fromTensorBytes(Deno.readFileSync(path), { name: path });
  });
}

/** Whether a model gives the recorded outputs; undefined where ONNX Runtime does not run it. */
async function runsRight(
  model: Uint8Array,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
): Promise<boolean | undefined> {
  try {
    await using session = await openSession(model, { threads: 1 });
    const results = await session.run(Object.fromEntries(session.inputs.map(({ name }, i) => [name, inputs[i]!])));
    return session.outputs.every(({ name }, i) => {
      const found = toNumbers(results[name]!);
      return toNumbers(outputs[i]!).every((x, at) =>
        Object.is(x, found[at]) || Math.abs(x - found[at]!) <= 1e-3 * (1 + Math.abs(x))
      );
    });
  } catch {
    return undefined;
  }
}

await runCommand({
  usage: "deno run -A tests/peers/onnx_nodes.ts FOLDER",
  about: "Compares inferred types and shapes with the outputs recorded in ONNX's node tests.",
  operands: "FOLDER",
  flags: {},
  async run(values, [root]) {
    if (root === undefined) throw new InputError("onnx_nodes: expected the folder of the node tests, found none");
    const refusals = new Map<string, number>(), differences: string[] = [];
    let read = 0, outputs = 0, ran = 0;
    for (const name of [...Deno.readDirSync(root)].map((entry) => entry.name).sort()) {
      const graph = load(`${root}/${name}`);
      if (graph instanceof OnnxError) {
        const kind = graph.message.replace(/"[^"]*"/g, "…").slice(0, 100);
        refusals.set(kind, (refusals.get(kind) ?? 0) + 1);
        continue;
      }
      read++;
      graph.outputs.forEach((output, i) => {
        const path = `${root}/${name}/test_data_set_0/output_${i}.pb`;
        if (!output.type || !output.producer?.spec) return;
        const { dtype, shape } = fromTensorBytes(Deno.readFileSync(path), { name: path });
        const same = dtype === output.dtype && shape.length === output.rank &&
          output.shape.every((dim, at) => typeof dim === "string" || dim === shape[at]);
        outputs++;
        if (!same) {
          differences.push(`${name}: inferred ${output.dtype} ${output}, recorded ${dtype} [${shape.join(", ")}]`);
        }
      });
      try {
        const fed = recordedTensors(`${root}/${name}`, "input", graph.inputs.length);
        const expected = recordedTensors(`${root}/${name}`, "output", graph.outputs.length);
        if (!await runsRight(Deno.readFileSync(`${root}/${name}/model.onnx`), fed, expected)) continue;
        const right = await runsRight(toModel(graph), fed, expected);
        ran++;
        if (!right) differences.push(`${name}: another result at opset 17${right === undefined ? ", not run" : ""}`);
      } catch (error) {
        if (!(error instanceof InputError || error instanceof Deno.errors.NotFound)) throw error; // no form at opset 17
      }
    }
    if (!values.json) {
      console.log(
        `${read} models read, ${outputs} outputs compared, ${ran} run at opset 17, ${differences.length} differ`,
      );
      for (const difference of differences) console.log(difference);
      for (const [kind, count] of refusals) console.log(`refused ${count}: ${kind}`);
    }
    const refused = Object.fromEntries(refusals);
    return { ok: differences.length === 0, read, outputs, ran, differences, refused };
  },
});
