/** The files that a model consists of: the ONNX file and those that hold its larger tensors. */

import { dirname, join } from "node:path";
import { reason } from "../runtime/mod.ts";
import { OnnxError } from "./errors.ts";
import { type TensorProto, TensorProto_DataLocation } from "./proto/onnx_pb.ts";
import { decodeModel } from "./read.ts";

/**
 * Paths of the ONNX file and of the files beside it that its tensors name, each once. Only what the file says: whether those
 * are there and may be read, `fromFile` checks. Throws OnnxError when the file is none.
 */
export async function modelFiles(path: string): Promise<string[]> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw new OnnxError(`${path}: expected an ONNX file, found ${reason(error)}`, { cause: error });
  }
  const graph = decodeModel(bytes, path).graph!;
  const tensors: TensorProto[] = [
    ...graph.initializer,
    ...graph.node.flatMap((node) => node.attribute.flatMap(({ t, tensors }) => t ? [t, ...tensors] : tensors)),
  ];
  const names = tensors.filter((tensor) => tensor.dataLocation === TensorProto_DataLocation.EXTERNAL)
    .map((tensor) => tensor.externalData.find(({ key }) => key === "location")?.value ?? "")
    .filter((name) => name !== "");
  return [path, ...[...new Set(names)].map((name) => join(dirname(path), name))];
}
