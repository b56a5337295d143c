/** The losses of a student by hand, against their formulas in plain numbers, and their gradients against finite differences. */

import assert from "node:assert/strict";
import { gradients } from "../../autodiff/mod.ts";
import { Graph, tensor, toModel, toNumbers, type Value } from "../../onnx/mod.ts";
import { openSession, Random } from "../../runtime/mod.ts";
import { TrainError } from "../../train/mod.ts";
import {
  distillationLoss,
  featureMatching,
  prototypeLogits,
  similarityStructure,
  type StructureOptions,
} from "./losses.ts";

type Rows = readonly (readonly number[])[];
type Loss = (student: Value, teacher: Value) => Value;

/** The loss of student and teacher and its gradient by the student, in double precision. */
async function openLoss(loss: Loss, own: number, wanted: number) {
  const graph = new Graph("loss");
  const s = graph.input("s", "float64", ["N", own]), t = graph.input("t", "float64", ["N", wanted]);
  const value = loss(s, t);
  graph.output(gradients(value, [s])[0]!, "gradient");
  graph.output(value, "loss");
  const session = await openSession(toModel(graph), { threads: 1 });
  return {
    async run(student: Rows, teacher: Rows) {
      const fed = (rows: Rows, size: number) => tensor("float64", [rows.length, size], rows.flat());
      const found = await session.run({ s: fed(student, own), t: fed(teacher, wanted) });
      return { loss: toNumbers(found.loss!)[0]!, gradient: toNumbers(found.gradient!) };
    },
    [Symbol.asyncDispose]: () => session.dispose(),
  };
}

async function lossOf(loss: Loss, student: Rows, teacher: Rows): Promise<number> {
  await using opened = await openLoss(loss, student[0]!.length, teacher[0]!.length);
  return (await opened.run(student, teacher)).loss;
}

function close(found: number, expected: number, tolerance = 1e-9): void {
  assert.ok(Math.abs(found - expected) <= tolerance, `found ${found}, expected ${expected}`);
}

const cosine: Loss = (s, t) => featureMatching(s, t), mse: Loss = (s, t) => featureMatching(s, t, { metric: "mse" });
const structure = (options: StructureOptions): Loss => (s, t) => similarityStructure(s, t, options);

const drawn = (random: Random, n: number, size: number) =>
  Array.from({ length: n }, () => Array.from({ length: size }, () => random.normal()));
const unit = (row: readonly number[]) => row.map((x) => x / Math.hypot(...row));
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

Deno.test("the same directions cost 0, right angles 1, opposite ones 2; as squares of differences twice that", async () => {
  const teacher = [[3, 0], [0, 2]];
  close(await lossOf(cosine, [[1, 0], [0, 9]], teacher), 0);
  close(await lossOf(cosine, [[0, 5], [1, 0]], teacher), 1);
  close(await lossOf(cosine, [[-1, 0], [0, -1]], teacher), 2);
  close(await lossOf(cosine, [[1, 1], [0, 1]], teacher), (1 - Math.SQRT1_2) / 2);
  close(await lossOf(mse, [[0, 5], [1, 0]], teacher), 2);
  // (1/√2 − 1)² + (1/√2)² = 2 − √2 of the first row alone.
  close(await lossOf(mse, [[1, 1], [0, 1]], teacher), (2 - Math.SQRT2) / 2);
});

Deno.test("three pictures: the teacher has two alike and one apart, the student all at right angles", async () => {
  // Neighbours of the first: teacher (e, 1) / (e + 1), student (½, ½); of the third ½, ½ for both.
  const teacher = [[1, 0], [1, 0], [0, 1]], student = [[1, 0, 0], [0, 1, 0], [0, 0, 1]], { E, LN2 } = Math;
  const p = E / (E + 1), entropy = -p * Math.log(p) - (1 - p) * Math.log(1 - p);
  close(await lossOf(structure({ temperature: 1 }), student, teacher), 2 / 3 * (LN2 - entropy), 1e-8);
  // Rows of the teacher (1, 1, 0)/√2, the student's (1, 0, 0): twice (1 − 1/√2)² + 1/2, over 9.
  const each = (1 - Math.SQRT1_2) ** 2 + 0.5;
  close(await lossOf(structure({ kind: "preserving" }), student, teacher), 2 * each / 9);
});

Deno.test("a turned and stretched copy of the teacher, of any dimension, has its structure; so has a batch of one", async () => {
  const random = Random.seeded("structure"), teacher = drawn(random, 6, 2);
  const turned = teacher.map(([x, y], i) => [0.6 * x! - 0.8 * y!, 0, 0.8 * x! + 0.6 * y!].map((v) => v * (i + 1)));
  for (const kind of ["kl", "preserving"] as const) {
    close(await lossOf(structure({ kind }), turned, teacher), 0, 1e-8);
    close(await lossOf(structure({ kind }), [[1, 2, 3]], [[4, -1]]), 0);
  }
});

Deno.test("random batches have the losses of the formulas in plain numbers", async () => {
  for (let i = 0; i < 4; i++) {
    const random = Random.seeded("distillation", i), n = 2 + random.int(6);
    const student = drawn(random, n, 2 + random.int(4)), teacher = drawn(random, n, 2 + random.int(4));
    const temperature = random.uniform(0.2, 2);
    const all = (rows: Rows) => rows.map((a) => rows.map((b) => dot(unit(a), unit(b))));
    const S = all(student), T = all(teacher);
    const neighbours = (row: readonly number[], self: number) => {
      const powers = row.map((x, j) => j === self ? 0 : Math.exp(x / temperature));
      const sum = powers.reduce((a, b) => a + b);
      return powers.map((x) => x / sum);
    };
    const kl = T.map((row, a) => {
      const p = neighbours(row, a), q = neighbours(S[a]!, a);
      return p.reduce((sum, x, j) => j === a ? sum : sum + x * Math.log(x / q[j]!), 0);
    }).reduce((a, b) => a + b) / n;
    close(await lossOf(structure({ temperature }), student, teacher), kl, 1e-7);
    const squares = S.flatMap((row, a) => unit(row).map((x, j) => (x - unit(T[a]!)[j]!) ** 2));
    close(
      await lossOf(structure({ kind: "preserving" }), student, teacher),
      squares.reduce((a, b) => a + b) / n ** 2,
      1e-9,
    );
  }
});

/** All parts, with prototypes and species that are constants. */
const whole: Loss = (student, teacher) => {
  const { graph } = student;
  const prototypes = graph.constant(tensor("float64", [3, 4], [1, 0, 0, 0, 0, 0.6, 0, 0.8, 0, 0, -1, 0]));
  const targets = graph.constant(tensor("float64", [4, 3], [1, 0, 0, 0, 1, 0, 0, 0.3, 0.7, 0, 0, 1]));
  const logits = prototypeLogits(student, prototypes, 5);
  const options = { weights: { features: 0.5, structure: 2, labels: 0.25 }, labelSmoothing: 0.1 };
  const result = distillationLoss({ student, teacher, logits, targets }, options);
  return "loss" in result ? result.loss : result;
};

Deno.test("the gradients are those of central differences, of each part and of all together", async () => {
  const losses = [cosine, mse, structure({}), structure({ temperature: 1 }), structure({ kind: "preserving" }), whole];
  for (const [i, loss] of losses.entries()) {
    const random = Random.seeded("gradient", i), student = drawn(random, 4, 4), teacher = drawn(random, 4, 4);
    await using opened = await openLoss(loss, 4, 4);
    const { gradient } = await opened.run(student, teacher);
    assert.ok(Math.hypot(...gradient) > 1e-3);
    for (let at = 0; at < 16; at++) {
      const moved = (by: number) => student.map((row, r) => row.map((x, c) => 4 * r + c === at ? x + by : x));
      const ahead = await opened.run(moved(1e-5), teacher), behind = await opened.run(moved(-1e-5), teacher);
      close(gradient[at]!, (ahead.loss - behind.loss) / 2e-5, 2e-6 * Math.max(1, Math.hypot(...gradient)));
    }
  }
});

Deno.test("the loss is the weighted sum of its parts, told as metrics; a part of weight 0 is not there", async () => {
  const graph = new Graph("parts"), row = (name: string, size: number) => graph.input(name, "float64", ["N", size]);
  const [student, teacher, targets] = [row("s", 2), row("t", 2), row("y", 2)];
  const prototypes = graph.constant(tensor("float64", [2, 2], [1, 0, 0, 1]));
  const logits = prototypeLogits(student, prototypes, 2);
  const given = { student, teacher, logits, targets };
  const made = distillationLoss(given, { weights: { features: 3, structure: 0, labels: 0.5 } });
  assert.ok("loss" in made);
  assert.deepEqual(Object.keys(made.metrics!), ["features", "labels"]);
  graph.output(made.loss, "loss");
  await using session = await openSession(toModel(graph), { threads: 1 });
  const found = await session.run({
    s: tensor("float64", [1, 2], [0, 4]),
    t: tensor("float64", [1, 2], [7, 0]),
    y: tensor("float64", [1, 2], [1, 0]),
  });
  // At a right angle to the teacher: 1. Logits (0, 2), the first is true: log(1 + e²).
  close(toNumbers(found.loss!)[0]!, 3 * 1 + 0.5 * Math.log(1 + Math.E ** 2));
  assert.throws(() => distillationLoss(given, { weights: { features: 0, structure: 0, labels: 0 } }), {
    name: "TrainError",
    message: "distillationLoss: expected a weight above 0, found none",
  });
  assert.throws(
    () => distillationLoss(given, { weights: { features: -1, structure: 0, labels: 1 } }),
    /weights\.features: expected a number from 0, found -1/,
  );
});

Deno.test("other dimensions are refused where places are compared, a temperature of 0 where relations are", () => {
  const graph = new Graph("refused");
  const s = graph.input("s", "float32", ["N", 3]), t = graph.input("t", "float32", ["N", 5]);
  assert.throws(() => featureMatching(s, t), (error: Error) => {
    assert.ok(error instanceof TrainError);
    assert.match(
      error.message,
      /expected embeddings of the teacher's 5 numbers, found 3; bring them there by a projection/,
    );
    return true;
  });
  assert.throws(() => similarityStructure(s, t, { temperature: 0 }), /expected a temperature above 0, found 0/);
  assert.throws(() => similarityStructure(graph.input("v", "float32", [3]), t), /expected embeddings \[N, D\]/);
});
