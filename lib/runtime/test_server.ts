/** For tests only: a file server on this machine that speaks real HTTP, with faults on demand. */

/** What is wrong with one answer. */
export type Fault =
  | { readonly kind: "status"; readonly status: number }
  /** The connection breaks after so many bytes of the body, whose length was announced. */
  | { readonly kind: "break"; readonly after: number }
  /** Nothing comes after so many bytes. */
  | { readonly kind: "stall"; readonly after: number }
  /** The whole file, whatever range was asked for. */
  | { readonly kind: "ignore range" };

/** What a request asked for. */
export interface Asked {
  readonly path: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

/** Serves `files` by path, with ETag, Range and If-Range. Faults are used up one a request, in order. */
export class FileServer implements AsyncDisposable {
  readonly files = new Map<string, { content: Uint8Array; etag?: string | undefined }>();
  readonly faults: Fault[] = [];
  readonly asked: Asked[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #done = this.#accept();
  readonly #open = new Set<Deno.TcpConn>();

  /** The URL of a path that begins with "/". */
  url(path: string): string {
    return `http://127.0.0.1:${this.#listener.addr.port}${path}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) close(connection);
    await this.#done;
  }

  async #accept(): Promise<void> {
    const answers: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      this.#open.add(connection);
      answers.push(
        this.#answer(connection).catch(() => {}).finally(() => {
          this.#open.delete(connection);
          close(connection);
        }),
      );
    }
    await Promise.all(answers);
  }

  async #answer(connection: Deno.TcpConn): Promise<void> {
    const request = await readHead(connection);
    const [line = "", ...rest] = request.split("\r\n");
    const path = line.split(" ")[1] ?? "";
    const headers = new Map(rest.map((each) => {
      const colon = each.indexOf(":");
      return [each.slice(0, colon).toLowerCase(), each.slice(colon + 1).trim()] as const;
    }));
    this.asked.push({ path, range: headers.get("range"), ifRange: headers.get("if-range") });
    const fault = this.faults.shift();
    const file = this.files.get(decodeURIComponent(path));
    if (fault?.kind === "status") return await send(connection, `${fault.status} Fault`, {}, new Uint8Array());
    if (!file) {
      return await send(connection, "404 Not Found", {}, new TextEncoder().encode("<html>no such page</html>"));
    }
    const { content, etag } = file;
    const same = !headers.has("if-range") || headers.get("if-range") === etag;
    const from = same && fault?.kind !== "ignore range"
      ? Number(/^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1] ?? 0)
      : 0;
    const tag: Record<string, string> = etag === undefined ? {} : { ETag: etag };
    if (from > 0 && from >= content.length) {
      return await send(
        connection,
        "416 Range Not Satisfiable",
        { "Content-Range": `bytes */${content.length}` },
        new Uint8Array(),
      );
    }
    const body = content.subarray(from);
    const range = { "Content-Range": `bytes ${from}-${content.length - 1}/${content.length}` };
    const cut = fault?.kind === "break" || fault?.kind === "stall" ? fault.after : undefined;
    await send(
      connection,
      from > 0 ? "206 Partial Content" : "200 OK",
      { ...tag, ...(from > 0 ? range : {}) },
      body,
      cut,
    );
    // Held open until the other side gives up.
    if (fault?.kind === "stall") await connection.read(new Uint8Array(1));
  }
}

async function send(
  connection: Deno.TcpConn,
  status: string,
  headers: Record<string, string>,
  body: Uint8Array,
  cut = body.length,
): Promise<void> {
  const lines = Object.entries({ ...headers, "Content-Length": String(body.length), Connection: "close" });
  const head = [`HTTP/1.1 ${status}`, ...lines.map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n");
  for (const part of [new TextEncoder().encode(head), body.subarray(0, cut)]) {
    for (let at = 0; at < part.length;) at += await connection.write(part.subarray(at));
  }
}

async function readHead(connection: Deno.TcpConn): Promise<string> {
  const decoder = new TextDecoder(), buffer = new Uint8Array(4096);
  let text = "";
  while (!text.includes("\r\n\r\n")) {
    const read = await connection.read(buffer);
    if (read === null) break;
    text += decoder.decode(buffer.subarray(0, read), { stream: true });
  }
  return text;
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // closed already
  }
}
