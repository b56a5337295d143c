/** Tensors as the file holds them (TensorProto) and back. */

import { create, fromBinary } from "@bufbuild/protobuf";
import { allocate, describeError, elementCount, elementSize, type Tensor } from "../runtime/mod.ts";
import { dataTypeOf, dtypeOf } from "./data_type.ts";
import { OnnxError } from "./errors.ts";
import { type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from "./proto/onnx_pb.ts";
import { scanMessage } from "./scan.ts";

/** Reads a tensor's bytes, `wanted` of them, from another file; the entries are location, offset, length. */
export type ExternalReader = (
  entries: ReadonlyMap<string, string>,
  wanted: number,
  place: string,
) => Uint8Array<ArrayBuffer>;

/** Refuses external data, for models that come as bytes. */
export const noExternalData: ExternalReader = (_entries, _wanted, place) => {
  throw new OnnxError(`${place}: expected the data inside the file, found external data (open the model by its path)`);
};

/** A single tensor from a `.pb` file (a TensorProto), as ONNX's test data hold them. Throws OnnxError when it is none. */
export function fromTensorBytes(bytes: Uint8Array, { name = "tensor" }: { name?: string } = {}): Tensor {
  scanMessage(TensorProtoSchema, bytes, name);
  let proto: TensorProto;
  try {
    proto = fromBinary(TensorProtoSchema, bytes);
  } catch (error) {
    throw new OnnxError(`${name}: expected an ONNX tensor, found: ${describeError(error, 160)}`, { cause: error });
  }
  return fromTensorProto(proto, name, noExternalData);
}

/** A tensor as the file holds it, little-endian raw bytes. */
export function toTensorProto(tensor: Tensor, name: string, docString?: string): TensorProto {
  const proto = create(TensorProtoSchema, {
    name,
    dims: tensor.shape.map(BigInt),
    dataType: dataTypeOf(tensor.dtype),
    ...(docString === undefined ? {} : { docString }),
  });
  if (tensor.dtype === "string") {
    const encoder = new TextEncoder();
    proto.stringData = (tensor.data as string[]).map((text) => encoder.encode(text));
  } else {
    const { buffer, byteOffset, byteLength } = tensor.data as Float32Array<ArrayBuffer>;
    proto.rawData = new Uint8Array(buffer, byteOffset, byteLength);
  }
  return proto;
}

/**
 * A tensor from the file. Throws OnnxError for an unknown type, for sizes below 0, and when the elements that are there
 * are not as many as the shape says: nothing is allocated before that is known.
 */
export function fromTensorProto(proto: TensorProto, place: string, external: ExternalReader): Tensor {
  const dtype = dtypeOf(proto.dataType);
  if (!dtype) {
    throw new OnnxError(`${place}: expected an element type that is supported, found number ${proto.dataType}`);
  }
  const shape = proto.dims.map(Number);
  const count = elementCount(shape);
  if (shape.some((size) => size < 0) || !Number.isSafeInteger(count)) {
    throw new OnnxError(`${place}: expected sizes from 0 that can be counted, found [${shape.join(", ")}]`);
  }
  const expect = (found: number, what: string) => {
    const wanted = what === "bytes" ? count * elementSize(dtype) : count;
    if (found !== wanted) {
      throw new OnnxError(`${place}: expected ${wanted} ${what} for ${dtype} [${shape.join(", ")}], found ${found}`);
    }
  };
  if (dtype === "string") {
    expect(proto.stringData.length, "texts");
    const decoder = new TextDecoder();
    return { dtype, shape, data: proto.stringData.map((bytes) => decoder.decode(bytes)) };
  }
  let raw: Uint8Array | undefined = proto.rawData.length > 0 ? proto.rawData : undefined;
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
    raw = external(entries, count * elementSize(dtype), place);
  }
  if (raw) {
    expect(raw.length, "bytes");
    // Copied: the bytes need not be aligned, and the file's buffer can be let go.
    const data = allocate(dtype, count) as Uint8Array;
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(raw);
    return { dtype, shape, data };
  }
  const list = typedField(proto);
  expect(list.length, "elements");
  const data = allocate(dtype, count);
  try {
    fill(data as { [index: number]: number | bigint }, list, dtype);
  } catch (error) {
    throw new OnnxError(`${place}: expected elements of ${dtype}, found ${describeError(error)}`, { cause: error });
  }
  return { dtype, shape, data };
}

function typedField(proto: TensorProto): readonly (number | bigint)[] {
  const { floatData, int32Data, int64Data, doubleData, uint64Data } = proto;
  switch (dtypeOf(proto.dataType)) {
    case "float32":
      return floatData;
    case "float64":
      return doubleData;
    case "int64":
      return int64Data;
    case "uint32":
    case "uint64":
      return uint64Data;
    default:
      return int32Data;
  }
}

function fill(target: { [index: number]: number | bigint }, list: readonly (number | bigint)[], dtype: string): void {
  if (dtype === "float16") { // int32_data holds the 16 bits
    const bits = new Uint16Array((target as unknown as Float16Array).buffer);
    list.forEach((element, i) => bits[i] = Number(element));
  } else if (dtype === "int64" || dtype === "uint64") list.forEach((element, i) => target[i] = BigInt(element));
  else list.forEach((element, i) => target[i] = Number(element));
}
