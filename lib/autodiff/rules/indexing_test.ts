/** The gradients of picking and putting by index, against central differences and closed forms. */

import assert from "node:assert/strict";
import {
  elementCount,
  gather,
  gatherElements,
  gatherND,
  Graph,
  mul,
  reduceSum,
  scatterElements,
  scatterND,
  tensor,
  toNumbers,
} from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { checkGradients, randomShape, runGraph } from "../gradient_check.ts";
import { gradients } from "../mod.ts";

/** Random indices −size … size − 1, with repeats. */
function indices(random: Random, shape: readonly number[], size: number): number[] {
  return Array.from({ length: elementCount(shape) }, () => random.int(2 * size) - size);
}

Deno.test("gather's gradient adds up at repeated and negative indices, on every axis", async () => {
  await checkGradients(24, Random.seeded("gather"), (random) => {
    const rank = 1 + random.int(3), axis = random.int(rank);
    const shape = randomShape(random, rank), picked = randomShape(random, random.int(3));
    return {
      inputs: {
        x: { shape },
        i: { dtype: random.pick(["int64", "int32"]), shape: picked, data: indices(random, picked, shape[axis]!) },
      },
      build: ({ x, i }) => gather(mul(x!, x!), i!, { axis }),
    };
  });
});

Deno.test("gather at one known index has a gradient without scatter", async () => {
  await checkGradients(12, Random.seeded("known index"), (random) => {
    const shape = randomShape(random, 3), axis = random.int(3);
    const at = random.int(2 * shape[axis]!) - shape[axis]!;
    return {
      inputs: { x: { shape } },
      build: ({ x }, graph) => {
        const index = graph.constant([at], { dtype: "int64", shape: random.chance(0.5) ? [] : [1] });
        return gather(mul(x!, x!), index, { axis });
      },
    };
  });
});

Deno.test("gatherElements' gradient adds up at repeated indices", async () => {
  await checkGradients(18, Random.seeded("gatherElements"), (random) => {
    const rank = 1 + random.int(3), axis = random.int(rank);
    const shape = randomShape(random, rank);
    const picked = shape.map((size, i) => i === axis ? 1 + random.int(5) : 1 + random.int(size));
    return {
      inputs: { x: { shape }, i: { dtype: "int64", shape: picked, data: indices(random, picked, shape[axis]!) } },
      build: ({ x, i }) => gatherElements(mul(x!, x!), i!, { axis }),
    };
  });
});

Deno.test("gatherND's gradient adds up at repeated tuples, with batch dimensions too", async () => {
  await checkGradients(24, Random.seeded("gatherND"), (random) => {
    const batchDims = random.int(2);
    const shape = randomShape(random, 2 + random.int(2) + batchDims, 1, 4);
    const depth = 1 + random.int(shape.length - batchDims);
    const leading = [...shape.slice(0, batchDims), ...randomShape(random, random.int(3))];
    const data = Array.from({ length: elementCount(leading) }, () =>
      Array.from({ length: depth }, (_, k) => {
        const size = shape[batchDims + k]!;
        return random.int(2 * size) - size;
      })).flat();
    return {
      inputs: { x: { shape }, i: { dtype: "int64", shape: [...leading, depth], data } },
      build: ({ x, i }) => gatherND(mul(x!, x!), i!, { batchDims }),
    };
  });
});

Deno.test("gatherND's gradient where sizes are open until the graph runs", async () => {
  await checkGradients(24, Random.seeded("gatherND open"), (random) => {
    const batchDims = random.int(3);
    const shape = randomShape(random, 2 + random.int(2) + batchDims, 1, 4);
    const depth = 1 + random.int(shape.length - batchDims);
    const leading = [...shape.slice(0, batchDims), ...randomShape(random, random.int(3))];
    const data = Array.from({ length: elementCount(leading) }, () =>
      Array.from({ length: depth }, (_, k) => {
        const size = shape[batchDims + k]!;
        return random.int(2 * size) - size;
      })).flat();
    const named = (sizes: readonly number[], name: string) =>
      sizes.map((size, i) => i < batchDims ? `B${i}` : random.chance(0.5) ? `${name}${i}` : size);
    return {
      inputs: {
        x: { shape, declared: named(shape, "X") },
        i: { dtype: "int64", shape: [...leading, depth], data, declared: [...named(leading, "I"), depth] },
      },
      build: ({ x, i }) => gatherND(mul(x!, x!), i!, { batchDims }),
    };
  });
});

for (const reduction of ["none", "add"] as const) {
  Deno.test(`scatterElements' gradients are the central differences with reduction ${reduction}`, async () => {
    await checkGradients(15, Random.seeded("scatterElements", reduction), (random) => {
      const rank = 1 + random.int(3), axis = random.int(rank);
      const shape = randomShape(random, rank, 1, 4);
      const picked = shape.map((size, i) => i === axis ? 1 + random.int(size) : size);
      // Each line along the axis has its own order of different indices: which of two updates stays is not defined.
      const data = new Array<number>(elementCount(picked)).fill(0);
      const inner = elementCount(picked.slice(axis + 1)), count = picked[axis]!;
      for (let line = 0; line < data.length / count; line++) {
        const order = random.shuffle(Array.from({ length: shape[axis]! }, (_, i) => i));
        const start = Math.floor(line / inner) * inner * count + line % inner;
        for (let i = 0; i < count; i++) data[start + i * inner] = order[i]!;
      }
      return {
        inputs: { x: { shape }, i: { dtype: "int64", shape: picked, data }, updates: { shape: picked } },
        build: ({ x, i, updates }) => {
          const y = scatterElements(x!, i!, updates!, { axis, ...(reduction === "add" ? { reduction } : {}) });
          return mul(y, y);
        },
      };
    });
  });

  Deno.test(`scatterND's gradients are the central differences with reduction ${reduction}`, async () => {
    await checkGradients(15, Random.seeded("scatterND", reduction), (random) => {
      const shape = randomShape(random, 1 + random.int(3), 1, 4);
      const depth = 1 + random.int(shape.length);
      const all = elementCount(shape.slice(0, depth));
      const rows = random.shuffle(Array.from({ length: all }, (_, i) => i)).slice(0, 1 + random.int(all));
      const data = rows.flatMap((row) => {
        const tuple: number[] = [];
        for (let k = depth - 1, left = row; k >= 0; left = Math.floor(left / shape[k]!), k--) {
          tuple.unshift(left % shape[k]!);
        }
        return tuple;
      });
      return {
        inputs: {
          x: { shape },
          i: { dtype: "int64", shape: [rows.length, depth], data },
          updates: { shape: [rows.length, ...shape.slice(depth)] },
        },
        build: ({ x, i, updates }) => {
          const y = scatterND(x!, i!, updates!, reduction === "add" ? { reduction } : {});
          return mul(y, y);
        },
      };
    });
  });
}

Deno.test("an embedding's gradient counts every one of many repeated indices, on several threads", async () => {
  const rows = 7, width = 64, count = 4096;
  const graph = new Graph();
  const table = graph.input("table", "float32", [rows, width]), i = graph.input("i", "int64", [count]);
  const [gradient] = gradients(reduceSum(gather(table, i)), [table]);
  graph.output(gradient!, "gradient");
  const random = Random.seeded("embedding");
  const picked = Array.from({ length: count }, () => random.int(rows));
  const feeds = {
    table: tensor("float32", [rows, width], new Float32Array(rows * width)),
    i: tensor("int64", [count], picked),
  };
  const found = toNumbers((await runGraph(graph, feeds, { threads: 2 })).gradient!);
  const counts = Array.from({ length: rows }, (_, row) => picked.filter((index) => index === row).length);
  assert.deepEqual(found, counts.flatMap((times) => new Array<number>(width).fill(times)));
});
