/** Values through which no gradient flows. */

import { identity, type Node, type Value } from "../onnx/mod.ts";

const MARK = "stop_gradient";

/**
 * x itself, for which no gradient is asked: what produces x gets none through this value. It is an Identity node whose
 * name ends in `stop_gradient` (and perhaps a number), so that the mark survives copies of the graph and files;
 * ONNX Runtime removes it.
 */
export function stopGradient(x: Value): Value {
  return identity(x, { name: MARK });
}

/** Whether a node is what `stopGradient` makes. */
export function stopsGradient(node: Node): boolean {
  return node.opType === "Identity" && node.domain === "" && /(^|[/.:])stop_gradient(_\d+)*$/.test(node.name);
}
