/** Graphs to ONNX files. */

import { create, toBinary } from "@bufbuild/protobuf";
import { ensureParent, writeAtomic } from "../runtime/mod.ts";
import type { Attribute } from "./attributes.ts";
import { dataTypeOf } from "./data_type.ts";
import type { Shape } from "./dims.ts";
import { OnnxError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { lowerNodes } from "./lower.ts";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  type TypeProto,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./proto/onnx_pb.ts";
import { toTensorProto } from "./tensor_proto.ts";
import type { Value } from "./value.ts";

/** Marks trainable initialisers in a file (TensorProto.doc_string), so that they are known again when it is read. */
export const PARAMETER_MARK = "parameter";

/** Settings of `toModel`. */
export interface ModelOptions {
  /** 12 … 22; default 17. Below 17 operators are rewritten where there is a way; OnnxError names those without. */
  readonly opset?: number;
  /** Default: the one that belongs to the opset (12–14: 7, 15–18: 8, 19–20: 9, 21–22: 10). */
  readonly irVersion?: number;
  readonly producer?: string;
  /** Also write the inferred shapes of inner values, for people who look at the file. */
  readonly valueInfo?: boolean;
  /**
   * Order of the nodes. A file has them in topological order (the default). "latestFirst" is for ONNX Runtime only, which
   * sorts them itself: it walks back from the outputs and prefers nodes that stand late in the file, so that the file
   * turned around makes it run them in the graph's own order. A graph with its gradients needs it: else each gradient's
   * weight product waits until the whole backward pass is done, and all activations with it.
   */
  readonly order?: "topological" | "latestFirst";
}

/** The oldest and the newest opset that is written. */
export const OPSETS = { oldest: 12, newest: 22 } as const;

/** The IR version that came with an opset (onnx/onnx, docs/Versioning.md). */
export function irVersionOf(opset: number): number {
  return opset <= 11 ? 6 : opset <= 14 ? 7 : opset <= 18 ? 8 : opset <= 20 ? 9 : 10;
}

/** The bytes of an ONNX file. Throws OnnxError when the graph has no output or cannot be written at the opset. */
export function toModel(graph: Graph, options: ModelOptions = {}): Uint8Array<ArrayBuffer> {
  return toBinary(ModelProtoSchema, toModelProto(graph, options)) as Uint8Array<ArrayBuffer>;
}

/** Writes an ONNX file, whole or not at all. */
export async function toFile(graph: Graph, path: string, options: ModelOptions = {}): Promise<void> {
  const bytes = toModel(graph, options);
  await ensureParent(path);
  await writeAtomic(path, bytes);
}

/** The message of an ONNX file; initialisers share the graph's memory. */
export function toModelProto(graph: Graph, options: ModelOptions = {}): ModelProto {
  const { opset = 17, producer = "pokedex", valueInfo = false, order = "topological" } = options;
  if (!Number.isInteger(opset) || opset < OPSETS.oldest || opset > OPSETS.newest) {
    throw new OnnxError(
      `graph "${graph.name}": expected an opset in ${OPSETS.oldest} … ${OPSETS.newest}, found ${opset}`,
    );
  }
  if (graph.outputs.length === 0) throw new OnnxError(`graph "${graph.name}": expected an output, found none`);
  const { nodes, constants } = lowerNodes(graph, opset);
  // Constants that became attributes need not be written; parameters always are.
  const used = new Set([...nodes.flatMap((node) => node.inputs), ...graph.outputs.map((value) => value.name)]);
  const written = graph.initialisers.filter((value) => value.kind === "parameter" || used.has(value.name));
  const domains = new Set(nodes.map((node) => node.domain).filter((domain) => domain !== ""));
  return create(ModelProtoSchema, {
    irVersion: BigInt(options.irVersion ?? irVersionOf(opset)),
    producerName: producer,
    opsetImport: [
      { domain: "", version: BigInt(opset) },
      ...[...domains].sort().map((domain) => ({ domain, version: BigInt(graph.domains.get(domain) ?? 1) })),
    ],
    metadataProps: [...graph.metadata].map(([key, value]) => ({ key, value })),
    graph: create(GraphProtoSchema, {
      name: graph.name,
      input: graph.inputs.map(toValueInfo),
      output: graph.outputs.map(toValueInfo),
      initializer: [
        ...written.map((value) =>
          toTensorProto(value.tensor!, value.name, value.kind === "parameter" ? PARAMETER_MARK : undefined)
        ),
        ...[...constants].map(([name, tensor]) => toTensorProto(tensor, name)),
      ],
      node: (order === "latestFirst" ? nodes.toReversed() : nodes).map((node) =>
        create(NodeProtoSchema, {
          name: node.name,
          opType: node.opType,
          domain: node.domain,
          input: node.inputs.map((name) => name ?? ""),
          output: node.outputs.map((name) => name ?? ""),
          attribute: [...node.attributes].map(([name, attribute]) => toAttributeProto(name, attribute)),
        })
      ),
      valueInfo: valueInfo
        ? [...graph.values.values()].filter((value) =>
          value.kind === "node" && value.type && !graph.outputs.includes(value)
        ).map(toValueInfo)
        : [],
    }),
  });
}

function toValueInfo(value: Value): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name: value.name,
    ...(value.type ? { type: toTypeProto(dataTypeOf(value.type.dtype), value.type.shape) } : {}),
  });
}

function toTypeProto(elemType: number, shape: Shape): TypeProto {
  return create(TypeProtoSchema, {
    value: {
      case: "tensorType",
      value: {
        elemType,
        shape: {
          dim: shape.map((dim) => ({
            value: typeof dim === "number"
              ? { case: "dimValue" as const, value: BigInt(dim) }
              : { case: "dimParam" as const, value: dim },
          })),
        },
      },
    },
  });
}

function toAttributeProto(name: string, { kind, value }: Attribute): AttributeProto {
  const encoder = new TextEncoder();
  const Type = AttributeProto_AttributeType;
  switch (kind) {
    case "float":
      return create(AttributeProtoSchema, { name, type: Type.FLOAT, f: value });
    case "int":
      return create(AttributeProtoSchema, { name, type: Type.INT, i: BigInt(value) });
    case "string":
      return create(AttributeProtoSchema, { name, type: Type.STRING, s: encoder.encode(value) });
    case "tensor":
      return create(AttributeProtoSchema, { name, type: Type.TENSOR, t: toTensorProto(value, "") });
    case "graph":
      return create(AttributeProtoSchema, { name, type: Type.GRAPH, g: value });
    case "floats":
      return create(AttributeProtoSchema, { name, type: Type.FLOATS, floats: [...value] });
    case "ints":
      return create(AttributeProtoSchema, { name, type: Type.INTS, ints: value.map(BigInt) });
    case "strings":
      return create(AttributeProtoSchema, {
        name,
        type: Type.STRINGS,
        strings: value.map((text) => encoder.encode(text)),
      });
    case "tensors":
      return create(AttributeProtoSchema, {
        name,
        type: Type.TENSORS,
        tensors: value.map((tensor) => toTensorProto(tensor, "")),
      });
    case "graphs":
      return create(AttributeProtoSchema, { name, type: Type.GRAPHS, graphs: [...value] });
  }
}
