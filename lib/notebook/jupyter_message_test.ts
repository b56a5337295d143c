/** Tests of message signatures. */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { decodeMessage, encodeMessage } from "./jupyter_message.ts";

Deno.test("a message is signed over header, parent, metadata and content, as the protocol says", () => {
  const frames = encodeMessage("key", "1", "execute_request", { code: "1" }).map((one) =>
    new TextDecoder().decode(one)
  );
  assert.equal(frames[0], "<IDS|MSG>");
  assert.equal(frames[1], createHmac("sha256", "key").update(frames.slice(2).join("")).digest("hex"));
  assert.equal(JSON.parse(frames[2]!).msg_type, "execute_request");
});

Deno.test("a message that was changed, cut, or signed with another key is refused", () => {
  const frames = encodeMessage("key", "1", "status", { execution_state: "idle" });
  assert.equal(decodeMessage("key", [new Uint8Array([7]), ...frames]).content["execution_state"], "idle");
  assert.throws(() => decodeMessage("other", frames), /signed with our key/);
  const changed = [...frames.slice(0, -1), new TextEncoder().encode('{"execution_state":"busy"}')];
  assert.throws(() => decodeMessage("key", changed), /signed with our key/);
  assert.throws(() => decodeMessage("key", frames.slice(0, 4)), /expected a message of 6 parts/);
});
