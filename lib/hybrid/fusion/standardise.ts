/** Features of every size on one scale: less their mean, over their deviation, of the training pictures. */

import { mul, sub, type Value } from "../../onnx/mod.ts";
import { InputError, type Tensor, tensor } from "../../runtime/mod.ts";

/** Of each column of [N, D]. */
export interface Moments {
  /** [D]. */
  readonly mean: Tensor<"float32">;
  /** [D], of the population; 1 for a column that does not vary. */
  readonly deviation: Tensor<"float32">;
}

/** Deviations below this, relative to the column's mean, are rounding. */
const FLAT = 1e-6;

/** Means and deviations of columns, worked out in double precision. Throws InputError without rows. */
export function momentsOf({ shape, data }: Tensor<"float32">): Moments {
  const [n, width] = shape as [number, number];
  if (shape.length !== 2 || n === 0) throw new InputError(`moments: expected rows [N, D], found [${shape}]`);
  const mean = new Float64Array(width), squares = new Float64Array(width);
  for (let at = 0; at < data.length; at++) mean[at % width]! += data[at]! / n;
  for (let at = 0; at < data.length; at++) squares[at % width]! += (data[at]! - mean[at % width]!) ** 2 / n;
  const deviation = squares.map((square, i) => {
    const own = Math.sqrt(square);
    return own > FLAT * Math.max(1e-3, Math.abs(mean[i]!)) ? own : 1;
  });
  return {
    mean: tensor("float32", [width], Float32Array.from(mean)),
    deviation: tensor("float32", [width], Float32Array.from(deviation)),
  };
}

/** (x − mean) / deviation, with both as constants "NAME.mean" and "NAME.factor" of the graph. */
export function standardised(x: Value, { mean, deviation }: Moments, name: string): Value {
  const { graph } = x;
  const factor = tensor("float32", deviation.shape, deviation.data.map((value) => 1 / value));
  return mul(
    sub(x, graph.constant(mean, { name: `${name}.mean` })),
    graph.constant(factor, { name: `${name}.factor` }),
  );
}
