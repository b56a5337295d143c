/** Messages of the Jupyter protocol 5.3 (https://jupyter-client.readthedocs.io/en/stable/messaging.html) and their signatures. */
// deno-lint-ignore-file camelcase -- the protocol's own names

import { createHmac, timingSafeEqual } from "node:crypto";
import { WorkError } from "../runtime/mod.ts";
import type { Frames } from "./zmtp.ts";

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
  const decoder = new TextDecoder();
  const at = frames.findIndex((frame) => frame.length === delimiter.length && decoder.decode(frame) === delimiter);
  const [signed, ...parts] = at < 0 ? [] : frames.slice(at + 1, at + 6);
  if (!signed || parts.length !== 4) {
    throw new WorkError(`kernel: expected a message of 6 parts, found ${frames.length} frames`);
  }
  const expected = new TextEncoder().encode(signature(key, parts));
  if (signed.length !== expected.length || !timingSafeEqual(signed, expected)) {
    throw new WorkError("kernel: expected messages signed with our key, found another signature");
  }
  const [header, parent, , content] = parts.map((part) => JSON.parse(decoder.decode(part)));
  return { type: String(header?.msg_type), parent: String(parent?.msg_id ?? ""), content: content ?? {} };
}

function signature(key: string, parts: Frames): string {
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return hmac.digest("hex");
}
