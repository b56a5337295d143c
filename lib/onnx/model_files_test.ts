/** Tests of model_files.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Graph } from "./graph.ts";
import { modelFiles } from "./model_files.ts";
import { relu } from "./ops/mod.ts";
import { ModelProtoSchema, TensorProto_DataLocation, TensorProtoSchema } from "./proto/onnx_pb.ts";
import { toModel } from "./write.ts";

Deno.test("a model consists of its file and each file that its tensors name, once", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const graph = new Graph("g");
    graph.output(relu(graph.input("x", "float32", [4])), "y");
    const model = fromBinary(ModelProtoSchema, toModel(graph)), path = join(folder, "m.onnx");
    await Deno.writeFile(path, toBinary(ModelProtoSchema, model));
    assert.deepEqual(await modelFiles(path), [path]);
    const outside = (name: string, location: string) =>
      create(TensorProtoSchema, {
        name,
        dims: [4n],
        dataType: 1,
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: [{ key: "offset", value: "0" }, { key: "location", value: location }],
      });
    model.graph!.initializer = [outside("a", "w.bin"), outside("b", "w.bin"), outside("c", "sub/v.bin")];
    await Deno.writeFile(path, toBinary(ModelProtoSchema, model));
    assert.deepEqual(await modelFiles(path), [path, join(folder, "w.bin"), join(folder, "sub", "v.bin")]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file that is no model, or not there, is one line", async () => {
  await assert.rejects(modelFiles("/nowhere.onnx"), /\/nowhere.onnx: expected an ONNX file, found nothing there$/);
  await assert.rejects(modelFiles(new URL(import.meta.url).pathname), /OnnxError: .*model_files_test.ts: expected/);
});
