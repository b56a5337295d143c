/** Tests of deployment_figures.ts. */

import assert from "node:assert/strict";
import { type DeploymentRow, type DeploymentTable, estimateDevices, K210 } from "../deploy/mod.ts";
import { mcNemar, shareOf } from "../evaluate/mod.ts";
import {
  accuracyTable,
  choicesFigure,
  choicesOf,
  deviceFigure,
  deviceTable,
  formsFigure,
  k210MapFigure,
  k210WeightFigure,
  packageTable,
  pruningFigure,
  sensitivityFigure,
  speedTable,
} from "./deployment_figures.ts";
import { type Displayable, jupyterDisplay, mime } from "./display.ts";

const time = (p50: number) => ({
  batch: 1,
  runs: 5,
  threads: 2,
  device: "cpu" as const,
  p50,
  p95: 2 * p50,
  imagesPerSecond: 9,
});
const work = { macs: 1e6, traffic: { weights: 1e3, activations: 1e3, ports: 100 } };
const row = (form: DeploymentRow["form"], bytes: number, right: number): DeploymentRow => ({
  ...{ model: "small", form, computes: form === "int8" ? "int8" : "float", bytes, accuracy: shareOf(right, 100) },
  ...{ latency: { one: time(bytes / 1e6), all: time(1), batch: time(3) }, macs: 1e6, bytesMoved: 8000 },
  ...{ int8Share: form === "int8" ? 1 : 0, devices: estimateDevices(work, form === "int8" ? "int8" : "float") },
  ...(form === "float32" ? {} : { agreement: shareOf(98, 100), beside: mcNemar([true, false], [true, true]) }),
});
const deployed: DeploymentTable = {
  rows: [row("float32", 16e6, 90), row("float16 weights", 8e6, 90), row("int8", 4e6, 89)],
  k210: [{ model: "small", problem: "stem: too large" }],
  pictures: "test",
};

async function texts(shown: Displayable): Promise<{ headings: string[]; rows: string[][]; caption: string }> {
  return (await shown[jupyterDisplay]())[mime.table] as { headings: string[]; rows: string[][]; caption: string };
}

Deno.test("the tables have a row a form, float32 beside nothing, medians and 95th percentiles", async () => {
  const accuracy = await texts(accuracyTable(deployed, "caption"));
  assert.deepEqual(accuracy.rows.map((cells) => cells.slice(1, 4)), [
    ["float32", "16.00", "90.0"],
    ["float16 weights", "8.00", "90.0"],
    ["int8", "4.00", "89.0"],
  ]);
  assert.deepEqual(accuracy.rows[0]!.slice(6, 8), ["", ""]);
  assert.deepEqual(accuracy.rows[2]!.slice(6), ["98.0", "1.000", "100"]);
  const speed = await texts(speedTable(deployed, "caption"));
  assert.deepEqual(speed.rows[2]!.slice(2, 4), ["4.0 · 8.0", "1.0 · 2.0"]);
  const untrained = { rows: [{ ...deployed.rows[0]!, accuracy: undefined as never }] };
  assert.equal((await texts(accuracyTable(untrained, "caption"))).rows[0]![4], "not judged");
});

Deno.test("the Pareto picture names the forms that no other beats, and the bars have every form", () => {
  const { chart } = choicesFigure(choicesOf(deployed, "size"), { by: "size", unit: "MB" });
  assert.equal(chart.caption, "None is both better and cheaper than int8; float16 weights.");
  assert.ok(chart.kind === "scatter" && chart.series.length === 3);
  assert.deepEqual(choicesOf(deployed, "latency").map(({ cost }) => cost), [16, 8, 4]);
  const bars = formsFigure(deployed, "caption").chart;
  assert.ok(bars.kind === "bar" && bars.categories.length === 3 && bars.series[0]!.values[2] === 89);
});

Deno.test("sensitivity is in points, the worst named; the pruning curve says what is left", () => {
  const layers = [{ layer: "stem", score: 0.9, loss: 0.1 }, { layer: "head", score: 1, loss: 0 }];
  const { chart } = sensitivityFigure({ float: 1, int8: 0.875, layers }, { of: "Agreement on 8 pictures", most: 1 });
  assert.equal(
    chart.caption,
    "Agreement on 8 pictures: 87.50 % with all layers in int8, 100.00 % in float32. Alone, stem loses most, 10.00 points. Shown: the 1 " +
      "most sensitive of 2.",
  );
  assert.ok(chart.kind === "bar" && chart.series[0]!.values[0] === 10);
  const point = (share: number, right: number) => ({
    ...{ share, macs: share * 1e6, parameters: share * 1e3, bytes: 1, before: shareOf(right, 100) },
  });
  const curve = pruningFigure([point(1, 90), { ...point(0.5, 30), after: shareOf(80, 100) }]).chart;
  assert.match(curve.caption, /^90\.0 % of 100 .* 80\.0 % with 50 % of the multiplications and 50 % of the weights\.$/);
  assert.ok(curve.kind === "line");
  assert.deepEqual(curve.series.map(({ name, x, y }) => [name, x, y]), [
    ["as pruned", [0.5, 1], [30, 90]],
    ["fine-tuned", [0.5], [80]],
  ]);
});

Deno.test("the K210's figures show the KPU's layers in order, in shares of the memory, names apart", () => {
  const layer = (name: string, unit: "KPU" | "CPU", mapBytes: number, weightBytes: number) => ({
    ...{
      name,
      operator: "1x1",
      unit,
      input: [1, 4, 4],
      output: [1, 4, 4],
      mapBytes,
      weightBytes,
      macs: 1,
      problems: [],
    },
  });
  const layers = [
    layer("a", "KPU", K210.mapMemory / 2, 1000),
    layer("a", "KPU", K210.mapMemory / 4, 500),
    layer("pool", "CPU", 0, 0),
  ];
  const map = k210MapFigure({ layers, mapBytes: K210.mapMemory / 2 }).chart;
  assert.ok(map.kind === "bar");
  assert.deepEqual([map.categories, map.series[0]!.values], [["a", "a #2"], [50, 25]]);
  assert.match(map.caption, /The largest, a, takes 50 % of it/);
  const weights = k210WeightFigure({ layers, modelBytes: 1.75e6 }).chart;
  assert.ok(weights.kind === "bar" && weights.series[0]!.values[0] === 1);
  assert.match(weights.caption, /1\.75 MB of the 3\.5 MB that maixpy loads: 50 %/);
});

Deno.test("devices are marked as estimated, without one where it cannot compute so", async () => {
  const { headings, rows, caption } = await texts(deviceTable(deployed));
  assert.match(caption, /^Estimated pictures a second, none of it measured/);
  assert.equal(rows.length, 2); // floating point and int8
  const at = (which: number, device: string) => rows[which]![headings.indexOf(device)];
  assert.deepEqual([at(0, "Edge TPU (USB)"), at(1, "Jetson Nano"), at(1, "K210"), at(0, "K210")], ["–", "–", "–", "–"]);
  assert.match(at(0, "Jetson Nano")!, /^≤ \d/);
  const { chart } = deviceFigure(deployed);
  assert.ok(chart.kind === "bar");
  assert.deepEqual(chart.categories, ["Raspberry Pi 4", "Edge TPU (USB)"]);
  assert.ok(chart.series[0]!.values.every((low, i) => low <= chart.series[0]!.high![i]!));
});

Deno.test("a package's largest files stand first, the rest is summed", async () => {
  const file = (path: string, bytes: number) => ({ path, bytes, sha256: "ab".repeat(32), update: false });
  const files = [file("small", 1000), file("model.onnx", 5000), file("b", 500), file("a", 500)];
  const { rows } = await texts(packageTable([{ target: "rpi", files }], { most: 2 }));
  assert.deepEqual(rows.map(([, name, size]) => [name, size]), [["model.onnx", "5.0"], ["small", "1.0"], [
    "2 more",
    "1.0",
  ]]);
  assert.equal(rows[0]![3], "abababababababab…");
});
