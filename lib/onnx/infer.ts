/** Shape inference of a node: arity and attributes are checked, then the operator's own rule gives types and shapes. */

import type { Node } from "./node.ts";
import type { OperatorSpec, ValueType } from "./registry.ts";
import { propagateElements } from "./propagate.ts";

/**
 * Types and shapes of a node's outputs; undefined for those of an operator that is not registered, or when an input's
 * own type is not known. Throws OnnxError, naming the node, where the inputs do not go together.
 */
export function inferTypes(node: Node): readonly (ValueType | undefined)[] {
  const { spec } = node;
  if (!spec) return new Array(node.outputCount).fill(undefined);
  checkArity(node, spec);
  for (const [name, attribute] of Object.entries(spec.attributes)) {
    if (attribute.required && !node.has(name)) throw node.fail(`expected attribute ${name}, found none`);
  }
  if (node.inputs.some((input) => input && !input.type)) return new Array(node.outputCount).fill(undefined);
  const types = spec.infer(node).map((type) => ({ ...type, shape: node.checkShape(type.shape) }));
  const [first] = types;
  if (first && first.elements === undefined) {
    const elements = propagateElements(node, first);
    if (elements) types[0] = { ...first, elements };
  }
  return types;
}

function checkArity(node: Node, spec: OperatorSpec): void {
  const required = spec.inputs.filter((name) => !/[?*]$/.test(name)).length;
  const repeats = spec.inputs.at(-1)?.endsWith("*") ?? false;
  const most = repeats ? Infinity : spec.inputs.length;
  if (node.inputs.length < required || node.inputs.length > most) {
    const wanted = most === Infinity ? `at least ${required}` : most === required ? most : `${required} to ${most}`;
    throw node.fail(`expected ${wanted} inputs (${spec.inputs.join(", ")}), found ${node.inputs.length}`);
  }
  for (let i = 0; i < required; i++) node.input(i);
  const outputs = spec.outputs.at(-1)?.endsWith("*") ? Infinity : spec.outputs.length;
  if (node.outputCount > outputs) {
    throw node.fail(`expected at most ${outputs} outputs (${spec.outputs.join(", ")}), found ${node.outputCount}`);
  }
}
