import assert from "node:assert/strict";
import { join } from "node:path";
import { InputError, WorkError } from "../../runtime/mod.ts";
import { writeTinyClip } from "../fixture.ts";
import { serveHub } from "./hub_server.ts";
import { openEncoder } from "./open_encoder.ts";

const quick = { attempts: 2, firstPauseMs: 1 };

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_vlm_" });
  const before = Deno.env.get("HF_HOME");
  Deno.env.set("HF_HOME", join(folder, "python"));
  try {
    await body(folder);
  } finally {
    before === undefined ? Deno.env.delete("HF_HOME") : Deno.env.set("HF_HOME", before);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a model comes from the Hub, over a broken connection too, and the next time from the cache", () =>
  inFolder(async (folder) => {
    const source = join(folder, "source"), cacheFolder = join(folder, "cache");
    await writeTinyClip(source, { precisions: ["fp32", "q8"] });
    await using hub = serveHub({ "who/clip": source });
    const options = { host: hub.host, cacheFolder, threads: 1, retry: quick };
    hub.breakOnce = "vision_model.onnx";
    {
      const labels = new Set<string>();
      await using encoder = await openEncoder("who/clip", { ...options, onProgress: ({ label }) => labels.add(label) });
      assert.deepEqual([encoder.origin, encoder.revision], ["Hub", "0123456789abcdef0123456789abcdef01234567"]);
      assert.equal(encoder.folder, join(cacheFolder, "who/clip"));
      assert.ok(labels.has("who/clip onnx/vision_model.onnx"));
      assert.ok(!hub.asked.some((each) => each.startsWith("GET") && each.includes("quantized")));
    }
    const { length } = hub.asked;
    await using encoder = await openEncoder("who/clip", options);
    assert.deepEqual([encoder.origin, hub.asked.length], ["cache", length]);
  }));

Deno.test("transformers.js itself finds what was downloaded: the cache has its layout", () =>
  inFolder(async (folder) => {
    const source = join(folder, "source"), cacheFolder = join(folder, "cache");
    await writeTinyClip(source);
    await using hub = serveHub({ "who/clip": source });
    const { AutoTokenizer, env } = await import("@huggingface/transformers");
    const { remoteHost, useBrowserCache } = env;
    env.useBrowserCache = false; // Deno has the browser's cache too, which the package would ask instead of files
    env.remoteHost = `${hub.host}/`; // also what openEncoder() asks when no host is named
    try {
      await (await openEncoder("who/clip", { cacheFolder, threads: 1 }))[Symbol.asyncDispose]();
      const { length } = hub.asked;
      const theirs = await AutoTokenizer.from_pretrained("who/clip", {
        cache_dir: cacheFolder,
        local_files_only: true,
      });
      // The package asks whether a model has a tokenizer at all; the large file is read from the cache.
      assert.ok(!hub.asked.slice(length).some((each) => each.endsWith("/tokenizer.json")));
      assert.equal(theirs("a red pokemon", { return_tensor: false }).input_ids.length, 5);
    } finally {
      Object.assign(env, { remoteHost, useBrowserCache });
    }
  }));

Deno.test("no network, an unknown model, a wrong revision and a missing precision are a line each", () =>
  inFolder(async (folder) => {
    const source = join(folder, "source"), cacheFolder = join(folder, "cache");
    await writeTinyClip(source);
    const dead = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const host = `http://127.0.0.1:${(dead.addr as Deno.NetAddr).port}`;
    dead.close();
    const refuse = (
      name: string,
      own: Parameters<typeof openEncoder>[1],
      kind: typeof InputError | typeof WorkError,
      pattern: RegExp,
    ) =>
      assert.rejects(openEncoder(name, { cacheFolder, retry: quick, ...own }), (error) => {
        assert.ok(error instanceof kind, String(error));
        assert.match(error.message, pattern);
        return !error.message.includes("\n");
      });
    await refuse("who/clip", { host }, WorkError, /^who\/clip: expected http.* to answer, found: .*name a folder/);
    await refuse(
      "who/clip",
      { offline: true },
      WorkError,
      /^who\/clip: expected its files \(fp32\) in .* as no server may be asked, found none/,
    );
    await using hub = serveHub({ "who/clip": source });
    await refuse("who/other", { host: hub.host }, InputError, /^who\/other: expected a model that http.* has/);
    await refuse(
      "who/clip",
      { host: hub.host, revision: "v9" },
      InputError,
      /expected a revision that .* has, found "v9" \(it has "main"\)/,
    );
    await refuse(
      "who/clip",
      { host: hub.host, dtype: "q8" },
      InputError,
      /expected onnx\/text_model_quantized\.onnx .* found none/,
    );
  }));
