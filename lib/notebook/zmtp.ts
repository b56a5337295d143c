/** ZMTP 3.0 without security over TCP (https://rfc.zeromq.org/spec/23/): the client's side of DEALER and SUB sockets. */

import { WorkError } from "../runtime/mod.ts";

/** One message: its frames. */
export type Frames = readonly Uint8Array[];

/** How a message that has another one inside is known, and where the other begins. */
export interface Tangled {
  /** Whether the message is as it was sent. */
  readonly isWhole: (frames: Frames) => boolean;
  /** Bytes that begin a message and cannot lie within one. */
  readonly start: Uint8Array;
}

/** A connected socket. */
export class ZmtpSocket implements Disposable {
  readonly #connection: Deno.TcpConn;
  #buffer: Uint8Array = new Uint8Array(0);
  /** Messages that were found inside others. */
  readonly #found: Frames[] = [];
  #writing: Promise<void> = Promise.resolve();

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** Connects and shakes hands; a SUB socket subscribes to everything. Throws when nobody listens or speaks another protocol. */
  static async connect(type: "DEALER" | "SUB", port: number, hostname = "127.0.0.1"): Promise<ZmtpSocket> {
    const socket = new ZmtpSocket(await Deno.connect({ hostname, port }));
    try {
      await socket.#handshake(type);
      if (type === "SUB") await socket.send([new Uint8Array([1])]);
      return socket;
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  async #handshake(type: string): Promise<void> {
    const greeting = new Uint8Array(64);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0]);
    greeting.set(new TextEncoder().encode("NULL"), 12);
    await this.#write(greeting);
    const theirs = await this.#read(64);
    if (theirs[0] !== 0xff || theirs[9] !== 0x7f || theirs[10]! < 3) {
      throw new WorkError("kernel: expected ZMTP 3, found another protocol on its port");
    }
    await this.#write(frame(4, readyCommand(type)));
    const { flags } = await this.#readFrame();
    if (!(flags & 4)) throw new WorkError("kernel: expected ZMTP's READY command, found a message");
  }

  /** Sends one message. */
  send(frames: Frames): Promise<void> {
    const parts = frames.map((body, i) => frame(i < frames.length - 1 ? 1 : 0, body));
    return this.#write(concat(parts));
  }

  /**
   * The next message. Throws when the other side closes. With `tangled` a message that is not whole is taken apart: Deno's kernel, when
   * two parts of a cell publish at once, writes a small message into the middle of a large one's last frame, whose other bytes follow
   * behind it. The small one comes next.
   */
  async receive(tangled?: Tangled): Promise<Frames> {
    const found = this.#found.shift();
    if (found) return found;
    const frames = await this.#readMessage();
    return tangled && !tangled.isWhole(frames) ? await this.#untangle(frames, tangled) : frames;
  }

  async #untangle(frames: Frames, { isWhole, start }: Tangled): Promise<Frames> {
    const others = frames.slice(0, -1);
    let body = frames.at(-1)!;
    for (let at = indexOf(body, start, 0); at >= 0; at = indexOf(body, start, at)) {
      this.#buffer = concat([body.subarray(at), this.#buffer]);
      this.#found.push(await this.#readMessage());
      body = concat([body.subarray(0, at), await this.#read(body.length - at)]);
      if (isWhole([...others, body])) return [...others, body];
    }
    return frames;
  }

  async #readMessage(): Promise<Frames> {
    const frames: Uint8Array[] = [];
    while (true) {
      const { flags, body } = await this.#readFrame();
      if (flags & 4) continue; // a command, e.g. a heartbeat: not part of a message
      frames.push(body);
      if (!(flags & 1)) return frames;
    }
  }

  async #readFrame(): Promise<{ flags: number; body: Uint8Array }> {
    const [flags, short] = await this.#read(2) as unknown as [number, number];
    let length = short;
    if (flags & 2) {
      const rest = await this.#read(7);
      length = Number(new DataView(new Uint8Array([short, ...rest]).buffer).getBigUint64(0));
    }
    return { flags, body: await this.#read(length) };
  }

  async #read(length: number): Promise<Uint8Array> {
    const result = new Uint8Array(length);
    let at = 0;
    while (at < length) {
      if (this.#buffer.length === 0) {
        const chunk = new Uint8Array(1 << 16);
        const read = await this.#connection.read(chunk);
        if (read === null) throw new WorkError("kernel: the connection was closed");
        this.#buffer = chunk.subarray(0, read);
      }
      const part = this.#buffer.subarray(0, length - at);
      result.set(part, at);
      at += part.length;
      this.#buffer = this.#buffer.subarray(part.length);
    }
    return result;
  }

  #write(bytes: Uint8Array): Promise<void> {
    const done = this.#writing.then(async () => {
      for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
    });
    this.#writing = done.catch(() => {});
    return done;
  }

  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch {
      // closed already
    }
  }
}

function readyCommand(type: string): Uint8Array {
  const encode = (text: string) => new TextEncoder().encode(text);
  const property = (name: string, value: string) => {
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, encode(value).length);
    return concat([new Uint8Array([name.length]), encode(name), size, encode(value)]);
  };
  return concat([new Uint8Array([5]), encode("READY"), property("Socket-Type", type), property("Identity", "")]);
}

/** Flags: 1 more frames follow, 2 eight bytes of length, 4 a command. */
function frame(flags: number, body: Uint8Array): Uint8Array {
  if (body.length < 256) return concat([new Uint8Array([flags, body.length]), body]);
  const head = new Uint8Array(9);
  head[0] = flags | 2;
  new DataView(head.buffer).setBigUint64(1, BigInt(body.length));
  return concat([head, body]);
}

/** Where `wanted`, or as much of it as there is room for, begins in `bytes`, from `from` on; −1: nowhere. */
function indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(wanted[0]!, from); at >= 0; at = bytes.indexOf(wanted[0]!, at + 1)) {
    if (wanted.every((byte, i) => at + i >= bytes.length || bytes[at + i] === byte)) return at;
  }
  return -1;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
