/** Weights of layers that may be applied several times in one graph: the first use makes them, later ones share them. */

import type { Graph, Value } from "../../onnx/mod.ts";
import type { Random } from "../../runtime/mod.ts";
import { ModelError } from "../errors.ts";
import type { Initializer } from "../initializers.ts";
import type { WeightSource } from "../layers.ts";

/** What makes a weight. */
export interface WeightOptions {
  readonly shape: readonly number[];
  readonly random: WeightSource;
  /** Starting values, from a stream of the weight's own. */
  readonly init: (random: Random) => Initializer;
}

/** The parameter of a name, made where the graph has none yet. Throws ModelError where it has one of another shape. */
export function sharedWeight(graph: Graph, name: string, { shape, random, init }: WeightOptions): Value {
  const known = graph.values.get(graph.scoped(name));
  if (known) {
    if (known.kind !== "parameter" || String(known.shape) !== String(shape)) {
      throw new ModelError(`weight "${name}": expected a parameter [${shape.join(", ")}] to share, found ${known}`);
    }
    return known;
  }
  const start: Initializer = random === "zeros"
    ? (size) => new Float32Array(size.reduce((product, dim) => product * dim, 1))
    : init(random.fork(name));
  return graph.parameter(name, { shape, init: start });
}
