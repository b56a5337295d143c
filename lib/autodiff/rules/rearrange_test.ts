/** The gradients of Resize, Pad, DepthToSpace and SpaceToDepth, linear maps all, against central differences. */

import assert from "node:assert/strict";
import { depthToSpace, Graph, pad, reduceSum, resize, spaceToDepth } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { checkGradients } from "../gradient_check.ts";
import { gradients } from "../mod.ts";

/** Linear maps: a central difference is exact for any step. */
const LINEAR = { step: 0.5, tolerance: 2e-5 } as const;

for (const mode of ["nearest", "linear", "cubic"] as const) {
  for (const coordinates of ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"] as const) {
    Deno.test(`resize's gradient is the central difference: ${mode}, ${coordinates}, by scales and by sizes`, async () => {
      await checkGradients(10, Random.seeded("resize", mode, coordinates), (random, i) => {
        const shape = [2, 2, 2 + random.int(4), 2 + random.int(4)];
        const scales = [1, 1, random.pick([0.5, 1, 2, 3, 1.5, 2.6]), random.pick([0.6, 1, 2, 3, 2.4])];
        const nearest = random.pick(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] as const);
        const sizes = shape.map((size, axis) => axis < 2 ? size : 1 + random.int(9));
        return {
          dtype: "float32",
          inputs: { x: { shape, ...(i % 3 === 0 ? { declared: ["N", ...shape.slice(1)] } : {}) } },
          build: ({ x }) =>
            resize(x!, { mode, coordinates, nearest, ...(i % 2 || i % 3 === 0 ? { scales } : { sizes }) }),
        };
      }, LINEAR);
    });
  }
}

Deno.test("enlarging by whole factors takes one pooling as its gradient, no product of matrices", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["N", 3, 4, 4]);
  gradients(
    reduceSum(graph.node("Mul", [x, resize(resize(x, { scales: [1, 1, 2, 2] }), { scales: [1, 1, 0.5, 0.5] })])[0]!),
    [x],
  );
  const types = graph.nodes.map(({ opType }) => opType);
  assert.ok(types.includes("AveragePool"));
});

for (const mode of ["constant", "reflect", "edge"] as const) {
  Deno.test(`pad's gradient is the central difference: ${mode}, negative pads too where they make sense`, async () => {
    await checkGradients(20, Random.seeded("pad", mode), (random) => {
      const shape = Array.from({ length: 1 + random.int(4) }, () => 3 + random.int(3));
      const pads = [...shape, ...shape].map(() => mode === "constant" ? random.int(4) - 1 : random.int(3));
      return {
        dtype: "float32",
        inputs: { x: { shape }, ...(mode === "constant" ? { value: { shape: [] } } : {}) },
        build: ({ x, value }) => pad(x!, pads, { mode, ...(value ? { value } : {}) }),
      };
    }, LINEAR);
  });
}

Deno.test("depthToSpace in both orders and spaceToDepth have the central differences as their gradients", async () => {
  await checkGradients(15, Random.seeded("depth"), (random, i) => {
    const block = 1 + random.int(3), [c, h, w] = [1 + random.int(2), 1 + random.int(3), 1 + random.int(3)];
    const deep = [2, c * block * block, h, w], wide = [2, c, h * block, w * block];
    return {
      dtype: "float32",
      inputs: { x: { shape: i % 3 === 2 ? wide : deep } },
      build: ({ x }) =>
        i % 3 === 2 ? spaceToDepth(x!, block) : depthToSpace(x!, block, { mode: i % 3 ? "CRD" : "DCR" }),
    };
  }, LINEAR);
});
