/** Writes the model of a finished training: the best weights, checked against the training's own graph. */

import { assertValid, type Graph, toModel } from "../onnx/mod.ts";
import { openSession, type Tensor, tensor, WorkError } from "../runtime/mod.ts";
import type { Step, WeightSource } from "../train/mod.ts";
import { averageViews, OUTPUTS, type Way } from "./graphs.ts";
import type { TaskNetwork } from "./task/task.ts";

/** How far a shipped model's outputs may be from the training graph's: `difference` of `ShippedModel`. */
export const TOLERANCE = 1e-4;

/** Beyond this it is no rounding: the model is not written. */
const WRONG = 1e-2;

/** What `shipModel` gives. */
export interface ShippedModel {
  /** The bytes of the ONNX file. */
  readonly model: Uint8Array<ArrayBuffer>;
  /**
   * The largest difference of any output to the training graph's evaluation; boxes cut to the picture, as they are used. A network
   * whose raw outputs are in the thousands, as hardly trained ones have them, may be above `TOLERANCE` by rounding.
   */
  readonly difference: number;
}

/**
 * The ONNX file of a step's network. It is run on some pictures beside the training's own graph; throws WorkError where an output
 * is another. The views over which the model averages come after this comparison.
 */
export async function shipModel(
  task: TaskNetwork,
  step: Step,
  { weights, way, images, threads }: {
    readonly weights: WeightSource;
    readonly way: Way;
    /** Pictures [N, 3, size, size] to check with; a few are taken. */
    readonly images: Tensor;
    readonly threads?: number | undefined;
  },
): Promise<ShippedModel> {
  const { graph } = task;
  const parameters = await step.parameters({ weights });
  for (const [name, content] of Object.entries(parameters)) graph.setTensor(graph.value(name), content);
  const shipped = task.shippedGraph(way);
  if (parameterCount(shipped) < 1e7) assertValid(shipped);
  const plain = toModel(shipped);
  const few = firstPictures(images, 4);
  await using decoding = await openSession(toModel(task.decoder(way)), { threads, name: "decode" });
  await using session = await openSession(plain, { threads, name: "model" });
  const raw = await step.evaluate({ images: few }, { weights });
  const expected = await decoding.run(Object.fromEntries(decoding.inputs.map(({ name }) => [name, raw[name]!])));
  const found = await session.run({ images: few });
  let difference = 0;
  for (const [name, { data }] of Object.entries(expected)) {
    const worst = largestDifference(data as Float32Array, found[name]!.data as Float32Array);
    if (!(worst <= WRONG)) {
      throw new WorkError(
        `model: output "${name}": expected the training graph's to ${TOLERANCE}, found a difference of ${worst}`,
      );
    }
    difference = Math.max(difference, worst);
  }
  if (task.views === "none") return { model: plain, difference };
  return { model: toModel(averageViews(shipped, task.views, [OUTPUTS.probabilities])), difference };
}

/** The largest |a − b| of all elements, each cut to 0 … 1; NaN where one is not a number. */
function largestDifference(expected: Float32Array, found: Float32Array): number {
  const cut = (x: number) => Math.min(1, Math.max(0, x));
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const each = Math.abs(cut(expected[i]!) - cut(found[i]!));
    if (!(each <= worst)) worst = each;
    if (Number.isNaN(worst)) return NaN;
  }
  return worst;
}

function firstPictures({ shape, data }: Tensor, count: number): Tensor {
  const [all = 0, ...rest] = shape, kept = Math.min(all, count);
  const each = data.length / all;
  return tensor("float32", [kept, ...rest], (data as Float32Array).slice(0, kept * each));
}

function parameterCount(graph: Graph): number {
  return graph.parameters.reduce((sum, { tensor }) => sum + (tensor?.data.length ?? 0), 0);
}
