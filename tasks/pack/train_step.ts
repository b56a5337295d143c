/** What a freshly unpacked archive runs to show that it works: 20 training steps on made-up stripes; `train_step.ts [DEVICE]`. */

import { conv, flatten, gemm, globalAveragePool, Graph, relu, tensor } from "../../lib/onnx/mod.ts";
import { DEVICES, InputError, Random } from "../../lib/runtime/mod.ts";
import { adam, compileStep, crossEntropy, kaimingNormal } from "../../lib/train/mod.ts";

const given = Deno.args[0] ?? "cpu", device = DEVICES.find((each) => each === given);
if (!device) throw new InputError(`train_step: expected a device of ${DEVICES.join(", ")}, found "${given}"`);
const graph = new Graph("stripes"), random = Random.seeded("pack");
const kernel = (name: string, ...shape: number[]) => graph.parameter(name, { shape, init: kaimingNormal(random) });
const hidden = relu(conv(graph.input("x", "float32", [16, 1, 8, 8]), kernel("conv", 8, 1, 3, 3), { pads: 1 }));
graph.output(gemm(flatten(globalAveragePool(hidden)), kernel("head", 8, 2)), "logits");
await using step = await compileStep({
  model: graph,
  loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", [16])),
  optimizer: adam(),
  device,
});
const losses: number[] = [];
for (let i = 0; i < 20; i++) {
  const labels = Array.from({ length: 16 }, () => random.int(2));
  const pixels = labels.flatMap((label) =>
    Array.from({ length: 64 }, (_, at) => (label === 0 ? at % 8 : Math.floor(at / 8)) % 2 + random.normal() * 0.1)
  );
  const batch = { x: tensor("float32", [16, 1, 8, 8], pixels), labels: tensor("int64", [16], labels) };
  losses.push((await step.run(batch, { learningRate: 0.02 })).loss);
}
console.log(JSON.stringify({ ok: losses.at(-1)! < losses[0]!, device, first: losses[0], last: losses.at(-1) }));
