/** The model of a package: the classes' probabilities alone, in the form that a device's runtime takes. */

import {
  compactWeights,
  copyGraph,
  foldConstants,
  fromModel,
  type Graph,
  isStatic,
  OnnxError,
  removeDead,
  replaceUses,
  toModel,
  type Value,
} from "../../onnx/mod.ts";
import { OUTPUTS } from "../../experiment/mod.ts";
import { InputError, tensor } from "../../runtime/mod.ts";

/** A model's bytes and where they come from, for messages. */
export interface ModelSource {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly path: string;
  /** The input's name. */
  readonly input: string;
  /** Its side in pixels. */
  readonly size: number;
  readonly classes: number;
}

/**
 * The model with "probabilities" as its only output; the very bytes where it is so already. Throws InputError where the input is not
 * [batch, 3, size, size] with a batch that may vary, or there is no such output.
 */
export function probabilitiesModel({ bytes, path, input, size, classes }: ModelSource): Uint8Array<ArrayBuffer> {
  const graph = fromModel(bytes, { name: path });
  const port = graph.inputs.find(({ name }) => name === input);
  const output = graph.outputs.find(({ name }) => name === OUTPUTS.probabilities);
  if (!port || graph.inputs.length !== 1 || !output || output.shape[1] !== classes) {
    throw new InputError(
      `${path}: expected the input "${input}" and the output "${OUTPUTS.probabilities}" of ${classes} classes, found ` +
        `${graph.inputs.map(String).join(", ")} and ${output ?? graph.outputs.map(String).join(", ")}`,
    );
  }
  const [batch, ...rest] = port.shape;
  if (!isStatic(rest) || String(rest) !== `3,${size},${size}`) {
    throw new InputError(`${path}: expected an input of fixed size [batch, 3, ${size}, ${size}], found ${port}`);
  }
  if (typeof batch === "number") throw new InputError(`${path}: expected a batch that may vary, found ${port}`);
  if (graph.outputs.length === 1) return bytes;
  for (const other of graph.outputs.filter((value) => value !== output)) graph.removeOutput(other);
  removeDead(graph, { parameters: true });
  return toModel(graph);
}

/** Whether a model computes in whole numbers: it has nodes that quantize. */
export function isQuantized(graph: Graph): boolean {
  return graph.nodes.some(({ opType }) => opType === "QuantizeLinear");
}

/** The oldest opset of TensorRT's parsers that are in use: 8.2, of the Jetson Nano, knows up to 13. */
const TENSORRT_OPSET = 13;

/**
 * The model for TensorRT: a fixed batch, what shapes and constants tell computed, weights as float32 or, stored, as float16. A
 * quantized model keeps its QuantizeLinear and DequantizeLinear nodes; its biases become float32, which the parser wants.
 * Throws InputError where a quantized model is not S8S8 with zero points of 0, or a shape stays open.
 */
export async function tensorrtModel(
  bytes: Uint8Array<ArrayBuffer>,
  { path, batch, weights }: {
    readonly path: string;
    readonly batch: number;
    readonly weights?: "float32" | "float16" | undefined;
  },
): Promise<{ readonly model: Uint8Array<ArrayBuffer>; readonly opset: number; readonly quantized: boolean }> {
  const source = fromModel(bytes, { name: path }), input = source.inputs[0]!;
  const graph = copyGraph(source, { shapes: { [input.name]: [batch, ...input.shape.slice(1)] } });
  const quantized = isQuantized(graph);
  if (quantized) {
    expectSymmetric(graph, path);
    floatBiases(graph); // nothing else is folded: that would turn the weights back into float32
  } else {
    await foldConstants(graph, { parameters: true });
    if (weights === "float16") compactWeights(graph, "float16");
  }
  removeDead(graph, { parameters: true });
  const open = [...graph.inputs, ...graph.nodes.flatMap(({ outputs }) => outputs)]
    .find((value) => value !== undefined && !isStatic(value.shape));
  if (open) throw new InputError(`${path}: expected fixed shapes with a batch of ${batch}, found ${open}`);
  try {
    return { model: toModel(graph, { opset: TENSORRT_OPSET }), opset: TENSORRT_OPSET, quantized };
  } catch (error) {
    if (!(error instanceof OnnxError)) throw error;
    return { model: toModel(graph), opset: 17, quantized }; // an operator that opset 13 has no way to say
  }
}

/** TensorRT's int8 has no zero point: each must be int8 and 0. */
function expectSymmetric(graph: Graph, path: string): void {
  for (const node of graph.nodes) {
    if (node.opType !== "QuantizeLinear" && node.opType !== "DequantizeLinear") continue;
    const [data, , zero] = node.inputs;
    if (node.opType === "DequantizeLinear" && data!.dtype === "int32") continue;
    const dtype = zero?.dtype ?? (node.opType === "DequantizeLinear" ? data!.dtype : "uint8");
    const values = zero?.tensor ? Array.from(zero.tensor.data as Int8Array, Number) : [0];
    if (dtype === "int8" && values.every((value) => value === 0)) continue;
    throw new InputError(
      `${path}: ${node.name}: expected S8S8, int8 with a zero point of 0, as TensorRT wants it, found ${dtype} with ${
        values.find((value) => value !== 0) ?? 0
      }`,
    );
  }
}

/** Biases kept as int32 become float32 constants: b = q · s, one scale or one a channel. */
function floatBiases(graph: Graph): void {
  for (const node of graph.nodes) {
    const [bias, scale] = node.inputs as readonly Value[];
    if (node.opType !== "DequantizeLinear" || bias!.dtype !== "int32" || !bias!.tensor || !scale?.tensor) continue;
    const scales = scale.tensor.data as Float32Array;
    const values = Float32Array.from(
      bias!.tensor.data as Int32Array,
      (q, i) => q * (scales.length === 1 ? scales[0]! : scales[i]!),
    );
    const made = graph.constant(tensor("float32", bias!.tensor.shape, values), { name: `${bias!.name}.float32` });
    replaceUses(graph, node.outputs[0]!, made);
  }
}
