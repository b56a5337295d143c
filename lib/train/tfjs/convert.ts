/** Tensors of this library as TensorFlow.js's and back. */

import type { Tensor as TensorFlowTensor } from "@tensorflow/tfjs";
import { type DType, isFloat, type Tensor, tensor } from "../../onnx/mod.ts";
import { TrainError } from "../errors.ts";
import type { TensorFlow } from "./backend.ts";

/** TensorFlow.js's element type for one of ONNX: it has float32, int32 and bool. Throws TrainError for strings and bfloat16. */
export function tensorFlowType(dtype: DType): "float32" | "int32" | "bool" {
  if (dtype === "string" || dtype === "bfloat16") {
    throw new TrainError(`TensorFlow.js: expected a tensor of numbers, found ${dtype}`);
  }
  return dtype === "bool" ? "bool" : isFloat(dtype) ? "float32" : "int32";
}

/** A copy for TensorFlow.js. 64-bit elements lose what 32 bits cannot hold; integers beyond that are clipped. */
export function toTensorFlow(tf: TensorFlow, { dtype, shape, data }: Tensor): TensorFlowTensor {
  const type = tensorFlowType(dtype);
  if (type === "float32") return tf.tensor(Float32Array.from(data as Float32Array), [...shape], type);
  const clipped = Array.from(data as ArrayLike<number | bigint>, (element) => {
    const value = Number(element);
    return value > 2147483647 ? 2147483647 : value < -2147483648 ? -2147483648 : value;
  });
  return tf.tensor(type === "bool" ? Uint8Array.from(clipped) : Int32Array.from(clipped), [...shape], type);
}

/** A copy in the element type given. */
export async function fromTensorFlow(source: TensorFlowTensor, dtype: DType): Promise<Tensor> {
  return tensor(dtype, [...source.shape], await source.data() as Float32Array);
}
