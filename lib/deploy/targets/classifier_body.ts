/** The parts of a classifier of `lib/models` that chips compute: what one view of a picture goes through, and its last layer. */

import { copyGraph, cutGraph, type Graph, type Node, type Value } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";

/** What `bodyOf` gives. */
export interface ClassifierBody {
  /** From `input` [1, 3, rows, columns] to `end`, whose name it keeps. */
  readonly body: Graph;
  /** The value of the source at which it begins. */
  readonly images: Value;
}

/**
 * The part of a folded graph from what its first convolution takes, one picture named `input`, to a value. Throws InputError for a graph
 * without convolutions or with pictures of an open size.
 */
export function bodyOf(graph: Graph, end: Value, input: string): ClassifierBody {
  const images = graph.nodes.find(({ opType }) => opType === "Conv")?.input(0);
  const size = images?.shape.slice(1) ?? [];
  if (!images || images.rank !== 4 || size.some((dim) => typeof dim === "string")) {
    throw new InputError(
      `${graph.name}: expected convolutions on pictures of a fixed size, found ${images ?? "no convolution"}`,
    );
  }
  const cut = cutGraph(graph, { inputs: [images.name], outputs: [end.name] });
  const body = copyGraph(cut, { shapes: { [images.name]: [1, ...size] } });
  const [port] = body.inputs;
  if (port!.name !== input) body.rename(port!, input);
  return { body, images };
}

/** The last linear layer and the mean over all places that it reads. Throws InputError for another kind of network. */
export function linearHead(graph: Graph): { readonly linear: Node; readonly pool: Node } {
  const linear = lastLinear(graph), pool = linear && poolBefore(linear);
  if (linear && pool) return { linear, pool };
  const found = linear ? "no mean right before the last layer" : "no linear layer with known weights";
  throw new InputError(
    `${graph.name}: expected a classifier (convolutions, a mean over all places, one linear layer), found ${found}`,
  );
}

function lastLinear(graph: Graph): Node | undefined {
  return graph.nodes.findLast((node) =>
    (node.opType === "Gemm" || node.opType === "MatMul") && node.input(1).tensor?.dtype === "float32"
  );
}

/** The mean over all places that the layer reads, behind what only changes shapes. */
function poolBefore(linear: Node): Node | undefined {
  let node = linear.input(0).producer;
  while (node && ["Flatten", "Reshape", "Squeeze", "Identity"].includes(node.opType)) node = node.input(0).producer;
  if (node?.opType === "GlobalAveragePool") return node;
  const isMean = node?.opType === "ReduceMean" && node.input(0).rank === 4 &&
    String([...node.ints("axes")].map((axis) => axis < 0 ? axis + 4 : axis).sort()) === "2,3";
  return isMean ? node : undefined;
}

/** Weights by output, [classes, features], and a bias, from a Gemm, or from a product with an Add behind it. */
export function linearWeights(linear: Node) {
  const { data, shape } = linear.input(1).tensor! as { readonly data: Float32Array; readonly shape: readonly number[] };
  const isGemm = linear.opType === "Gemm", byOutput = isGemm && linear.int("transB", 0) === 1;
  const [classes, features] = (byOutput ? shape : shape.toReversed()) as [number, number];
  const alpha = isGemm ? linear.float("alpha", 1) : 1, beta = isGemm ? linear.float("beta", 1) : 1;
  const weight = new Float32Array(classes * features);
  for (let output = 0; output < classes; output++) {
    for (let k = 0; k < features; k++) {
      weight[output * features + k] = alpha * data[byOutput ? output * features + k : k * classes + output]!;
    }
  }
  const given = isGemm ? linear.inputs[2] : biasBehind(linear);
  const shift = given?.tensor?.data as Float32Array | undefined;
  if ((given && !shift) || (shift && shift.length !== classes && shift.length !== 1)) {
    throw new InputError(`${linear.name}: expected a bias of ${classes} known numbers, found ${given}`);
  }
  const bias = Float32Array.from({ length: classes }, (_, i) => shift ? beta * shift[shift.length > 1 ? i : 0]! : 0);
  return { weight, bias, classes, features };
}

function biasBehind(product: Node): Value | undefined {
  const [next, ...more] = product.graph.consumers().get(product.output()) ?? [];
  if (!next || more.length > 0 || next.opType !== "Add") return undefined;
  return next.inputs.find((value) => value !== product.output());
}

/** How many times the pictures of the graph's input the first convolution sees. */
export function viewsOf(graph: Graph, images: Value): number {
  const [input] = graph.inputs;
  if (!input || images === input) return 1;
  const one = copyGraph(graph, { shapes: { [input.name]: [1, ...input.shape.slice(1)] } });
  const batch = one.value(images.name).shape[0];
  return typeof batch === "number" ? batch : 1;
}
