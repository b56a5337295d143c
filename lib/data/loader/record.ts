/** One decoded picture in a cache file: a fixed head, then its pixels. */

import { crc32 } from "node:zlib";

/**
 * The head, little-endian: SHA-256 of the stored picture (32 bytes), width and height (u16), channels (u8: 3 RGB or 4 RGBA,
 * straight alpha), a spare byte, the content's rectangle (left, top, right, bottom, u16), CRC-32 of
 * everything else in the record (u32).
 */
export const headLength = 32 + 2 + 2 + 1 + 1 + 8 + 4;

/** Where a record's pixels lie in the file, and what they are. */
export interface CacheRecord {
  /** SHA-256 of the stored picture that was decoded. */
  readonly sha256: string;
  /** Position of the pixels in the file, in bytes. */
  readonly offset: number;
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  /** The smallest rectangle with everything that can be seen, in pixels: left, top, right, bottom. */
  readonly content: readonly [number, number, number, number];
}

export interface DecodedPicture {
  readonly sha256: string;
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly content: readonly [number, number, number, number];
  readonly pixels: Uint8Array;
}

export function pixelBytes({ width, height, channels }: Pick<CacheRecord, "width" | "height" | "channels">): number {
  return width * height * channels;
}

/** Head and pixels as they stand in the file. */
export function encodeRecord(picture: DecodedPicture): Uint8Array {
  const bytes = new Uint8Array(headLength + picture.pixels.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 32; i++) bytes[i] = Number.parseInt(picture.sha256.slice(2 * i, 2 * i + 2), 16);
  view.setUint16(32, picture.width, true);
  view.setUint16(34, picture.height, true);
  view.setUint8(36, picture.channels);
  for (const [i, value] of picture.content.entries()) view.setUint16(38 + 2 * i, value, true);
  bytes.set(picture.pixels, headLength);
  view.setUint32(46, checksum(bytes), true);
  return bytes;
}

/** Reads a head that starts at `start` of the file; undefined when it cannot be one. */
export function decodeHead(head: Uint8Array, start: number): CacheRecord | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const channels = view.getUint8(36);
  const width = view.getUint16(32, true), height = view.getUint16(34, true);
  if ((channels !== 3 && channels !== 4) || width === 0 || height === 0) return undefined;
  return {
    sha256: Array.from(head.subarray(0, 32), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    offset: start + headLength,
    width,
    height,
    channels,
    content: [0, 1, 2, 3].map((i) => view.getUint16(38 + 2 * i, true)) as unknown as CacheRecord["content"],
  };
}

/** Whether a whole record's checksum agrees with its content. */
export function isIntact(record: Uint8Array): boolean {
  return new DataView(record.buffer, record.byteOffset).getUint32(46, true) === checksum(record);
}

function checksum(record: Uint8Array): number {
  return crc32(record.subarray(headLength), crc32(record.subarray(0, 46)));
}
