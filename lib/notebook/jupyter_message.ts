/** Messages of the Jupyter protocol 5.3 (https://jupyter-client.readthedocs.io/en/stable/messaging.html) and their signatures. */
// deno-lint-ignore-file camelcase -- the protocol's own names

import { createHmac, timingSafeEqual } from "node:crypto";
import { WorkError } from "../runtime/mod.ts";
import type { Frames, Tangled } from "./zmtp.ts";

/** A message of the kernel. */
export interface JupyterMessage {
  readonly type: string;
  /** The id of the request that it answers or belongs to; "" for none. */
  readonly parent: string;
  readonly content: Record<string, unknown>;
}

const delimiter = "<IDS|MSG>";
const session = crypto.randomUUID();

/** Signs a request (HMAC-SHA256 over its four parts). */
export function encodeMessage(key: string, id: string, type: string, content: Record<string, unknown>): Frames {
  const header = {
    msg_id: id,
    msg_type: type,
    session,
    username: "pokedex",
    date: new Date().toISOString(),
    version: "5.3",
  };
  const parts = [header, {}, {}, content].map((part) => new TextEncoder().encode(JSON.stringify(part)));
  return [delimiter, signature(key, parts)].map((text) => new TextEncoder().encode(text)).concat(parts);
}

/** Reads a message. Throws WorkError for a wrong signature or form: somebody else speaks on the port. */
export function decodeMessage(key: string, frames: Frames): JupyterMessage {
  const { signed, parts } = signedParts(frames);
  if (!signed || parts.length !== 4) {
    throw new WorkError(`kernel: expected a message of 6 parts, found ${frames.length} frames`);
  }
  if (!isSigned(key, signed, parts)) {
    throw new WorkError("kernel: expected messages signed with our key, found another signature");
  }
  const decoder = new TextDecoder();
  const [header, parent, , content] = parts.map((part) => JSON.parse(decoder.decode(part)));
  return { type: String(header?.msg_type), parent: String(parent?.msg_id ?? ""), content: content ?? {} };
}

/** How messages with others inside are told from whole ones: a text of JSON has no byte of 1. */
export function tangledMessages(key: string): Tangled {
  return {
    isWhole: (frames) => {
      const { signed, parts } = signedParts(frames);
      return signed !== undefined && isSigned(key, signed, parts);
    },
    start: new Uint8Array([1, delimiter.length, ...new TextEncoder().encode(delimiter)]),
  };
}

/** The signature of a message, and the four parts that are signed. */
function signedParts(frames: Frames): { signed: Uint8Array | undefined; parts: Frames } {
  const decoder = new TextDecoder();
  const at = frames.findIndex((frame) => frame.length === delimiter.length && decoder.decode(frame) === delimiter);
  const [signed, ...parts] = at < 0 ? [] : frames.slice(at + 1, at + 6);
  return { signed, parts };
}

function isSigned(key: string, signed: Uint8Array, parts: Frames): boolean {
  const expected = new TextEncoder().encode(signature(key, parts));
  return signed.length === expected.length && timingSafeEqual(signed, expected);
}

function signature(key: string, parts: Frames): string {
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return hmac.digest("hex");
}
