/** For tests only: gradients of TensorFlow.js's CPU backend, beside those of the same function as an ONNX graph. */

import * as tf from "@tensorflow/tfjs";
import type { Tensor } from "../onnx/mod.ts";
import type { Random } from "../runtime/mod.ts";
import { assertClose, compileCase, type GradientCase } from "./gradient_check.ts";

tf.env().set("PROD", true); // no advice to install another package
await tf.setBackend("cpu");

/** A function of TensorFlow.js on tensors by input name. */
export type TensorFlowFunction = (inputs: Record<string, tf.Tensor>) => tf.Tensor;

/**
 * Runs a case with one output on ONNX Runtime in float32 and the same function in TensorFlow.js on the same elements and
 * output gradient, and compares the output and the gradient of every input. Throws AssertionError with the place and both
 * numbers.
 */
export async function compareWithTensorFlow(
  gradientCase: GradientCase,
  expected: TensorFlowFunction,
  { random, tolerance = 1e-4 }: { readonly random: Random; readonly tolerance?: number },
): Promise<void> {
  const compiled = await compileCase({ ...gradientCase, dtype: "float32" }, { random });
  try {
    const found = await compiled.run();
    const all: Record<string, tf.Tensor> = Object.fromEntries(
      Object.entries(compiled.inputs).map(([name, content]) => [name, toTensorFlow(content)]),
    );
    const weight = all.weight0!;
    const of = (...values: tf.Tensor[]) =>
      expected({ ...all, ...Object.fromEntries(compiled.wrt.map((name, i) => [name, values[i]!])) });
    const differentiated = compiled.wrt.map((name) => all[name]!);
    assertClose(found.outputs[0]!, [...of(...differentiated).dataSync()], tolerance, "output");
    const gradients = tf.grads(of)(differentiated, weight);
    for (const [i, name] of compiled.wrt.entries()) {
      assertClose(found.gradients[name]!, [...gradients[i]!.dataSync()], tolerance, `gradient of ${name}`);
    }
  } finally {
    await compiled.release();
    tf.disposeVariables();
  }
}

function toTensorFlow({ dtype, shape, data }: Tensor): tf.Tensor {
  const type = dtype === "float32" ? "float32" : dtype === "bool" ? "bool" : "int32";
  return tf.tensor(Array.from(data as ArrayLike<number | bigint>, Number), [...shape], type);
}

export { tf };
