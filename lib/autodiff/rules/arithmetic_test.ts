/** The gradients of the four operations against central differences in double precision. */

import { add, div, mean, mul, neg, sub, sum } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { broadcastable, checkGradients, randomShape } from "../gradient_check.ts";

for (const [name, operation] of Object.entries({ add, sub, mul, div })) {
  Deno.test(`${name}'s gradients are the central differences, whatever broadcasts`, async () => {
    await checkGradients(24, Random.seeded("arithmetic", name), (random) => {
      const shape = randomShape(random, random.int(5));
      return {
        inputs: {
          a: { shape: broadcastable(random, shape) },
          b: { shape: broadcastable(random, shape), low: 0.5, high: 2 },
        },
        build: ({ a, b }) => operation(a!, b!),
      };
    });
  });
}

Deno.test("a value that is used twice gets the sum of both gradients", async () => {
  await checkGradients(6, Random.seeded("fan-out"), (random) => ({
    inputs: { a: { shape: randomShape(random, 2), low: 0.5 } },
    build: ({ a }) => div(mul(a!, neg(a!)), add(a!, 3)),
  }));
});

Deno.test("sum and mean of several operands pass the gradient to each", async () => {
  await checkGradients(12, Random.seeded("n-ary"), (random, i) => {
    const shape = randomShape(random, 3);
    return {
      dtype: "float32", // ONNX Runtime has no float64 kernel for Mean
      inputs: { a: { shape }, b: { shape: broadcastable(random, shape) }, c: { shape: broadcastable(random, shape) } },
      build: ({ a, b, c }) => (i % 2 ? sum : mean)([a!, b!, c!]),
    };
  });
});
