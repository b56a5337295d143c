/** A Deno kernel as a child process: started, asked to execute code, and never left behind. */
// deno-lint-ignore-file camelcase -- the protocol's own names

import { InputError, sha256, WorkError } from "../runtime/mod.ts";
import { decodeMessage, encodeMessage, type JupyterMessage, tangledMessages } from "./jupyter_message.ts";
import { type Frames, ZmtpSocket } from "./zmtp.ts";

export interface KernelOptions {
  /** The kernel's working directory: `deno.json` is looked for from here upwards. */
  readonly cwd: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds until the kernel must answer; by default 10 minutes (a first start downloads packages). */
  readonly startTimeout?: number | undefined;
}

/** How an execution ended. */
export type Reply =
  | { readonly status: "ok"; readonly executionCount: number }
  | { readonly status: "error"; readonly name: string; readonly value: string; readonly traceback: readonly string[] };

/** The media type by which we know that all outputs of a cell have been read. */
const tagType = "application/vnd.pokedex.tag";

/** Kernels that live, for signals and for the end of the process. */
const living = new Set<Kernel>();

/**
 * A running kernel. It dies with `close()`, with this process's SIGINT, SIGTERM or end, and, should this process be killed
 * outright, by itself within two seconds of its next idle moment.
 */
export class Kernel implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #key: string;
  readonly #shell: ZmtpSocket;
  readonly #iopub: ZmtpSocket;
  readonly #replies = new Map<string, (message: JupyterMessage) => void>();
  readonly #tags = new Map<string, () => void>();
  readonly #died: Promise<never>;
  #listener: ((message: JupyterMessage) => void) | undefined;
  #closed = false;

  private constructor(process: Deno.ChildProcess, key: string, shell: ZmtpSocket, iopub: ZmtpSocket, stderr: Tail) {
    this.#process = process;
    this.#key = key;
    this.#shell = shell;
    this.#iopub = iopub;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    this.#died = promise;
    void process.status.then(async ({ code, signal }) => {
      await stderr.ended; // what it said last
      const said = stderr.text();
      reject(new WorkError(`the kernel died (${signal ?? `exit status ${code}`})${said ? ": " + said : ""}`));
    });
    const failed = (error: unknown) => {
      // a closed connection mostly means a dead kernel: its own message is better
      setTimeout(() => reject(error), 500);
    };
    void this.#listen(shell, (message) => this.#replies.get(message.parent)?.(message)).catch(failed);
    void this.#listen(iopub, (message) => this.#onIopub(message)).catch(failed);
  }

  /** Starts a kernel and waits until none of its messages can be lost. Throws WorkError when it does not start. */
  static async start({ cwd, env = {}, startTimeout = 600_000 }: KernelOptions): Promise<Kernel> {
    const key = crypto.randomUUID();
    const ports = freePorts(5);
    const connectionFile = await Deno.makeTempFile({ prefix: "pokedex-kernel-", suffix: ".json" });
    try {
      const [shell_port, iopub_port, stdin_port, control_port, hb_port] = ports;
      const connection = {
        transport: "tcp",
        ip: "127.0.0.1",
        key,
        signature_scheme: "hmac-sha256",
        kernel_name: "deno",
        ...{ shell_port, iopub_port, stdin_port, control_port, hb_port },
      };
      await Deno.writeTextFile(connectionFile, JSON.stringify(connection), { mode: 0o600 });
      const process = spawn(cwd, env, connectionFile);
      const stderr = new Tail(process.stderr);
      const deadline = Date.now() + startTimeout;
      let exited = false;
      void process.status.then(() => exited = true);
      const connect = async (type: "DEALER" | "SUB", port: number) => {
        while (true) {
          try {
            return await ZmtpSocket.connect(type, port);
          } catch (error) {
            if (exited) throw new WorkError(`the kernel did not start: ${stderr.text() || "it said nothing"}`);
            if (Date.now() > deadline) throw new WorkError("the kernel did not answer in time", { cause: error });
            await sleep(20);
          }
        }
      };
      try {
        const iopub = await connect("SUB", iopub_port!);
        const shell = await connect("DEALER", shell_port!);
        const kernel = new Kernel(process, key, shell, iopub, stderr);
        remember(kernel);
        try {
          await kernel.#awaitFirstStatus(deadline);
          await kernel.#prepare();
        } catch (error) {
          await kernel.close();
          throw error;
        }
        return kernel;
      } catch (error) {
        kill(process);
        await process.status;
        throw error;
      }
    } finally {
      await Deno.remove(connectionFile).catch(() => {});
    }
  }

  /**
   * Executes code and gives every message that it caused to `onMessage`, in order, before it resolves. Throws WorkError when
   * the kernel dies or `signal` is aborted (the kernel must then be closed: an aborted cell still runs).
   */
  async execute(code: string, onMessage: (message: JupyterMessage) => void, signal?: AbortSignal): Promise<Reply> {
    const id = crypto.randomUUID();
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => {});
    const abort = () => aborted.reject(signal!.reason);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    this.#listener = onMessage;
    try {
      const work = this.#request(id, code, false).then(async (reply) => {
        // `idle` can come before the cell's last outputs; what is published after them cannot
        await this.#broadcastTag(sha256(id));
        return reply;
      });
      work.catch(() => {});
      return toReply(await Promise.race([work, this.#died, aborted.promise]));
    } finally {
      this.#listener = undefined;
      signal?.removeEventListener("abort", abort);
    }
  }

  async #request(id: string, code: string, silent: boolean): Promise<JupyterMessage> {
    const answer = Promise.withResolvers<JupyterMessage>();
    this.#replies.set(id, answer.resolve);
    const content = {
      code,
      silent,
      store_history: !silent,
      user_expressions: {},
      allow_stdin: false,
      stop_on_error: true,
    };
    try {
      await this.#shell.send(encodeMessage(this.#key, id, "execute_request", content));
      return await Promise.race([answer.promise, this.#died]);
    } finally {
      this.#replies.delete(id);
    }
  }

  async #broadcastTag(tag: string): Promise<void> {
    const seen = Promise.withResolvers<void>();
    this.#tags.set(tag, seen.resolve);
    const data = JSON.stringify({ data: { [tagType]: tag }, metadata: {}, transient: {} });
    const reply = await this.#request(
      crypto.randomUUID(),
      `await Deno.jupyter.broadcast("display_data", ${data})`,
      true,
    );
    if (reply.content["status"] !== "ok") {
      throw new WorkError(`the kernel cannot broadcast: ${reply.content["evalue"]}`);
    }
    await Promise.race([seen.promise, this.#died]);
    this.#tags.delete(tag);
  }

  #onIopub(message: JupyterMessage): void {
    const data = message.content["data"];
    if (message.type === "display_data" && typeof data === "object" && data !== null && tagType in data) {
      this.#tags.get(String((data as Record<string, unknown>)[tagType]))?.();
      return;
    }
    this.#statusSeen?.();
    this.#listener?.(message);
  }

  #statusSeen: (() => void) | undefined;

  /** A subscription takes a moment; messages before it are lost, so ask until the first comes through. */
  async #awaitFirstStatus(deadline: number): Promise<void> {
    const seen = Promise.withResolvers<void>();
    this.#statusSeen = seen.resolve;
    let come = false;
    void seen.promise.then(() => come = true);
    while (!come) {
      if (Date.now() > deadline) throw new WorkError("the kernel did not answer in time");
      const id = crypto.randomUUID();
      const answer = Promise.withResolvers<JupyterMessage>();
      this.#replies.set(id, answer.resolve);
      await this.#shell.send(encodeMessage(this.#key, id, "kernel_info_request", {}));
      await Promise.race([answer.promise, this.#died, sleep(Math.max(1, deadline - Date.now()))]);
      this.#replies.delete(id);
      await Promise.race([seen.promise, this.#died, sleep(50)]);
    }
    this.#statusSeen = undefined;
  }

  /**
   * Prepares the kernel: should this process be killed outright, the kernel sees another parent and ends; and a promise that
   * nobody awaits and that fails is an error, where the kernel alone would say nothing.
   */
  async #prepare(): Promise<void> {
    const code = `{
  const parent = Deno.ppid;
  Deno.unrefTimer(setInterval(() => Deno.ppid !== parent && Deno.exit(1), 1000));
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    const error = event.reason;
    void Deno.jupyter.broadcast("error", {
      ename: String(error?.name ?? "Error"),
      evalue: "in a promise that nobody awaited: " + String(error?.message ?? error),
      traceback: String(error?.stack ?? "").split("\\n"),
    });
  });
}`;
    const reply = await this.#request(crypto.randomUUID(), code, true);
    if (reply.content["status"] !== "ok") throw new WorkError(`the kernel cannot execute: ${reply.content["evalue"]}`);
  }

  async #listen(socket: ZmtpSocket, handle: (message: JupyterMessage) => void): Promise<void> {
    while (true) {
      let frames: Frames;
      try {
        frames = await socket.receive(tangledMessages(this.#key));
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
      handle(decodeMessage(this.#key, frames));
    }
  }

  /** Kills the kernel at once; for signal handlers. */
  kill(): void {
    this.#closed = true;
    kill(this.#process);
  }

  /** Kills the kernel and waits until it is gone. */
  async close(): Promise<void> {
    this.kill();
    this.#shell[Symbol.dispose]();
    this.#iopub[Symbol.dispose]();
    await this.#process.status;
    forget(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function toReply({ content }: JupyterMessage): Reply {
  if (content["status"] === "ok") return { status: "ok", executionCount: Number(content["execution_count"]) };
  const traceback = content["traceback"];
  return {
    status: "error",
    name: String(content["ename"] ?? "Error"),
    value: String(content["evalue"] ?? ""),
    traceback: Array.isArray(traceback) ? traceback.map(String) : [],
  };
}

function spawn(cwd: string, env: Readonly<Record<string, string>>, connectionFile: string): Deno.ChildProcess {
  try {
    return new Deno.Command(Deno.execPath(), {
      args: ["jupyter", "--kernel", "--conn", connectionFile],
      cwd,
      env: { ...env, NO_COLOR: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    throw new InputError(`${cwd}: expected a folder to run a kernel in, found: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Ports that were free a moment ago. */
function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map((listener) => listener.addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}

/** The last lines of a stream, which is read to its end so that the writer never waits. */
class Tail {
  readonly ended: Promise<void>;
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.ended = (async () => {
      for await (const part of stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
        this.#text = (this.#text + part).slice(-4000);
      }
    })().catch(() => {});
  }

  text(): string {
    const lines = this.#text.trim().split("\n").filter((line) => !line.includes('"deno jupyter" is unstable'));
    return lines.slice(-3).join("\n").slice(-400);
  }
}

function kill(process: Deno.ChildProcess): void {
  try {
    process.kill("SIGKILL");
  } catch {
    // gone already
  }
}

const signals: readonly { readonly signal: Deno.Signal; readonly status: number }[] = Deno.build.os === "windows"
  ? [{ signal: "SIGINT", status: 130 }]
  : [{ signal: "SIGINT", status: 130 }, { signal: "SIGTERM", status: 143 }, { signal: "SIGHUP", status: 129 }];
const handlers = signals.map(({ signal, status }) => ({
  signal,
  handle: () => {
    killAll();
    Deno.exit(status);
  },
}));

function remember(kernel: Kernel): void {
  if (living.size === 0) {
    for (const { signal, handle } of handlers) Deno.addSignalListener(signal, handle);
    globalThis.addEventListener("unload", killAll);
  }
  living.add(kernel);
}

function forget(kernel: Kernel): void {
  if (!living.delete(kernel) || living.size > 0) return;
  for (const { signal, handle } of handlers) Deno.removeSignalListener(signal, handle);
  globalThis.removeEventListener("unload", killAll);
}

function killAll(): void {
  for (const kernel of living) kernel.kill();
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
