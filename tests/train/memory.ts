/** Takes 1,300 steps on a layer of 256 x 256 weights and prints how many bytes the process grew by in the last 1,000. */

import { Graph, matMul, mul, reduceMean, tensor } from "../../lib/onnx/mod.ts";
import { adamW, compileStep, kaimingNormal, Random } from "../../lib/train/mod.ts";

const graph = new Graph("layer");
const w = graph.parameter("w", { shape: [256, 256], init: kaimingNormal(Random.seeded("memory")) });
const y = matMul(graph.input("x", "float32", [8, 256]), w);
graph.output(reduceMean(mul(y, y)), "y");
const step = await compileStep({ model: graph, loss: ({ output }) => output(), optimizer: adamW(), threads: 1 });
const x = tensor("float32", [8, 256], new Float32Array(8 * 256).fill(0.1));
let before = 0;
for (let i = 0; i < 1300; i++) {
  if (i === 300) before = Deno.memoryUsage().rss;
  await step.run({ x }, { learningRate: 1e-3 });
}
console.log(Deno.memoryUsage().rss - before);
await step.dispose();
