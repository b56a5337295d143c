/** For tests: a server that speaks the Hub's `/{repo}/resolve/{revision}/{file}`, redirects and hashes of large files included. */

import { join } from "node:path";
import { sha256 } from "../../runtime/mod.ts";

/** Serves folders as repositories. */
export interface HubServer extends AsyncDisposable {
  readonly host: string;
  /** "GET /path", in order. */
  readonly asked: string[];
  /** Cuts the next body of a path that ends so after half of it, once. */
  breakOnce: string | undefined;
}

/** `repositories`: "OWNER/NAME" → folder, all at revision "main" and at `commit`. */
export function serveHub(
  repositories: Readonly<Record<string, string>>,
  { commit = "0123456789abcdef0123456789abcdef01234567" } = {},
): HubServer {
  const asked: string[] = [];
  const state = { breakOnce: undefined as string | undefined };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, origin } = new URL(request.url);
    const path = decodeURIComponent(pathname);
    asked.push(`${request.method} ${path}`);
    const missing = (code: string) => new Response(null, { status: 404, headers: { "x-error-code": code } });
    const [, large, repository, revision, file] = /^\/(large\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ??
      [];
    const folder = repositories[repository ?? ""];
    if (!folder) return missing("RepoNotFound");
    if (revision !== "main" && revision !== commit) return missing("RevisionNotFound");
    let content: Uint8Array<ArrayBuffer>;
    try {
      content = await Deno.readFile(join(folder, file!));
    } catch {
      return missing("EntryNotFound");
    }
    const headers = { "x-repo-commit": commit, etag: `"${sha256(content)}"` };
    // The Hub keeps large files elsewhere.
    if (file!.endsWith(".onnx") && !large) {
      return new Response(null, {
        status: 302,
        headers: {
          ...headers,
          location: `${origin}/large${pathname}`,
          "x-linked-size": String(content.length),
          "x-linked-etag": headers.etag,
        },
      });
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
    const range = from > 0 ? { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` } : {};
    const rest = content.subarray(from);
    const all = { ...headers, ...range, "content-length": String(rest.length) };
    const status = from > 0 ? 206 : 200;
    if (request.method === "HEAD") return new Response(null, { status, headers: all });
    if (state.breakOnce !== undefined && path.endsWith(state.breakOnce)) {
      state.breakOnce = undefined;
      const half = new ReadableStream({
        start(controller) {
          controller.enqueue(rest.subarray(0, rest.length / 2));
          controller.error(new Error("broken off"));
        },
      });
      return new Response(half, { status, headers: all });
    }
    return new Response(rest, { status, headers: all });
  });
  return {
    host: `http://127.0.0.1:${server.addr.port}`,
    asked,
    get breakOnce() {
      return state.breakOnce;
    },
    set breakOnce(end) {
      state.breakOnce = end;
    },
    async [Symbol.asyncDispose]() {
      await server.shutdown();
    },
  };
}
