import assert from "node:assert/strict";
import { decodeMessage, encodeMessage, tangledMessages } from "./jupyter_message.ts";
import { type Frames, ZmtpSocket } from "./zmtp.ts";

const text = (content: string) => new TextEncoder().encode(content);
const joined = (parts: Frames) => new Uint8Array(parts.flatMap((part) => [...part]));

/** A message as it stands in the stream, its frames with eight bytes of length from 256 bytes on (https://rfc.zeromq.org/spec/23/). */
function wire(frames: Frames): Uint8Array {
  return joined(frames.flatMap((body, i) => {
    const more = i < frames.length - 1 ? 1 : 0;
    if (body.length < 256) return [new Uint8Array([more, body.length]), body];
    const length = new DataView(new ArrayBuffer(8));
    length.setBigUint64(0, BigInt(body.length));
    return [new Uint8Array([more | 2]), new Uint8Array(length.buffer), body];
  }));
}

/** What a client receives of a server that shakes hands and sends `stream`, so many messages. */
async function received(stream: Uint8Array, count: number, key: string): Promise<Frames[]> {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const serve = async () => {
    const connection = await listener.accept();
    const greeting = new Uint8Array(64);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0]);
    const ready = joined([new Uint8Array([5]), text("READY")]);
    await connection.write(joined([greeting, new Uint8Array([4, ready.length]), ready]));
    for (let at = 0; at < stream.length;) at += await connection.write(stream.subarray(at));
    return connection;
  };
  const serving = serve();
  using socket = await ZmtpSocket.connect("DEALER", (listener.addr as Deno.NetAddr).port);
  const messages: Frames[] = [];
  while (messages.length < count) messages.push(await socket.receive(tangledMessages(key)));
  (await serving).close();
  return messages;
}

Deno.test("small messages inside a large one are taken out, and all come whole", async () => {
  const message = (name: string, size = 1) => encodeMessage("key", name, "display_data", { text: name.repeat(size) });
  const large = wire(message("large", 40_000)), [a, b, after] = ["a", "b", "after"].map((name) => wire(message(name)));
  const middle = large.length >> 1;
  const parts = [large.subarray(0, middle), a!, b!, large.subarray(middle, -9), a!, large.subarray(-9), after!];
  const found = (await received(joined(parts), 5, "key")).map((frames) => decodeMessage("key", frames).content["text"]);
  assert.deepEqual(found, ["large".repeat(40_000), "a", "b", "a", "after"]);
});

Deno.test("a message with another signature stays as it is, and is refused", async () => {
  const frames = encodeMessage("other", "id", "status", { execution_state: "idle" });
  const [found] = await received(wire(frames), 1, "key");
  assert.throws(() => decodeMessage("key", found!), /signed with our key/);
});
