/** Where pretrained weights come from, in order, with a server on this machine in the place of the official site and the Hub. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { exists, InputError, sha256 } from "../../runtime/mod.ts";
import { fetchWeights, type FetchWeightsOptions, hubUrl, PUBLISHED_WEIGHTS } from "../mod.ts";

const content = new TextEncoder().encode("weights of a network");
const good = { bytes: content.length, sha256: sha256(content) };

interface Served {
  readonly folder: string;
  readonly base: string;
  /** Paths asked for, in order. */
  readonly asked: string[];
  /** What is there; another path is a 404. */
  readonly files: Record<string, Uint8Array<ArrayBuffer>>;
  readonly said: string[];
  fetch(options?: Partial<FetchWeightsOptions>): Promise<string | undefined>;
}

function served(name: string, test: (served: Served) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "pokedex_weights_" });
    const asked: string[] = [], said: string[] = [];
    const files: Served["files"] = {};
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const { pathname } = new URL(request.url);
      asked.push(pathname);
      const body = files[pathname];
      return body ? new Response(body) : new Response("not here", { status: 404 });
    });
    const base = `http://127.0.0.1:${server.addr.port}`;
    const hub = { repository: "someone/darknet", base };
    const fetch = (options: Partial<FetchWeightsOptions> = {}) =>
      fetchWeights({
        name: "net.weights",
        cache: join(folder, "cache"),
        url: `${base}/official/net.weights`,
        hub,
        ...good,
        say: (line) => said.push(line),
        retry: { attempts: 2, firstPauseMs: 1 },
        ...options,
      });
    try {
      await test({ folder, base, asked, files, said, fetch });
    } finally {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    }
  });
}

const OFFICIAL = "/official/net.weights", HUB = "/someone/darknet/resolve/main/net.weights";

served("a local file is taken first, and nothing is asked for", async ({ folder, asked, fetch }) => {
  const local = join(folder, "mine.weights");
  await Deno.writeFile(local, content);
  assert.equal(await fetch({ local }), local);
  assert.deepEqual(asked, []);
});

served("a local file that was named and is missing or wrong is an error, and stays", async ({ folder, fetch }) => {
  const local = join(folder, "mine.weights");
  await assert.rejects(
    fetch({ local }),
    (error) => error instanceof InputError && /expected a file, found nothing there/.test(error.message),
  );
  await Deno.writeFile(local, content.subarray(1));
  await assert.rejects(fetch({ local }), /mine\.weights: expected 20 bytes, found 19 \(weights net\.weights\)$/);
  assert.ok(await exists(local));
});

served("then the official download, which is kept for the next time", async ({ folder, asked, files, fetch }) => {
  files[OFFICIAL] = content;
  files[HUB] = content;
  const path = join(folder, "cache", "net.weights");
  assert.equal(await fetch(), path);
  assert.equal(await fetch(), path);
  assert.deepEqual(await Deno.readFile(path), content);
  assert.deepEqual(asked, [OFFICIAL]);
});

served("then the Hub, after a line that says why", async ({ asked, files, said, fetch }) => {
  files[HUB] = content;
  assert.ok(await fetch());
  assert.deepEqual(asked, [OFFICIAL, HUB]);
  assert.equal(said.length, 1);
  assert.match(said[0]!, /official\/net\.weights: expected to download .* found status 404 Not Found$/);
});

served("the Hub's file, revision and base are settings", async ({ base, asked, files, fetch }) => {
  files["/a/b/resolve/v1/other%20name"] = content;
  assert.ok(
    await fetch({ url: "none", hub: { repository: "a/b", revision: "v1", file: "other name", base: `${base}/` } }),
  );
  assert.deepEqual(asked, ["/a/b/resolve/v1/other%20name"]);
  assert.equal(hubUrl({ repository: "a/b" }, "c"), "https://huggingface.co/a/b/resolve/main/c");
});

served("a wrong content at the official place is thrown away, and the Hub asked", async ({ files, said, fetch }) => {
  files[OFFICIAL] = new TextEncoder().encode("a page of 20 letters");
  files[HUB] = content;
  const path = await fetch();
  assert.deepEqual(await Deno.readFile(path!), content);
  assert.match(said[0]!, /found a file that is not the one: expected SHA-256/);
});

served("a corrupted file in the cache is found, removed and fetched again", async ({ folder, files, said, fetch }) => {
  files[OFFICIAL] = content;
  const path = join(folder, "cache", "net.weights");
  await Deno.mkdir(join(folder, "cache"));
  await Deno.writeFile(path, content.toReversed());
  assert.equal(await fetch(), path);
  assert.deepEqual(await Deno.readFile(path), content);
  assert.match(said[0]!, /cache\/net\.weights: expected SHA-256 .*; removed, fetching it again$/);
});

served(
  "where nothing helps, one line says so and training starts from scratch",
  async ({ folder, base, said, fetch }) => {
    const path = join(folder, "cache", "net.weights");
    await Deno.mkdir(join(folder, "cache"));
    await Deno.writeFile(path, content.subarray(3));
    assert.equal(await fetch(), undefined);
    assert.equal(
      said.at(-1),
      `weights net.weights: expected a file in ${
        join(folder, "cache")
      } or a download, found none (tried ${base}${OFFICIAL} and ${base}${HUB}); training starts from scratch`,
    );
    assert.ok(!await exists(path)); // the corrupted file is gone all the same
    assert.equal(await fetch({ url: "none", hub: undefined }), undefined);
    assert.match(said.at(-1)!, /no place to fetch it from is known/);
  },
);

served("a name that is a path is refused", async ({ fetch }) => {
  for (const name of ["../x", "a/b", "..", ""]) await assert.rejects(fetch({ name }), InputError);
});

Deno.test("the published sizes are those of the networks: a header of 20 bytes and four a number", () => {
  const numbers = Object.values(PUBLISHED_WEIGHTS).map(({ bytes }) => (bytes - 20) / 4);
  assert.deepEqual(numbers, [40_620_640, 41_645_640, 62_001_757, 8_858_734]);
});
