/**
 * Takes 3,200 steps on a layer of 256 x 256 weights and prints how many bytes the process grew by in 1,000 of them. Between
 * collections of garbage the memory swings by tens of megabytes: so the least of 300 steps is taken, and of two thousands the one
 * that grew less, for what is not given back grows in each.
 */

import { Graph, matMul, mul, reduceMean, tensor } from "../../lib/onnx/mod.ts";
import { adamW, compileStep, kaimingNormal, Random } from "../../lib/train/mod.ts";

const graph = new Graph("layer");
const w = graph.parameter("w", { shape: [256, 256], init: kaimingNormal(Random.seeded("memory")) });
const y = matMul(graph.input("x", "float32", [8, 256]), w);
graph.output(reduceMean(mul(y, y)), "y");
const step = await compileStep({ model: graph, loss: ({ output }) => output(), optimizer: adamW(), threads: 1 });
const x = tensor("float32", [8, 256], new Float32Array(8 * 256).fill(0.1));
const least = [Infinity, Infinity, Infinity]; // of steps 900 … 1,200, 1,900 … 2,200 and 2,900 … 3,200
for (let i = 0; i < 3200; i++) {
  await step.run({ x }, { learningRate: 1e-3 });
  const window = Math.floor((i - 900) / 1000);
  if (i >= 900 && (i - 900) % 1000 < 300) least[window] = Math.min(least[window]!, Deno.memoryUsage().rss);
}
console.log(Math.min(least[1]! - least[0]!, least[2]! - least[1]!));
await step.dispose();
