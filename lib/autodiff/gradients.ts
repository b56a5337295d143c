/** The gradient of a graph, appended to it as standard ONNX operators: reverse-mode differentiation (Griewank 2008, 3.2). */

import { type Device, isFloat } from "../runtime/mod.ts";
import { formatShape, type Graph, type Node, type Value } from "../onnx/mod.ts";
import { Accumulator, Part } from "./accumulate.ts";
import { expandTo, zerosLike } from "./broadcast.ts";
import { AutodiffError } from "./errors.ts";
import { contentsOf, pruneAppended } from "./prune.ts";
import { Recomputation } from "./recompute.ts";
import { operatorsWithRule, RuleContext, ruleOf } from "./rule.ts";
import { constantNumber } from "./simplify.ts";
import { stopsGradient } from "./stop_gradient.ts";

/** Settings of `gradients`. */
export interface GradientsOptions {
  /** Where the backward graph will run. Default: "cpu". */
  readonly device?: Device;
  /**
   * The gradient of what is optimised with respect to `loss`, which may then have any shape; the result is the
   * vector-Jacobian product. Default: 1, and `loss` must have one element.
   */
  readonly outputGradient?: Value;
  /**
   * Gradient checkpointing (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"): the values listed are
   * kept for the backward pass, and everything before and between them is computed a second time, segment by segment,
   * when its gradient is worked out. What comes after the last of them is kept too. Good places are the outputs of
   * blocks, about √n of them for n layers: memory falls from all activations to those kept and those of one segment,
   * for one more forward pass. ONNX Runtime must run the nodes in the graph's order for that (`orderModel`, or
   * `toModel(graph, { order: "latestFirst" })`): in its own order nothing is saved.
   */
  readonly checkpoint?: readonly Value[];
}

/**
 * Appends the backward graph of `loss` to its graph and returns ∂loss/∂w for each w in `wrt`, in w's shape and type.
 * Only nodes on a path from `wrt` to `loss` are differentiated. A w that the loss does not depend on gets zeros.
 * No gradient flows through integers, booleans or `stopGradient`. The result can be differentiated again.
 *
 * ```ts
 * const [dw] = gradients(loss, [w]);
 * ```
 *
 * Throws AutodiffError, naming the node, for an operator without a rule on such a path.
 */
export function gradients(
  loss: Value,
  wrt: readonly Value[],
  { device = "cpu", outputGradient, checkpoint = [] }: GradientsOptions = {},
): Value[] {
  const { graph } = loss;
  checkRequest(loss, wrt, outputGradient, checkpoint);
  const path = pathNodes(graph, loss, wrt);
  const before = contentsOf(graph);
  const accumulated = new Accumulator();
  accumulated.add(loss, outputGradient ?? graph.constant(1, { dtype: loss.dtype, shape: [] }));
  const recomputation = checkpoint.length > 0 ? new Recomputation(graph, loss, checkpoint) : undefined;
  const results = graph.scope("gradient", () => {
    for (const node of path.nodes.toReversed()) backward(node, device, path.values, accumulated, recomputation);
    return wrt.map((value) => {
      const gradient = accumulated.get(value);
      return gradient ? expandTo(gradient, value) : zerosLike(value);
    });
  });
  pruneAppended(graph, before, results);
  return results;
}

/** Runs one node's rule and adds what it gives to the gradients of the node's inputs. */
function backward(
  node: Node,
  device: Device,
  onPath: ReadonlySet<Value>,
  accumulated: Accumulator,
  recomputation: Recomputation | undefined,
): void {
  const incoming = node.outputs.map((output) => output && accumulated.get(output));
  const carried = incoming.find((gradient) => gradient !== undefined);
  if (!carried) return;
  const rule = ruleOf(node);
  if (!rule) throw missingRule(node);
  recomputation?.enter(carried);
  const context = new RuleContext({
    node,
    device,
    gradients: incoming,
    needs: node.inputs.map((input) => input !== undefined && onPath.has(input)),
    read: (value) => recomputation ? recomputation.read(value) : value,
  });
  const given = node.graph.scope(node.name, () => rule(context));
  if (given.findLastIndex((gradient) => gradient !== undefined) >= node.inputs.length) {
    throw new AutodiffError(
      `gradient of ${node}: expected at most ${node.inputs.length} gradients, found ${given.length}`,
    );
  }
  given.forEach((gradient, i) => {
    const input = node.inputs[i];
    if (!gradient || !input || !onPath.has(input)) return;
    if (!(gradient instanceof Part)) {
      if (constantNumber(gradient) === 0) return;
      checkGradient(node, i, gradient, input);
    }
    accumulated.add(input, gradient);
  });
}

/** The nodes between `wrt` and `loss` in topological order, and the values on those paths. */
function pathNodes(
  graph: Graph,
  loss: Value,
  wrt: readonly Value[],
): { nodes: readonly Node[]; values: ReadonlySet<Value> } {
  const depends = new Set<Value>(wrt);
  const forward: Node[] = [];
  for (const node of graph.nodes) {
    if (stopsGradient(node) || !node.inputs.some((input) => input && depends.has(input))) continue;
    forward.push(node);
    for (const output of node.outputs) if (output && carriesGradient(output)) depends.add(output);
  }
  const reaches = new Set<Value>([loss]);
  const nodes: Node[] = [];
  for (const node of forward.toReversed()) {
    if (!node.outputs.some((output) => output && depends.has(output) && reaches.has(output))) continue;
    nodes.push(node);
    for (const input of node.inputs) if (input && depends.has(input)) reaches.add(input);
  }
  return { nodes: nodes.reverse(), values: new Set([...depends].filter((value) => reaches.has(value))) };
}

/** Integers and booleans carry none; a value of unknown type might. */
function carriesGradient(value: Value): boolean {
  return value.type === undefined || isFloat(value.type.dtype);
}

function checkRequest(
  loss: Value,
  wrt: readonly Value[],
  outputGradient: Value | undefined,
  checkpoint: readonly Value[],
): void {
  const { graph } = loss;
  for (const value of [...wrt, ...checkpoint, ...(outputGradient ? [outputGradient] : [])]) {
    if (value.graph !== graph) {
      throw new AutodiffError(
        `gradients: expected values of the loss's graph "${graph.name}", found ${value} of graph "${value.graph.name}"`,
      );
    }
  }
  for (const value of [loss, ...wrt]) {
    if (!isFloat(value.dtype)) {
      throw new AutodiffError(`gradients: expected floating-point values, found ${value.dtype} ${value}`);
    }
  }
  if (!outputGradient && loss.shape.some((dim) => dim !== 1)) {
    throw new AutodiffError(
      `gradients: expected a loss with one element, found ${loss}; reduce it, or pass outputGradient`,
    );
  }
  if (outputGradient && String(outputGradient.shape) !== String(loss.shape)) {
    throw new AutodiffError(
      `gradients: expected an outputGradient of shape ${formatShape(loss.shape)}, found ${outputGradient}`,
    );
  }
}

function checkGradient(node: Node, index: number, gradient: Value, input: Value): void {
  if (gradient.dtype !== input.dtype) {
    throw new AutodiffError(
      `gradient of ${node}: expected ${input.dtype} for input ${index}, found ${gradient.dtype}`,
    );
  }
  if (constantNumber(gradient) !== undefined) return;
  const { shape } = gradient, wanted = input.shape, offset = wanted.length - shape.length;
  const fits = offset >= 0 &&
    shape.every((dim, i) =>
      dim === 1 || dim === wanted[i + offset] || typeof dim !== typeof wanted[i + offset] ||
      (typeof dim === "string" && typeof wanted[i + offset] === "string")
    );
  if (!fits) {
    throw new AutodiffError(
      `gradient of ${node}: expected a shape that broadcasts to ${formatShape(wanted)} for input ${index}, found ${
        formatShape(shape)
      }`,
    );
  }
}

function missingRule(node: Node): AutodiffError {
  const operator = node.domain === "" ? node.opType : `${node.domain}::${node.opType}`;
  return new AutodiffError(
    `no gradient rule for operator ${operator} (node "${node.name}"): write it with other operators, cut it off with ` +
      `stopGradient, or add a rule with defineRule("${operator}", …); rules exist for ${operatorsWithRule().length} operators`,
  );
}
