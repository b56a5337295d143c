import assert from "node:assert/strict";
import { assertClose, checkGradients, runGraph } from "../../autodiff/gradient_check.ts";
import { gradients } from "../../autodiff/mod.ts";
import { Graph, reduceSum, tensor, toNumbers, type Value } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { crossEntropy, distillation, hintLoss, uncertaintyWeighted } from "./mod.ts";

const random = Random.seeded("distillation", 0);

async function valueOf(build: (graph: Graph) => Value): Promise<number> {
  const graph = new Graph("loss");
  graph.output(build(graph), "loss");
  const { loss } = await runGraph(graph, {});
  return toNumbers(loss!)[0]!;
}

const rows = (graph: Graph, values: readonly number[][]) =>
  graph.constant(tensor("float64", [values.length, values[0]!.length], values.flat()));

Deno.test("distillation by hand: α · T² · KL of the softened probabilities and (1 − α) of the cross-entropy", async () => {
  const logits = [0.5, -1, 2], teacher = [0.7, 0.1, 0.2], T = 2, alpha = 0.3;
  const soft = (values: readonly number[]) => {
    const sum = values.reduce((a, b) => a + b);
    return values.map((value) => value / sum);
  };
  const q = soft(logits.map((z) => Math.exp(z / T))), p = soft(teacher.map((each) => each ** (1 / T)));
  const divergence = p.reduce((sum, each, i) => sum + each * Math.log(each / q[i]!), 0);
  const crossed = -Math.log(soft(logits.map(Math.exp))[2]!);
  const found = await valueOf((graph) =>
    distillation(rows(graph, [logits]), rows(graph, [[0, 0, 1]]), rows(graph, [teacher]), {
      temperature: T,
      weight: alpha,
    }).loss
  );
  assertClose([found], [(1 - alpha) * crossed + alpha * T ** 2 * divergence], 1e-10);
});

Deno.test("distillation: a weight of 0 is the cross-entropy, a student that agrees has nothing to learn, a teacher's 0 is no NaN", async () => {
  const logits = [[0.5, -1, 2], [0, 0, 1]],
    own = logits.map((row) => {
      const sum = row.reduce((total, z) => total + Math.exp(z), 0);
      return row.map((z) => Math.exp(z) / sum);
    });
  const targets = [[0, 0.5, 0.5], [1, 0, 0]];
  const plain = await valueOf((graph) => crossEntropy(rows(graph, logits), rows(graph, targets)));
  const none = await valueOf((graph) =>
    distillation(rows(graph, logits), rows(graph, targets), rows(graph, [[1, 0, 0], [0, 1, 0]]), { weight: 0 }).loss
  );
  assertClose([none], [plain], 1e-12);
  const agreed = await valueOf((graph) =>
    distillation(rows(graph, logits), rows(graph, targets), rows(graph, own), { weight: 1, temperature: 3 }).loss
  );
  assertClose([agreed], [0], 1e-10);
  const sure = await valueOf((graph) =>
    distillation(rows(graph, logits), rows(graph, targets), rows(graph, [[1, 0, 0], [0, 1, 0]]), {
      weight: 1,
      temperature: 1,
    }).loss
  );
  assertClose([sure], [-(Math.log(own[0]![0]!) + Math.log(own[1]![1]!)) / 2], 1e-9);
});

Deno.test("hints by hand: half the squared distance of each picture, their mean", async () => {
  const found = await valueOf((graph) => hintLoss(rows(graph, [[1, 2], [0, 0]]), rows(graph, [[0, 4], [3, 0]])));
  assertClose([found], [(2.5 + 4.5) / 2], 1e-12);
});

Deno.test("gradients of distillation, hints and uncertainty are those of finite differences, and none reaches the teacher", async () => {
  await checkGradients(3, random, () => ({
    inputs: {
      logits: { shape: [4, 5] },
      teacher: { shape: [4, 5], low: 0.05, high: 1, differentiate: false },
      targets: { shape: [4, 5], low: 0, high: 1, differentiate: false },
    },
    build: ({ logits, teacher, targets }) => distillation(logits!, targets!, teacher!, { temperature: 3 }).loss,
  }));
  await checkGradients(3, random, () => ({
    inputs: { student: { shape: [3, 4] }, teacher: { shape: [3, 4], differentiate: false } },
    build: ({ student, teacher }) => hintLoss(student!, teacher!),
  }));
  await checkGradients(3, random, () => ({
    inputs: { a: { shape: [] }, b: { shape: [] }, s: { shape: [2] } },
    build: ({ a, b, s }) => uncertaintyWeighted([a!, b!], s!),
  }));
  const graph = new Graph("teacher");
  const student = graph.input("student", "float64", [2, 3]), teacher = graph.input("teacher", "float64", [2, 3]);
  const [gradient] = gradients(reduceSum(hintLoss(student, teacher, { reduction: "none" })), [teacher]);
  graph.output(gradient!, "gradient");
  const one = tensor("float64", [2, 3], [1, 2, 3, 4, 5, 6]), zero = tensor("float64", [2, 3], new Array(6).fill(0));
  const found = await runGraph(
    graph,
    Object.fromEntries(graph.inputs.map(({ name }) => [name, name === "student" ? one : zero])),
  );
  assertClose(toNumbers(found.gradient!), new Array(6).fill(0), 0);
});

Deno.test("uncertainty by hand, and least where every s is the logarithm of its loss", async () => {
  const at = (losses: number[], s: number[]) =>
    valueOf((graph) =>
      uncertaintyWeighted(
        losses.map((loss) => graph.constant(tensor("float64", [], [loss]))),
        graph.constant(tensor("float64", [s.length], s)),
      )
    );
  assertClose([await at([3, 0.5], [Math.log(2), 0])], [3 / 2 + Math.log(2) + 0.5], 1e-12);
  assertClose([await at([3, 0.5], [0, 0])], [3.5], 1e-12);
  const best = await at([3, 0.5], [Math.log(3), Math.log(0.5)]);
  assertClose([best], [2 + Math.log(3) + Math.log(0.5)], 1e-12);
  for (let i = 0; i < 5; i++) {
    const other = await at([3, 0.5], [Math.log(3) + random.normal(0, 0.3), Math.log(0.5) + random.normal(0, 0.3)]);
    assert.ok(other > best);
  }
});

Deno.test("losses of other shapes and weights out of range are refused", () => {
  const graph = new Graph("wrong");
  const x = (name: string, shape: readonly number[]) => graph.input(name, "float32", shape);
  const logits = x("logits", [2, 3]), targets = x("targets", [2, 3]);
  assert.throws(
    () => distillation(logits, targets, x("teacher", [2, 4])),
    /distillation: expected probabilities of the shape/,
  );
  assert.throws(
    () => distillation(logits, targets, targets, { weight: 2 }),
    /distillation: expected a weight in 0 … 1, found 2/,
  );
  assert.throws(() => hintLoss(x("a", [2, 3]), x("b", [2, 4])), /hintLoss: expected features \[N, D\] of one width/);
  assert.throws(() => uncertaintyWeighted([x("loss", [])], x("s", [2])), /a log-variance for each of 1 losses/);
});
