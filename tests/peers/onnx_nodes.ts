/**
 * Shape inference against ONNX's own conformance models: every node test of the Python package `onnx` (a model, and the
 * outputs that its authors recorded) is read, and what is inferred is compared with the recorded outputs.
 *
 *   python3 -m venv .venv-onnx && .venv-onnx/bin/pip install onnx==1.19.1
 *   deno run -A tests/peers/onnx_nodes.ts .venv-onnx/lib/python3.*\/site-packages/onnx/backend/test/data/node
 *
 * Ends with 1 when a type or a known size differs, or when reading throws anything but an OnnxError.
 */

import { fromModel, fromTensorBytes, type Graph, OnnxError } from "../../lib/onnx/mod.ts";
import { InputError, runCommand } from "../../lib/runtime/mod.ts";

function load(folder: string): Graph | OnnxError {
  try {
    return fromModel(Deno.readFileSync(`${folder}/model.onnx`));
  } catch (error) {
    if (error instanceof OnnxError) return error;
    throw error;
  }
}

await runCommand({
  usage: "deno run -A tests/peers/onnx_nodes.ts FOLDER",
  about: "Compares inferred types and shapes with the outputs recorded in ONNX's node tests.",
  operands: "FOLDER",
  flags: {},
  run(values, [root]) {
    if (root === undefined) throw new InputError("onnx_nodes: expected the folder of the node tests, found none");
    const refusals = new Map<string, number>(), differences: string[] = [];
    let read = 0, outputs = 0;
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
    }
    if (!values.json) {
      console.log(`${read} models read, ${outputs} outputs compared, ${differences.length} differ`);
      for (const difference of differences) console.log(difference);
      for (const [kind, count] of refusals) console.log(`refused ${count}: ${kind}`);
    }
    return Promise.resolve({
      ok: differences.length === 0,
      read,
      outputs,
      differences,
      refused: Object.fromEntries(refusals),
    });
  },
});
