/** Rewrite of a training graph: maxima are taken before what keeps their order, which then has less to do. */

import {
  add,
  batchNormalization,
  batchNormalizationTraining,
  cast,
  type Graph,
  less,
  mul,
  type Node,
  reshape,
  sortNodes,
  sub,
  tensor,
  type Value,
} from "../../onnx/mod.ts";

/**
 * Moves MaxPool ahead of monotone operators, before `gradients`: a maximum commutes with what keeps the order.
 *
 * - MaxPool(f(x)) = f(MaxPool(x)) for Relu, LeakyRelu with a slope from 0, and Clip: exactly the same numbers. The activation
 *   and its gradient work on a fourth of the elements (2x2).
 * - MaxPool(BatchNorm(conv(x, w))) in training: the normalisation is increasing where γ ≥ 0; where γ < 0 the channel's
 *   weights and γ change their sign first, which changes nothing of the product. Statistics are still those of the whole map.
 *   The same up to rounding. The normalised map is never kept for the backward pass, and the gradient passes over the large
 *   map once less.
 *
 * A value in between that something else reads, or that is an output of the graph, stays as it is. The graph's values
 * keep their names except those in between. Returns how many poolings moved.
 */
export function poolFirst(graph: Graph): number {
  let moved = 0;
  for (const node of [...graph.nodes]) {
    if (node.opType !== "MaxPool" || node.domain !== "" || node.outputCount > 1) continue;
    if (moveBefore(graph, node)) moved++;
  }
  if (moved > 0) sortNodes(graph);
  return moved;
}

function moveBefore(graph: Graph, pool: Node): boolean {
  const consumers = graph.consumers();
  const alone = (value: Value) => consumers.get(value)?.length === 1 && !graph.outputs.includes(value);
  const chain: Node[] = [];
  let source = pool.input(0);
  while (source.producer && monotone(source.producer) && alone(source)) {
    chain.unshift(source.producer);
    source = source.producer.input(0);
  }
  const normalisation = source.producer;
  const normalised = normalisation !== undefined && alone(source) && isTrainedNormalisation(normalisation);
  const convolution = normalised ? normalisation.input(0).producer : undefined;
  const signed = convolution?.opType === "Conv" && convolution.domain === "" && !convolution.inputs[2] &&
    alone(normalisation!.input(0));
  if (chain.length === 0 && !signed) return false;
  const before = new Set(graph.nodes);
  const result = graph.scope(pool.name, () => {
    const head = signed ? pooledNormalisation(graph, pool, normalisation!, convolution) : repeat(graph, pool, source);
    return chain.reduce((value, node) => repeat(graph, node, value), head);
  });
  const dead = [...chain, pool, ...(signed ? [convolution, normalisation!] : [])];
  replace(graph, pool.output(), result, before);
  remove(graph, dead);
  return true;
}

/** Relu, LeakyRelu and Clip keep the order of any two numbers, also after rounding. */
function monotone(node: Node): boolean {
  if (node.domain !== "") return false;
  if (node.opType === "LeakyRelu") return node.float("alpha") >= 0;
  return node.opType === "Relu" || node.opType === "Clip";
}

function isTrainedNormalisation(node: Node): boolean {
  return node.opType === "BatchNormalization" && node.domain === "" && node.int("training_mode") === 1;
}

function pooledNormalisation(graph: Graph, pool: Node, normalisation: Node, convolution: Node): Value {
  const scale = normalisation.input(1), w = convolution.input(1);
  const { dtype } = scale;
  const epsilon = normalisation.float("epsilon"), momentum = normalisation.float("momentum");
  const sign = sub(1, mul(cast(less(scale, 0), dtype), 2)); // 1 or −1 a channel; a comparison carries no gradient
  // As a matrix: in four dimensions ONNX Runtime moves the transposition of the gradient behind the product, where it takes
  // 4.2 ms for 256→512 channels in place of 0.7.
  const rows = reshape(w, [w.staticShape[0]!, -1]);
  const weights = reshape(mul(rows, reshape(sign, [-1, 1])), w.staticShape);
  const turned = repeat(graph, convolution, convolution.input(0), weights);
  const channels = scale.staticShape;
  // Only the statistics are read. ONNX Runtime writes over their inputs: what is made afresh in each run serves again, so
  // that a NaN of one run does not live on; else they are unlike any other constant, for it shares equal ones.
  const own = (input: number, part: number) =>
    momentum === 0 && normalisation.input(input).producer
      ? normalisation.input(input)
      : graph.constant(tensor(dtype, channels, new Array<number>(channels[0]!).fill(graph.nodes.length + part)), {
        name: "statistics",
      });
  const one = graph.constant(1, { dtype, shape: channels }), zero = graph.constant(0, { dtype, shape: channels });
  const { runningMean: mean, runningVariance: variance } = batchNormalizationTraining(
    turned,
    one,
    zero,
    own(3, 0.25),
    own(4, 0.75),
    { momentum: 0, epsilon },
  );
  const batch = [mul(mean, sign), variance];
  batch.forEach((statistics, i) => {
    const old = normalisation.outputs[i + 1];
    if (!old) return;
    const updated = momentum === 0
      ? statistics
      : add(mul(normalisation.input(i + 3), momentum), mul(statistics, 1 - momentum));
    takeOver(graph, old, updated);
  });
  const pooled = repeat(graph, pool, turned);
  return batchNormalization(pooled, mul(scale, sign), normalisation.input(2), mean, variance, { epsilon });
}

/** The node once more, on other first inputs. */
function repeat(graph: Graph, node: Node, ...inputs: readonly Value[]): Value {
  return graph.node(
    node.opType,
    [...inputs, ...node.inputs.slice(inputs.length)],
    Object.fromEntries(node.attributes),
    {
      name: node.opType,
      outputs: 1,
    },
  )[0]!;
}

/** `next` in place of `old` everywhere, under `old`'s name where it is an output of the graph. */
function takeOver(graph: Graph, old: Value, next: Value): void {
  const result = graph.outputs.includes(old) ? graph.node("Identity", [next])[0]! : next;
  replace(graph, old, result, new Set(graph.nodes.filter((node) => node !== result.producer)));
}

function replace(graph: Graph, old: Value, next: Value, readers: ReadonlySet<Node>): void {
  for (const node of readers) {
    node._inputs = node._inputs.map((input) => input === old ? next : input);
  }
  const { outputs } = graph._internals();
  const at = outputs.indexOf(old);
  if (at < 0) return;
  const { name } = old;
  graph.rename(old, graph._internals().uniqueName(`${name}/before`));
  graph.rename(next, name);
  outputs[at] = next;
}

function remove(graph: Graph, dead: readonly Node[]): void {
  const lists = graph._internals();
  lists.setNodes(graph.nodes.filter((node) => !dead.includes(node)));
  for (const node of dead) {
    lists.nodeNames.delete(node.name);
    for (const output of node.outputs) if (output) lists.values.delete(output.name);
  }
}
