/** Darknet's `.weights` files, read and written byte for byte. */

import { ModelError } from "../errors.ts";
import type { DarknetNetwork } from "./network.ts";

/** What stands before the numbers. */
export interface WeightsHeader {
  readonly major: number;
  readonly minor: number;
  readonly revision: number;
  /** Pictures the network was trained on. */
  readonly seen: bigint;
}

/** What Darknet's `save_weights` writes. */
export const NEWEST_HEADER: WeightsHeader = { major: 0, minor: 2, revision: 0, seen: 0n };

/** How many numbers a layer has in the file: bias, with batch normalisation scale, mean and variance, then weight. */
export interface BlockShape {
  /** For messages. */
  readonly place: string;
  readonly outputs: number;
  /** Weights of one output: channels / groups · size², or inputs. */
  readonly inputs: number;
  readonly batchNormalize: boolean;
}

/** A layer's numbers: weight [outputs, inputs], the others [outputs]. */
export interface WeightBlock {
  readonly bias: Float32Array;
  readonly scale?: Float32Array;
  readonly mean?: Float32Array;
  readonly variance?: Float32Array;
  readonly weight: Float32Array;
}

/** The content of a file; a partial file has fewer blocks than its network. */
export interface DarknetWeights {
  readonly header: WeightsHeader;
  readonly blocks: readonly WeightBlock[];
}

/** A typed array, and with it a file that can be used here, has at most this many bytes. */
const LARGEST = 2 ** 31;

type Part = keyof WeightBlock;

function parts({ batchNormalize }: BlockShape): readonly Part[] {
  return batchNormalize ? ["bias", "scale", "mean", "variance", "weight"] : ["bias", "weight"];
}

/** How many numbers a block has. */
export function blockLength({ outputs, inputs, batchNormalize }: BlockShape): number {
  return outputs * (inputs + (batchNormalize ? 4 : 1));
}

/** The layers with weights, in order. */
export function blockShapes({ layers }: DarknetNetwork): BlockShape[] {
  return layers.flatMap((layer): BlockShape[] => {
    const { place, input: [channels, height, width] } = layer;
    if (layer.kind === "connected") {
      return [{ place, outputs: layer.outputs, inputs: channels * height * width, batchNormalize: false }];
    }
    if (layer.kind !== "convolutional") return [];
    const { filters: outputs, groups, size, batchNormalize } = layer;
    return [{ place, outputs, inputs: (channels / groups) * size * size, batchNormalize }];
  });
}

/** Whether `seen` takes 8 bytes (Darknet, `load_weights_upto`). */
function isWide({ major, minor }: Pick<WeightsHeader, "major" | "minor">): boolean {
  return major * 10 + minor >= 2 && major < 1000 && minor < 1000;
}

/** Bytes before the numbers: 20, or 16 in files of version 0.1. */
export function headerSize(header: Pick<WeightsHeader, "major" | "minor">): number {
  return isWide(header) ? 20 : 16;
}

/** Settings of `readWeights`. */
export interface ReadWeightsOptions {
  /** Stands for the file in messages. */
  readonly name?: string;
  /** Also take a file that ends after any of the layers, such as darknet53.conv.74. Default: false. */
  readonly partial?: boolean;
}

/**
 * Reads a `.weights` file: int32 major, minor, revision, then `seen` (8 bytes from version 0.2 on, else 4), then float32 numbers,
 * all little-endian. Throws ModelError for a file that is shorter or longer than the layers want, or holds what is no weight.
 */
export function readWeights(
  bytes: Uint8Array,
  shapes: readonly BlockShape[],
  { name = "weights", partial = false }: ReadWeightsOptions = {},
): DarknetWeights {
  const header = readHeader(bytes, name);
  const start = headerSize(header);
  const count = (bytes.length - start) / 4;
  const total = shapes.reduce((sum, shape) => sum + blockLength(shape), 0);
  let blocks = shapes.length;
  if (total !== count) {
    let covered = 0, whole = 0;
    while (whole < shapes.length && covered + blockLength(shapes[whole]!) <= count) {
      covered += blockLength(shapes[whole++]!);
    }
    const expected = `expected ${start + 4 * total} bytes for ${shapes.length} layers with weights`;
    if (count > total) {
      throw new ModelError(`${name}: ${expected}, found ${bytes.length}: it is too long, or of another network`);
    }
    if (!partial || covered !== count || whole === 0) {
      throw new ModelError(
        `${name}: ${expected}, found ${bytes.length}: it ends ${
          covered === count ? "before" : "within"
        } the weights of ${shapes[whole]!.place}`,
      );
    }
    blocks = whole;
  }
  if (4 * total > LARGEST) {
    throw new ModelError(`${name}: expected at most ${LARGEST} bytes of weights, found ${4 * total}`);
  }
  // A copy also brings the numbers to an address that float32 can have.
  const numbers = new Float32Array(bytes.slice(start).buffer);
  let at = 0;
  const read = shapes.slice(0, blocks).map((shape) => {
    const block: { -readonly [Name in Part]?: Float32Array } = {};
    for (const part of parts(shape)) {
      const length = part === "weight" ? shape.outputs * shape.inputs : shape.outputs;
      const content = numbers.slice(at, at += length);
      checkNumbers(content, part, `${name}: ${shape.place}`);
      block[part] = content;
    }
    return block as WeightBlock;
  });
  return { header, blocks: read };
}

/** The bytes of a `.weights` file. */
export function writeWeights(
  { header, blocks }: DarknetWeights,
  shapes: readonly BlockShape[],
): Uint8Array<ArrayBuffer> {
  const lists = blocks.map((block, i) => parts(shapes[i]!).map((part) => block[part]!));
  const start = headerSize(header);
  const length = lists.flat().reduce((sum, part) => sum + part.length, 0);
  const result = new Uint8Array(start + 4 * length);
  const view = new DataView(result.buffer);
  view.setInt32(0, header.major, true);
  view.setInt32(4, header.minor, true);
  view.setInt32(8, header.revision, true);
  if (isWide(header)) view.setBigUint64(12, header.seen, true);
  else view.setInt32(12, Number(header.seen), true);
  let at = start;
  for (const part of lists.flat()) {
    result.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    at += part.byteLength;
  }
  return result;
}

function readHeader(bytes: Uint8Array, name: string): WeightsHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fail = (found: string) => new ModelError(`${name}: expected the header of a .weights file, found ${found}`);
  if (bytes.length < 16) throw fail(`${bytes.length} bytes`);
  const [major, minor, revision] = [0, 4, 8].map((at) => view.getInt32(at, true)) as [number, number, number];
  if ([major, minor, revision].some((part) => part < 0 || part >= 1000)) {
    throw fail(`the version ${major}.${minor}.${revision} (a picture, a page or an archive is no .weights file)`);
  }
  if (!isWide({ major, minor })) return { major, minor, revision, seen: BigInt(view.getInt32(12, true)) };
  if (bytes.length < 20) throw fail(`${bytes.length} bytes`);
  return { major, minor, revision, seen: view.getBigUint64(12, true) };
}

function checkNumbers(content: Float32Array, part: Part, place: string): void {
  const wrong = content.findIndex((value) => !Number.isFinite(value) || (part === "variance" && value < 0));
  if (wrong < 0) return;
  const expectation = part === "variance" ? "variances from 0" : "finite numbers";
  throw new ModelError(`${place}: expected ${expectation}, found ${content[wrong]} at ${part} ${wrong}`);
}
