/** `deno task train`, `evaluate` and `predict`, as a person calls them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { buildSmallData } from "../tests/experiment/small_data.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = await Deno.makeTempDir({ prefix: "pokedex_train_" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const data = await buildSmallData(folder), runs = join(folder, "runs"), config = join(folder, "settings.yaml");

const settings = `
name: tiny
model: { family: yolov3-tiny, width: 0.01, size: 32 }
loss: { class: softmax }
optimizer: { name: sgd }
schedule: { kind: constant, learningRate: 0.01 }
training: { epochs: 2, batch: 4 }
`;
await Deno.writeTextFile(config, settings);

function start(name: string, args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(root, "tasks", `${name}.ts`), ...args],
    env: { NO_COLOR: "1" },
    ...{ cwd: root, stdout: "piped", stderr: "piped" },
  }).spawn();
}

async function task(name: string, ...args: string[]) {
  const { code, stdout, stderr } = await start(name, args).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

const own = ["--config", config, "--profile", "smoke", "--data", data, "--runs", runs];

Deno.test("train writes a run and a package; evaluate and predict print the documents that others rely on", async () => {
  const named = join(folder, "models", "tiny");
  const trained = await task("train", ...own, "--name", named, "--json");
  assert.equal(trained.code, 0, trained.err);
  const result = JSON.parse(trained.out);
  assert.deepEqual([result.reason, result.epochs, result.metrics.test.n > 0], ["finished", 2, true]);
  assert.match(trained.err, /expected training pictures of 12 species, found none of 9 \(Charmander, /);
  assert.match(trained.err, /test: top-1 [\d.]+ % \[[\d.]+, [\d.]+\], top-5/);
  const names = (await Array.fromAsync(Deno.readDir(join(runs, result.run)))).map(({ name }) => name).sort();
  const expected = [
    ".lock",
    "best",
    "checkpoints",
    "classes.txt",
    "config.yaml",
    "log.jsonl",
    "model.json",
    "model.onnx",
  ];
  assert.deepEqual(names, expected);

  const judged = await task("evaluate", "--model", named, "--data", data, "--json", "--no-latency");
  assert.equal(judged.code, 0, judged.err);
  const report = JSON.parse(judged.out);
  for (const key of ["n", "top1", "top5", "top1_ci95", "top5_ci95", "map50", "map50_95", "ece", "perClass"]) {
    assert.ok(key in report, key);
  }
  assert.equal(report.top1, result.metrics.test.top1);
  const inFolder = await task("evaluate", "--model", named, "--images", join(folder, "raw"), "--json");
  assert.deepEqual([JSON.parse(inFolder.out).n, typeof JSON.parse(inFolder.out).latency_ms.p50], [24, "number"]);

  const worse = await task(
    "evaluate",
    ...["--model", named, "--data", data, "--json", "--no-latency", "--robustness", "--limit", "6", "--others", "made"],
  );
  assert.equal(worse.code, 0, worse.err);
  const { robustness, top1 } = JSON.parse(worse.out);
  assert.equal(top1, report.top1);
  assert.deepEqual([robustness.corruptions.length, robustness.corruptions[0].severities.length], [12, 5]);
  assert.equal(robustness.n, Math.min(6, report.n));
  assert.deepEqual(robustness.rejection.confidences.map(({ confidence }: { confidence: string }) => confidence), [
    ...["probability", "margin", "entropy"],
  ]);
  assert.match(worse.err, /^gaussian blur +[\d.]+ +[\d.]+ \[[\d.]+, [\d.]+\] /m);
  assert.match(worse.err, /^entropy +[\d.]+ \[[\d.]+, [\d.]+\] /m);

  const picture = join(folder, "raw", "0001", "1.png"), drawings = join(folder, "drawings");
  const predicted = await task("predict", picture, "--runs", runs, "--top", "3", "--json", "--annotate", drawings);
  assert.equal(predicted.code, 0, predicted.err);
  const [{ image, top, ...rest }] = JSON.parse(predicted.out);
  assert.deepEqual([image, top.length, rest], [picture, 3, {}]);
  for (const guess of top) assert.deepEqual(Object.keys(guess), ["dex", "name", "score"]);
  const { format, width } = await sharp(join(drawings, "1.png")).metadata();
  assert.deepEqual([format, width], ["png", 320]); // 60 px, enlarged so that the label can be read
});

Deno.test("Ctrl-C ends a training with a checkpoint and status 130; --resume auto goes on with that run", async () => {
  const place = join(folder, "interrupted"), long = join(folder, "long.yaml");
  await Deno.writeTextFile(long, settings.replace("epochs: 2", "epochs: 100000"));
  const args = ["--profile", "smoke", "--data", data, "--runs", place];
  const child = start("train", ["--config", long, ...args, "--json"]);
  const decoder = new TextDecoder();
  let text = "", sent = false;
  const reading = (async () => {
    for await (const chunk of child.stderr) {
      text += decoder.decode(chunk);
      if (sent || !/train .*loss/.test(text)) continue;
      sent = true;
      child.kill("SIGINT");
    }
  })();
  const out = new Response(child.stdout).text();
  const { code } = await child.status;
  await reading;
  assert.equal(code, 130, text);
  const result = JSON.parse(await out);
  assert.equal(result.reason, "interrupted");
  assert.match(text, /no model yet; "--resume auto" goes on from checkpoints\/step-/);
  await Deno.writeTextFile(long, settings.replace("epochs: 2", `epochs: ${result.epochs + 1}`));
  const resumed = await task("train", "--config", long, ...args, "--resume", "auto", "--json");
  assert.equal(resumed.code, 0, resumed.err);
  assert.equal(JSON.parse(resumed.out).run, result.run);
});

Deno.test("train --find-rate prints the losses by learning rate and writes no run; the guard's work is told", async () => {
  const place = join(folder, "none"), guarded = join(folder, "guarded.yaml");
  const found = await task("train", ...own, "--runs", place, "--find-rate", "--json");
  assert.equal(found.code, 0, found.err);
  const { rates, losses, smoothed, ...rest } = JSON.parse(found.out);
  assert.deepEqual([losses.length, smoothed.length, rates[0]], [rates.length, rates.length, 1e-7]);
  assert.match(found.err, /learning rate +mean loss/);
  assert.match(found.err, /the loss (diverges at|does not diverge)[^]*\nthe loss falls /);
  assert.ok(!("diverged" in rest) || rest.tenth === rest.diverged / 10);
  await assert.rejects(Deno.stat(place), Deno.errors.NotFound);
  const spike = "{ deviations: 0.001, warmUp: 1 }";
  const guard = `guard: { lossSpike: ${spike}, gradientSpike: ${spike}, lasting: false }`;
  const fast = settings.replace("learningRate: 0.01", "learningRate: 1").replace("batch: 4", `batch: 4, ${guard}`);
  await Deno.writeTextFile(guarded, fast);
  const trained = await task("train", "--config", guarded, ...own.slice(2));
  assert.equal(trained.code, 0, trained.err);
  assert.match(
    trained.err,
    /the guard: [1-9]\d* steps skipped, \d+ incidents \(.* spike: skip.*\), learning rate times 1;/,
  );
});

Deno.test("wrong arguments and input end with status 2 and one line", async () => {
  const bad = join(folder, "bad.yaml"), note = join(folder, "note.png");
  await Deno.writeTextFile(bad, settings.replace("sgd", "adagrad"));
  await Deno.writeTextFile(note, "no picture");
  const cases: [string, string[], RegExp][] = [
    ["train", [], /expected --config FILE, e\.g\. configs/],
    ["train", ["--config", bad], /bad\.yaml:5:14: optimizer\.name: expected sgd or adam .*, found "adagrad"/],
    [
      "train",
      ["--config", config, "--profile", "huge"],
      /--profile: expected blog, national, quick, smoke, found "huge"/,
    ],
    ["train", [...own, "--device", "tpu"], /--device: expected cpu, webgpu, cuda, found "tpu"/],
    ["train", [...own, "--resume", join(folder, "none")], /none: expected a checkpoint or the folder of a run/],
    ["train", [...own, "--split-mode", "random"], /--split-mode: expected grouped or naive, found "random"/],
    ["train", [...own, "--find-rate", "--resume", "auto"], /--find-rate: expected no --resume, .*found both/],
    ["train", [...own, "--resume", "x", "--force-new-run"], /expected either a checkpoint or --force-new-run/],
    [
      "train",
      [...own, "--source", "sprites"],
      /--source: expected folder:.*, which .* was built from, found "sprites"/,
    ],
    [
      "export",
      ["--target", "toaster"],
      /--target: expected onnx, tensorrt, rpi, web, triton, k210, edgetpu, found "toaster"/,
    ],
    [
      "export",
      ["--target", "k210", "--budget", "3"],
      /--budget: expected another target, found "k210"/,
    ],
    [
      "export",
      ["--target", "edgetpu", "--loader", "maixpy"],
      /--loader: expected another target, found "edgetpu"/,
    ],
    ["export", ["--sign", "key.pem"], /--sign: expected another target, found "onnx"/],
    ["export", ["--target", "rpi", "--batch", "2"], /--batch: expected another target, found "rpi"/],
    ["export", ["--target", "web", "--budget", "x"], /--budget: expected a number from 0, found "x"/],
    ["export", ["--weights", "int4"], /--weights: expected float32, float16, int8, mixed, int8-static, found "int4"/],
    ["export", ["--licence", "MIT"], /expected --pictures and --licence together, found one of them/],
    ["evaluate", ["--model", "large", "--runs", runs], /--model: expected a name under models\/.*, found "large"/],
    ["predict", [], /expected IMAGE…, found none/],
    ["predict", [note, "--model", join(folder, "none.onnx")], /--model: expected/],
  ];
  for (const [name, args, message] of cases) {
    const { code, out, err } = await task(name, ...args);
    assert.deepEqual([code, out], [2, ""], err);
    const errors = err.split("\n").filter((line) => line.startsWith("error: "));
    assert.equal(errors.length, 1, err);
    assert.match(errors[0]!, message);
  }
});
