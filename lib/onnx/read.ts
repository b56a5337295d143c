/** ONNX files to graphs. */

import { fromBinary } from "@bufbuild/protobuf";
import { describeError, reason } from "../runtime/mod.ts";
import type { Attribute } from "./attributes.ts";
import { dtypeOf } from "./data_type.ts";
import { type Dim, symbol } from "./dims.ts";
import { OnnxError } from "./errors.ts";
import { externalData } from "./external.ts";
import { Graph } from "./graph.ts";
import { inferTypes } from "./infer.ts";
import { type IncomingNode, liftNode, READABLE } from "./lift.ts";
import { Node } from "./node.ts";
import { constantValue } from "./ops/shape.ts";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
} from "./proto/onnx_pb.ts";
import type { ValueType } from "./registry.ts";
import { scanMessage } from "./scan.ts";
import { type ExternalReader, fromTensorProto, noExternalData } from "./tensor_proto.ts";
import { Value } from "./value.ts";
import { PARAMETER_MARK } from "./write.ts";

/** IR versions that can be read: 3 is the first that is published, 13 the newest known. */
export const IR_VERSIONS = { oldest: 3, newest: 13 } as const;

/** More inputs or outputs than this are not a network but an attack. */
const MOST_OPERANDS = 8192;

/** Reads the bytes of an ONNX file. `name` stands for the file in messages. Throws OnnxError for anything wrong in it. */
export function fromModel(bytes: Uint8Array, { name = "model" }: { name?: string } = {}): Graph {
  return readModel(bytes, name, noExternalData);
}

/** Reads an ONNX file. Data in other files must lie in its folder. Throws OnnxError for anything wrong. */
export async function fromFile(path: string): Promise<Graph> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw new OnnxError(`${path}: expected an ONNX file, found ${reason(error)}`, { cause: error });
  }
  return readModel(bytes, path, externalData(path));
}

/** Decodes the message of an ONNX file. */
export function decodeModel(bytes: Uint8Array, name: string): ModelProto {
  scanMessage(ModelProtoSchema, bytes, name);
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw new OnnxError(`${name}: expected an ONNX model, found: ${describeError(error, 160)}`, { cause: error });
  }
  if (!model.graph) throw new OnnxError(`${name}: expected an ONNX model with a graph, found none`);
  return model;
}

/** The opset of ONNX's own domain. Throws OnnxError for a file that is too old or too new. */
function opsetOf(model: ModelProto, name: string): number {
  const ir = Number(model.irVersion);
  if (ir < IR_VERSIONS.oldest || ir > IR_VERSIONS.newest) {
    throw new OnnxError(
      `${name}: expected an IR version in ${IR_VERSIONS.oldest} … ${IR_VERSIONS.newest}, found ${ir}`,
    );
  }
  const entry = model.opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx");
  if (!entry) throw new OnnxError(`${name}: expected an opset of ONNX's own domain, found none`);
  const opset = Number(entry.version);
  if (opset < READABLE.oldest || opset > READABLE.newest) {
    throw new OnnxError(`${name}: expected an opset in ${READABLE.oldest} … ${READABLE.newest}, found ${opset}`);
  }
  return opset;
}

function readModel(bytes: Uint8Array, name: string, external: ExternalReader): Graph {
  const model = decodeModel(bytes, name);
  const opset = opsetOf(model, name);
  if (model.functions.length > 0) {
    throw new OnnxError(
      `${name}: expected no local functions (export with them inlined), found ${model.functions.length}`,
    );
  }
  const reader = new GraphReader(name, opset, external);
  const graph = reader.read(model.graph!);
  for (const { key, value } of model.metadataProps) graph.metadata.set(key, value);
  for (const { domain, version } of model.opsetImport) {
    if (domain !== "" && domain !== "ai.onnx") graph.domains.set(domain, Number(version));
  }
  return graph;
}

class GraphReader {
  readonly #file: string;
  readonly #opset: number;
  readonly #external: ExternalReader;

  constructor(file: string, opset: number, external: ExternalReader) {
    this.#file = file;
    this.#opset = opset;
    this.#external = external;
  }

  read(proto: GraphProto): Graph {
    const graph = new Graph(proto.name || "graph");
    const lists = graph._internals();
    const initialisers = new Set(proto.initializer.map(({ name }) => name));
    for (const info of proto.input) {
      if (initialisers.has(info.name)) continue; // before IR 4 initialisers stood among the inputs too
      const type = this.#valueType(info, `input "${info.name}"`);
      if (!type) throw new OnnxError(`${this.#file}: input "${info.name}": expected a type and shape, found none`);
      this.#expectNew(graph, info.name);
      const value = new Value(graph, info.name, "input", type);
      lists.values.set(value.name, value);
      lists.inputs.push(value);
    }
    for (const tensor of proto.initializer) {
      this.#expectNew(graph, tensor.name);
      const content = fromTensorProto(tensor, `${this.#file}: initialiser "${tensor.name}"`, this.#external);
      lists.addInitialiser(tensor.name, tensor.docString === PARAMETER_MARK ? "parameter" : "constant", content);
    }
    const declared = new Map(
      [...proto.valueInfo, ...proto.output].map((info) => [info.name, this.#valueType(info, `"${info.name}"`)]),
    );
    const computed = new Set(proto.node.flatMap((node) => node.output));
    for (const node of proto.node) this.#readNode(graph, node, declared, computed);
    for (const { name } of proto.output) {
      const value = graph.values.get(name);
      if (!value) throw new OnnxError(`${this.#file}: output "${name}": expected a node that computes it, found none`);
      lists.outputs.push(value);
    }
    return graph;
  }

  #readNode(
    graph: Graph,
    proto: NodeProto,
    declared: ReadonlyMap<string, ValueType | undefined>,
    computed: ReadonlySet<string>,
  ): void {
    const lists = graph._internals();
    const place = `${this.#file}: ${proto.opType} "${proto.name || proto.output[0] || ""}"`;
    if (proto.input.length > MOST_OPERANDS || proto.output.length > MOST_OPERANDS) {
      throw new OnnxError(
        `${place}: expected at most ${MOST_OPERANDS} inputs and outputs, found ${proto.input.length} and ${proto.output.length}`,
      );
    }
    const inputs = proto.input.map((name) => {
      if (name === "") return undefined;
      const value = graph.values.get(name);
      if (value) return value;
      const found = computed.has(name) ? "only a later node that computes it (a cycle, or nodes out of order)" : "none";
      throw new OnnxError(`${place}: expected an input, initialiser or node before it named "${name}", found ${found}`);
    });
    while (inputs.length > 0 && inputs.at(-1) === undefined) inputs.pop();
    if (proto.opType === "") throw new OnnxError(`${place}: expected an operator's name, found an empty text`);
    const attributes = new Map<string, Attribute>();
    for (const attribute of proto.attribute) {
      const typed = this.#attribute(attribute, `${place}: attribute ${attribute.name}`);
      if (attributes.has(attribute.name)) {
        throw new OnnxError(`${place}: expected each attribute once, found ${attribute.name} twice`);
      }
      if ((typed.kind === "graph" || typed.kind === "graphs") && (this.#opset < 13 || this.#opset > 17)) {
        throw new OnnxError(`${place}: expected no sub-graph except at opsets 13 … 17, found one at ${this.#opset}`);
      }
      attributes.set(attribute.name, typed);
    }
    const domain = proto.domain === "ai.onnx" ? "" : proto.domain;
    const nodeName = lists.uniqueNodeName(proto.name || proto.output.find((name) => name !== "") || proto.opType);
    const incoming: IncomingNode = {
      opType: proto.opType,
      inputs,
      attributes,
      outputCount: proto.output.length,
      name: nodeName,
      place: `${proto.opType} "${nodeName}"`,
    };
    if (domain === "") this.#located(() => liftNode(graph, incoming, this.#opset));
    const node = new Node(graph, nodeName, incoming.opType, domain, incoming.inputs, attributes);
    node.outputCount = proto.output.length;
    const types = this.#located(() => inferTypes(node));
    if (domain === "" && proto.opType === "Constant" && !attributes.has("sparse_value")) {
      this.#expectNew(graph, proto.output[0] ?? "");
      lists.addInitialiser(proto.output[0]!, "constant", this.#located(() => constantValue(node)));
      lists.nodeNames.delete(nodeName);
      return;
    }
    node._outputs = proto.output.map((name, index) => {
      if (name === "") return undefined;
      this.#expectNew(graph, name);
      const value = new Value(graph, name, "node", refine(types[index], declared.get(name)), { producer: node, index });
      lists.values.set(name, value);
      return value;
    });
    lists.nodes.push(node);
  }

  #located<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof OnnxError) throw new OnnxError(`${this.#file}: ${error.message}`, { cause: error });
      throw error;
    }
  }

  #expectNew(graph: Graph, name: string): void {
    if (name === "") throw new OnnxError(`${this.#file}: expected a name for each value, found an empty text`);
    if (graph.values.has(name)) {
      throw new OnnxError(`${this.#file}: expected each value once, found "${name}" twice`);
    }
  }

  #valueType(info: ValueInfoProto, place: string): ValueType | undefined {
    const type = info.type?.value;
    if (type?.case !== "tensorType" || !type.value.shape) return undefined;
    const dtype = dtypeOf(type.value.elemType);
    if (!dtype) {
      throw new OnnxError(
        `${this.#file}: ${place}: expected an element type that is supported, found number ${type.value.elemType}`,
      );
    }
    const shape = type.value.shape.dim.map((dim, i): Dim => {
      if (dim.value.case === "dimValue") {
        const size = Number(dim.value.value);
        if (size >= 0) return size;
      }
      return dim.value.case === "dimParam" && dim.value.value !== ""
        ? symbol(dim.value.value)
        : symbol(`${info.name}.${i}`);
    });
    return { dtype, shape };
  }

  #attribute(proto: AttributeProto, place: string): Attribute {
    const decoder = new TextDecoder();
    const Type = AttributeProto_AttributeType;
    // Beyond 2^53 stands "to the end" of a slice: the largest exact integer says the same.
    const limit = Number.MAX_SAFE_INTEGER;
    const whole = (value: bigint) => Math.max(-limit, Math.min(limit, Number(value)));
    switch (proto.type) {
      case Type.FLOAT:
        return { kind: "float", value: proto.f };
      case Type.INT:
        return { kind: "int", value: whole(proto.i) };
      case Type.STRING:
        return { kind: "string", value: decoder.decode(proto.s) };
      case Type.FLOATS:
        return { kind: "floats", value: proto.floats };
      case Type.INTS:
        return { kind: "ints", value: proto.ints.map(whole) };
      case Type.STRINGS:
        return { kind: "strings", value: proto.strings.map((text) => decoder.decode(text)) };
      case Type.TENSOR:
        if (!proto.t) throw new OnnxError(`${place}: expected a tensor, found none`);
        return { kind: "tensor", value: fromTensorProto(proto.t, place, this.#external) };
      case Type.TENSORS:
        return { kind: "tensors", value: proto.tensors.map((t) => fromTensorProto(t, place, this.#external)) };
      case Type.GRAPH:
        if (!proto.g) throw new OnnxError(`${place}: expected a sub-graph, found none`);
        return { kind: "graph", value: proto.g };
      case Type.GRAPHS:
        return { kind: "graphs", value: proto.graphs };
      default:
        throw new OnnxError(`${place}: expected a kind that is supported, found number ${proto.type}`);
    }
  }
}

/** What inference found, completed by what the file declares: sizes that are symbols here may be numbers there. */
function refine(inferred: ValueType | undefined, declared: ValueType | undefined): ValueType | undefined {
  if (!inferred) return declared;
  if (!declared || declared.shape.length !== inferred.shape.length) return inferred;
  const shape = inferred.shape.map((dim, i) => {
    const other = declared.shape[i]!;
    return typeof dim === "string" && typeof other === "number" ? other : dim;
  });
  return { ...inferred, shape };
}
