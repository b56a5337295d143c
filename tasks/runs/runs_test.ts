/** `deno task runs`, as a person calls it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { createRun, type Environment } from "../../lib/track/mod.ts";

const task = join(import.meta.dirname!, "..", "runs.ts");

async function runs(...args: string[]) {
  const output = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", task, ...args] }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code: output.code, stdout: stdout!, stderr: stderr! };
}

const environment: Environment = {
  ...{ deno: "2.9.6", onnxruntime: "1.30.0", processor: "test", cores: 2, memoryGiB: 4, system: "linux x86_64" },
  ...{ device: "cpu", commit: null },
};

async function writeRun(folder: string, id: string, momentum: number): Promise<void> {
  const config = { optimizer: { name: "sgd", momentum } };
  using log = await createRun({ folder, id, name: id, config, environment });
  const wall = { time: "2026-11-24T10:00:00.000Z", imagesPerSecond: 1, seconds: 1 };
  const step = {
    kind: "step",
    metrics: {},
    learningRate: 0.1,
    gradientNorm: 1,
    finite: true,
    images: 4,
    wall,
  } as const;
  for (let i = 0; i < 4; i++) log.append({ ...step, step: i, epoch: 0, loss: 4 - i });
  log.append({ kind: "validation", step: 4, epoch: 0, figures: { top1: momentum }, best: true, wall });
  log.append({ kind: "end", step: 4, epoch: 1, reason: "finished", images: 16, wall });
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_runs_" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("list, show and compare tell of runs in tables and as JSON, and compare writes its page", () =>
  inFolder(async (folder) => {
    const own = join(folder, "runs"), out = join(folder, "deep", "runs.html");
    await writeRun(own, "one", 0.5);
    await writeRun(own, "two", 0.75);
    const [list, show, compare] = await Promise.all([
      runs("list", "--runs", own, "--json"),
      runs("show", "two", "--runs", own, "--json"),
      runs("compare", "one", "two", "--runs", own, "--out", out, "--json"),
    ]);
    for (const { code, stderr } of [list, show, compare]) assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(list.stdout).map(({ id }: { id: string }) => id).sort(), ["one", "two"]);
    assert.match(list.stderr, /run +state .*top1/);
    assert.equal(JSON.parse(show.stdout).config.optimizer.momentum, 0.75);
    assert.match(show.stderr, /processor test, cores 2/);
    assert.deepEqual(JSON.parse(compare.stdout).differences, { "optimizer.momentum": [0.5, 0.75] });
    assert.match(compare.stderr, /optimizer.momentum/);
    assert.match(await Deno.readTextFile(out), /Training loss/);
  }));

Deno.test("no runs, no such run, a broken log and pruning without a word of consent are told in one line", () =>
  inFolder(async (folder) => {
    const own = join(folder, "runs");
    await writeRun(own, "one", 0.5);
    await writeRun(own, "two", 0.5);
    await Deno.writeTextFile(join(own, "two", "log.jsonl"), "{}\n");
    const [none, missing, broken, nothing, refused, asked] = await Promise.all([
      runs("list", "--runs", join(folder, "nowhere"), "--json"),
      runs("show", "three", "--runs", own),
      runs("show", "two", "--runs", own),
      runs("compare", "--runs", own),
      runs("prune", "--runs", own),
      runs("prune", "--keep", "0", "--runs", own),
    ]);
    assert.deepEqual([none.code, none.stdout], [0, "[]\n"]);
    assert.match(none.stderr, /nowhere: no runs yet; "deno task train" makes one/);
    assert.equal(missing.stderr, `error: ${own}: expected one run "three", found none among 2\n`);
    assert.match(broken.stderr, /^error: .*two.log.jsonl:1: expected an event of a run, found "{}"\n$/);
    assert.match(
      nothing.stderr,
      /^error: deno task runs compare: expected the runs to compare, found none; see --help\n$/,
    );
    assert.match(refused.stderr, /^error: prune: expected older-than, keep or without-checkpoints, found none/);
    assert.deepEqual([missing, broken, nothing, refused].map(({ code }) => code), [2, 2, 2, 2]);
    assert.equal(asked.code, 0);
    assert.match(asked.stderr, /would remove 2 runs, 0\.0 MB; add --yes to do it/);
    assert.equal([...Deno.readDirSync(own)].length, 2);
    const done = await runs("prune", "--keep", "0", "--yes", "--runs", own);
    assert.match(done.stderr, /removed 2 runs/);
    assert.deepEqual([...Deno.readDirSync(own)], []);
  }));
