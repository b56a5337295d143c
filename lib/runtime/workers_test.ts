import assert from "node:assert/strict";
import { retry } from "./retry.ts";
import { WorkerPool } from "./workers.ts";

const mod = new URL("./workers.ts", import.meta.url).href;

/** A worker that doubles numbers; "throw" and "die" do what they say. */
const source = `import { serveJobs } from ${JSON.stringify(mod)};
  serveJobs(async (job) => {
    if (job === "throw") throw new Error("bad\\njob");
    if (job === "die") { setTimeout(() => { throw new Error("gone"); }); await new Promise(() => {}); }
    await new Promise((resolve) => setTimeout(resolve, (job * 7) % 5));
    return job * 2;
  });`;

function pool(size: number) {
  const url = new URL(`data:application/javascript,${encodeURIComponent(source)}`);
  return new WorkerPool<number | string, number>(url, { size, name: "doubler" });
}

Deno.test("map() yields the results in the order of the jobs, whatever finishes first", async () => {
  using workers = pool(3);
  const results: number[] = [];
  for await (const result of workers.map(Array.from({ length: 40 }, (_, i) => i))) results.push(result);
  assert.deepEqual(results, Array.from({ length: 40 }, (_, i) => i * 2));
});

Deno.test("a job that throws rejects with one line and the worker goes on", async () => {
  using workers = pool(1);
  await assert.rejects(workers.run("throw"), { name: "WorkError", message: "bad; job" });
  assert.equal(await workers.run(4), 8);
});

Deno.test("a worker that dies rejects its job and is replaced", async () => {
  using workers = pool(1);
  await assert.rejects(workers.run("die"), /doubler: a worker died: .*gone/);
  assert.equal(await workers.run(5), 10);
});

Deno.test("closing the pool rejects the job under way", async () => {
  const workers = pool(1);
  const job = workers.run("die");
  workers.close();
  await assert.rejects(job, /closed while a job was under way/);
  await assert.rejects(workers.run(1), /expected an open pool/);
});

Deno.test("retry() doubles its pauses, stops at the last attempt and at an error that cannot pass", async () => {
  const pauses: number[] = [];
  const options = {
    attempts: 4,
    firstPauseMs: 1,
    jitter: () => 0.5,
    onRetry: (_: unknown, __: number, ms: number) => pauses.push(ms),
  };
  let calls = 0;
  assert.equal(
    await retry(() => ++calls < 4 ? Promise.reject(new Error("busy")) : Promise.resolve("done"), options),
    "done",
  );
  assert.deepEqual(pauses, [1, 2, 4]);
  calls = 0;
  await assert.rejects(retry(() => (calls++, Promise.reject(new Error("busy"))), options), /busy/);
  assert.equal(calls, 4);
  calls = 0;
  const final = () => (calls++, Promise.reject(new Error("no")));
  await assert.rejects(retry(final, { ...options, isPassing: () => false }), /no/);
  assert.equal(calls, 1);
});
