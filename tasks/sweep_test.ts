/** `deno task sweep`, as a person calls it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSmallData } from "../tests/experiment/small_data.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = await Deno.makeTempDir({ prefix: "pokedex_sweep_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const data = await buildSmallData(folder);
const base = join(folder, "settings.yaml"), sweep = join(folder, "sweep.yaml");
await Deno.writeTextFile(
  base,
  `
name: tiny
model: { family: yolov3-tiny, width: 0.01, size: 32 }
loss: { class: softmax }
optimizer: { name: sgd }
schedule: { kind: constant, learningRate: 0.01 }
training: { epochs: 2, batch: 4 }
`,
);
const text = `name: rates
base: ${base}
method: grid
parameters:
  schedule.learningRate: [1e-3, -1, 1e-2]
`;
await Deno.writeTextFile(sweep, text);

function start(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(root, "tasks", "sweep.ts"), ...args],
    env: { NO_COLOR: "1" },
    ...{ cwd: root, stdout: "piped", stderr: "piped" },
  }).spawn();
}

async function finish(child: Deno.ChildProcess) {
  const { code, stdout, stderr } = await child.output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

Deno.test("a killed sweep goes on after the trials that it finished, notes the one that is impossible, and writes its results", async () => {
  const args = ["--config", sweep, "--profile", "smoke", "--data", data, "--runs", folder, "--workers", "0", "--json"];
  const first = start(...args);
  const decoder = new TextDecoder();
  let seen = "";
  for await (const chunk of first.stderr) {
    seen += decoder.decode(chunk);
    if (seen.includes("1/3  schedule.learningRate 0.001")) first.kill("SIGKILL");
  }
  await first.stdout.cancel();
  await first.status;
  const [{ name }] = await Array.fromAsync(Deno.readDir(join(folder, "sweeps"))) as [Deno.DirEntry];
  const own = join(folder, "sweeps", name);
  const begun = (await Deno.readTextFile(join(own, "sweep.jsonl"))).split("\n").filter(Boolean);

  const second = await finish(start(...args));
  assert.equal(second.code, 0, second.err);
  const lines = (await Deno.readTextFile(join(own, "sweep.jsonl"))).trimEnd().split("\n");
  assert.equal(lines.length, 3);
  assert.deepEqual(lines.slice(0, begun.length), begun);
  const result = JSON.parse(second.out);
  assert.deepEqual([result.ok, result.state, result.variants.length], [true, "finished", 3]);
  assert.match(result.variants[2].causes[0], /^trial 2: schedule\.learningRate: expected .*0, found -1$/);
  assert.match(second.err, /place +learningRate +epochs +top-1 %/);
  assert.match(await Deno.readTextFile(join(own, "sweep.html")), /Sweep rates/);
});

Deno.test("wrong arguments and input end with status 2 and one line", async () => {
  const wrong = join(folder, "wrong.yaml");
  await Deno.writeTextFile(wrong, text.replace("learningRate:", "learningRates:"));
  const cases: [string[], RegExp][] = [
    [[], /^error: deno task sweep: expected --config FILE/],
    [
      ["--config", wrong],
      /^error: .*wrong\.yaml:5:3: parameters\.schedule\.learningRates: expected a setting of a training/,
    ],
    [["--config", sweep, "--device", "tpu"], /^error: --device: expected cpu, .*, found "tpu"/],
  ];
  for (const [args, message] of cases) {
    const { code, out, err } = await finish(start(...args));
    assert.deepEqual([code, out, err.trimEnd().split("\n").length], [2, "", 1], err);
    assert.match(err, message);
  }
});
