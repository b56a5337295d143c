/** A page in headless Chromium by its DevTools protocol, for tests of what a reader sees. */

import { join } from "node:path";

/** What a page did when it was opened. */
export interface Visit {
  /** Errors and warnings of the console, uncaught exceptions, refused loads. */
  readonly complaints: readonly string[];
  /** What the expression gave. */
  readonly value: unknown;
}

export interface VisitOptions {
  readonly width: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** An expression to evaluate once the page has loaded; a promise is awaited. */
  readonly evaluate?: string;
  /** Where to write a picture of the whole page. */
  readonly screenshot?: string;
}

/** The browser's path, or undefined where none is installed. */
export function findChromium(): string | undefined {
  const places = [Deno.env.get("CHROMIUM"), "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  return places.find((path) => {
    try {
      return path && Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** Opens a page in a browser of its own, which is gone when this resolves. */
export async function visit(url: string, options: VisitOptions): Promise<Visit> {
  const profile = await Deno.makeTempDir({ prefix: "pokedex-chromium-" });
  const flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
    "--disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-port=0";
  const browser = new Deno.Command(findChromium()!, {
    args: [...flags.split(" "), `--user-data-dir=${profile}`, "about:blank"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const [port] = (await waitForFile(join(profile, "DevToolsActivePort"))).split("\n");
    const targets = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json() as {
      type: string;
      webSocketDebuggerUrl: string;
    }[];
    const target = targets.find((one) => one.type === "page")!;
    return await drive(target.webSocketDebuggerUrl, url, options);
  } finally {
    browser.kill("SIGKILL");
    await browser.status;
    for (let attempt = 0; attempt < 20; attempt++) {
      try {
        await Deno.remove(profile, { recursive: true });
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50)); // its children are still ending
      }
    }
  }
}

async function drive(socketUrl: string, url: string, options: VisitOptions): Promise<Visit> {
  const socket = new WebSocket(socketUrl);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  const waiting = new Map<number, (message: Record<string, unknown>) => void>();
  const complaints: string[] = [];
  const loaded = Promise.withResolvers<void>();
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.id) waiting.get(message.id)?.(message);
    if (message.method === "Page.loadEventFired") loaded.resolve();
    const { params } = message;
    if (message.method === "Log.entryAdded" && /error|warning/.test(params.entry.level)) {
      complaints.push(params.entry.text);
    }
    if (message.method === "Runtime.consoleAPICalled" && /error|warning|assert/.test(params.type)) {
      complaints.push(
        params.args.map((one: { value?: unknown; description?: string }) => one.value ?? one.description).join(" "),
      );
    }
    if (message.method === "Runtime.exceptionThrown") {
      complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    }
  };
  let next = 0;
  const send = (method: string, params: Record<string, unknown> = {}) => {
    const id = ++next;
    socket.send(JSON.stringify({ id, method, params }));
    return new Promise<Record<string, unknown>>((resolve) => waiting.set(id, resolve));
  };
  const evaluate = async (expression: string) => {
    const answer = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    return (answer["result"] as { result?: { value?: unknown } }).result?.value;
  };
  const { width, height = 900, dark = false } = options;
  const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
  for (const domain of ["Page", "Log", "Runtime"]) await send(`${domain}.enable`);
  await send("Emulation.setDeviceMetricsOverride", metrics);
  await send("Emulation.setEmulatedMedia", {
    features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
  });
  await send("Page.navigate", { url });
  await loaded.promise;
  // walk through the page, so that what is drawn when it comes near the window is drawn
  await evaluate(`(async () => {
    for (let y = 0; y < document.documentElement.scrollHeight; y += 500) {
      scrollTo(0, y);
      await new Promise((done) => setTimeout(done, 60));
    }
    scrollTo(0, 0);
    await new Promise((done) => setTimeout(done, 300));
  })()`);
  const value = options.evaluate ? await evaluate(options.evaluate) : undefined;
  if (options.screenshot) {
    const answer = await send("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
    const { data } = answer["result"] as { data: string };
    await Deno.writeFile(options.screenshot, Uint8Array.fromBase64(data));
  }
  socket.close();
  return { complaints, value };
}

async function waitForFile(path: string): Promise<string> {
  for (let attempt = 0; attempt < 600; attempt++) {
    try {
      const text = await Deno.readTextFile(path);
      if (text.includes("\n")) return text;
    } catch {
      // not yet
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("chromium did not open its port in 30 s");
}
