/** The gradients of the rectifiers against central differences in double precision, away from their kink. */

import { leakyRelu, pRelu, relu } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { broadcastable, checkGradients, randomShape } from "../gradient_check.ts";

/** Elements at least 0.05 from 0, on both sides. */
const sample = (random: Random) => (random.chance(0.5) ? 1 : -1) * random.uniform(0.05, 2);

Deno.test("relu's and leakyRelu's gradients are the central differences, slopes above 1 and below 0 included", async () => {
  await checkGradients(24, Random.seeded("rectifiers"), (random, i) => ({
    ...(i % 2 ? { dtype: "float32" as const } : {}),
    inputs: { x: { shape: randomShape(random, 1 + random.int(4)), sample } },
    build: ({ x }) => i % 4 === 0 ? relu(x!) : leakyRelu(x!, { alpha: random.pick([0, 0.1, 0.5, 1.5, -0.3]) }),
  }), { tolerance: 1e-4 });
});

Deno.test("pRelu's gradients are the central differences for slopes of every shape that broadcasts", async () => {
  await checkGradients(18, Random.seeded("pRelu"), (random) => {
    const shape = randomShape(random, 3);
    return {
      inputs: { x: { shape, sample }, slope: { shape: broadcastable(random, shape) } },
      build: ({ x, slope }) => pRelu(x!, slope!),
    };
  });
});
