/** The supervised contrastive loss by hand, against its formula in plain numbers, and its gradient against finite differences. */

import assert from "node:assert/strict";
import { gradients } from "../../autodiff/mod.ts";
import { Graph, matMul, reduceSum, tensor, toModel, toNumbers } from "../../onnx/mod.ts";
import { openSession, Random, type Session } from "../../runtime/mod.ts";
import { compileStep, compileTensorFlowStep, normal, sgd, type StepOptions } from "../mod.ts";
import { TrainError } from "../errors.ts";
import { infoNce, supervisedContrastive, type SupervisedContrastiveOptions } from "./mod.ts";

/** The loss of x [N, size] and t [N], and its gradient, in double precision. */
function open(options: SupervisedContrastiveOptions | undefined, size: number): Promise<Session> {
  const graph = new Graph("loss");
  const x = graph.input("x", "float64", ["N", size]), t = graph.input("t", "int64", ["N"]);
  const loss = supervisedContrastive(x, t, options);
  graph.output(gradients(loss, [x])[0]!, "gradient");
  graph.output(loss, "loss");
  return openSession(toModel(graph), { threads: 1 });
}

async function run(session: Session, rows: readonly (readonly number[])[], labels: readonly number[]) {
  const found = await session.run({
    x: tensor("float64", [rows.length, rows[0]!.length], rows.flat()),
    t: tensor("int64", [labels.length], labels),
  });
  return { loss: toNumbers(found.loss!)[0]!, gradient: toNumbers(found.gradient!) };
}

async function lossOf(
  rows: readonly (readonly number[])[],
  labels: readonly number[],
  options?: SupervisedContrastiveOptions,
): Promise<{ loss: number; gradient: number[] }> {
  await using session = await open(options, rows[0]!.length);
  return await run(session, rows, labels);
}

function close(found: readonly number[], expected: readonly number[], tolerance: number): void {
  found.forEach((a, i) => {
    assert.ok(Math.abs(a - expected[i]!) <= tolerance, `[${i}]: found ${a}, expected ${expected[i]}`);
  });
}

/** Khosla et al. 2020, eq. 2, word for word, averaged over the anchors with a positive. */
function formula(rows: readonly (readonly number[])[], labels: readonly number[], temperature: number): number {
  const z = rows.map((row) => row.map((x) => x / Math.hypot(...row)));
  const dot = (i: number, a: number) => z[i]!.reduce((sum, x, d) => sum + x * z[a]![d]!, 0) / temperature;
  const losses = z.flatMap((_, i) => {
    const others = z.map((_, a) => a).filter((a) => a !== i), positives = others.filter((a) => labels[a] === labels[i]);
    if (positives.length === 0) return [];
    const all = others.reduce((sum, a) => sum + Math.exp(dot(i, a)), 0);
    const logs = positives.reduce((sum, p) => sum + Math.log(Math.exp(dot(i, p)) / all), 0);
    return [-logs / positives.length];
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

const drawn = (random: Random, n: number, size: number) =>
  Array.from({ length: n }, () => Array.from({ length: size }, () => random.normal()));

Deno.test("two pairs at right angles: each anchor has a positive of cosine 1 and two negatives of cosine 0", async () => {
  const rows = [[2, 0], [1, 0], [0, 3], [0, 0.5]], { E } = Math;
  close([(await lossOf(rows, [0, 0, 1, 1], { temperature: 1 })).loss], [Math.log(E + 2) - 1], 1e-10);
  close([(await lossOf(rows, [0, 0, 1, 1], { temperature: 0.5 })).loss], [Math.log(E ** 2 + 2) - 2], 1e-10);
  // Labels across: the positive is at a right angle, the negatives have cosines 1 and 0.
  close([(await lossOf(rows, [0, 1, 0, 1], { temperature: 1 })).loss], [Math.log(E + 2)], 1e-10);
});

Deno.test("an anchor without a positive is a negative for others and counts for nothing itself", async () => {
  const rows = [[1, 0], [1, 0], [0, 1]];
  const { loss } = await lossOf(rows, [4, 4, 9], { temperature: 1 });
  close([loss], [Math.log(Math.E + 1) - 1], 1e-10);
});

Deno.test("a batch without positives, or of one picture, costs 0 with a gradient of 0", async () => {
  for (const rows of [[[1, 2], [3, -1], [0, 1]], [[1, 2]]]) {
    const { loss, gradient } = await lossOf(rows, rows.map((_, i) => i));
    assert.equal(Math.abs(loss), 0);
    assert.ok(gradient.every((x) => x === 0), `${gradient}`);
  }
});

Deno.test("equal embeddings cost log(N − 1) whatever the labels, at any temperature", async () => {
  const rows = Array.from({ length: 6 }, () => [0.3, -2, 1]);
  close([(await lossOf(rows, [0, 0, 1, 1, 1, 2], { temperature: 0.05 })).loss], [Math.log(5)], 1e-9);
});

Deno.test("random batches have the loss of the formula in plain numbers", async () => {
  for (let i = 0; i < 20; i++) {
    const random = Random.seeded("contrastive", i), n = 2 + random.int(12);
    const rows = drawn(random, n, 2 + random.int(5));
    const labels = Array.from({ length: n }, () => random.int(4) - 1);
    labels[1] = labels[0]!;
    const temperature = random.uniform(0.2, 2);
    close([(await lossOf(rows, labels, { temperature })).loss], [formula(rows, labels, temperature)], 1e-7);
  }
});

Deno.test("the gradient is that of central differences, with normalised and with free embeddings", async () => {
  for (let i = 0; i < 8; i++) {
    const random = Random.seeded("contrastive gradient", i), n = 3 + random.int(4), size = 1 + random.int(4);
    const rows = drawn(random, n, size), labels = Array.from({ length: n }, () => random.int(3));
    labels[1] = labels[0]!;
    await using session = await open({ temperature: 0.5, normalize: i % 2 === 0 }, size);
    const { gradient } = await run(session, rows, labels);
    for (let at = 0; at < n * size; at++) {
      const moved = (by: number) => rows.map((row, r) => row.map((x, c) => r * size + c === at ? x + by : x));
      const ahead = await run(session, moved(1e-5), labels), behind = await run(session, moved(-1e-5), labels);
      close([gradient[at]!], [(ahead.loss - behind.loss) / 2e-5], 1e-7);
    }
  }
});

Deno.test("both engines train with it: classes come together, with the same losses", async () => {
  const graph = new Graph("embedding"), random = Random.seeded("embedding");
  const x = graph.input("x", "float32", ["N", 4]);
  graph.output(matMul(x, graph.parameter("w", { shape: [4, 3], init: normal(random, { deviation: 0.5 }) })), "z");
  const options: StepOptions = {
    model: graph,
    loss: ({ output, input }) => supervisedContrastive(output("z"), input("t", "int64", ["N"]), { temperature: 0.2 }),
    optimizer: sgd({ momentum: 0.9 }),
  };
  await using onnx = await compileStep({ ...options, worker: false, threads: 1 });
  await using tensorFlow = await compileTensorFlowStep({ ...options, backend: "cpu" });
  // Two classes, apart in the first coordinate; noise in the others.
  const labels = [0, 0, 0, 1, 1, 1, 1, 0];
  const batch = {
    x: tensor("float32", [8, 4], labels.flatMap((t) => [2 * t - 1, random.normal(), random.normal(), random.normal()])),
    t: tensor("int64", [8], labels),
  };
  const losses: number[] = [];
  for (let i = 0; i < 60; i++) {
    const { loss } = await onnx.run(batch, { learningRate: 0.1 });
    losses.push(loss);
    if (i < 5) close([(await tensorFlow.run(batch, { learningRate: 0.1 })).loss], [loss], 1e-5 * Math.max(1, loss));
  }
  // Perfect classes have all positives at cosine 1: log 3 is left, for three of them share the softmax (four rows a class).
  assert.ok(losses[0]! > 2 && losses.at(-1)! < Math.log(3) + 0.05, `${losses[0]} … ${losses.at(-1)}`);
});

Deno.test("shapes, types and temperatures that do not fit are one line that says what was expected", () => {
  const graph = new Graph(), x = graph.input("x", "float32", ["N", 3]), t = graph.input("t", "int64", ["N"]);
  const fails = (work: () => unknown, message: RegExp) =>
    assert.throws(work, (error) => error instanceof TrainError && message.test(error.message));
  fails(() => supervisedContrastive(x, x), /expected embeddings \[N, D\] and labels \[N\] .* found "x" \[N, 3\] and/);
  fails(() => supervisedContrastive(t, t), /expected embeddings \[N, D\]/);
  fails(() => supervisedContrastive(x, reduceSum(x, { axes: 1 })), /labels \[N\] \(int64 or int32\), found .* float32/);
  fails(() => supervisedContrastive(x, t, { temperature: 0 }), /expected a temperature above 0, found 0/);
});

Deno.test("infoNce with further rows: the rows of a choose among them too, those of b do not; by hand", async () => {
  // Unit rows at a scale of 1: cosines 1 and 0 within the batch, of the negative 0.6 and 0.8.
  const value = async (options: { negatives?: boolean; direction?: "rows" | "both" }) => {
    const graph = new Graph("loss"), rows = graph.constant([1, 0, 0, 1], { dtype: "float64", shape: [2, 2] });
    const negatives = graph.constant([0.6, 0.8], { dtype: "float64", shape: [1, 2] });
    const more = {
      ...(options.negatives ? { negatives } : {}),
      ...(options.direction ? { direction: options.direction } : {}),
    };
    graph.output(infoNce(rows, rows, { scale: 1, ...more }), "loss");
    await using session = await openSession(toModel(graph), { threads: 1 });
    return toNumbers((await session.run({})).loss!)[0]!;
  };
  const e = Math.E, own = Math.log(e + 1) - 1;
  const among = (Math.log(e + 1 + Math.exp(0.6)) + Math.log(e + 1 + Math.exp(0.8))) / 2 - 1;
  close([await value({}), await value({ direction: "rows" })], [own, own], 1e-9);
  close([await value({ negatives: true, direction: "rows" })], [among], 1e-9);
  close([await value({ negatives: true })], [(among + own) / 2], 1e-9);
});
