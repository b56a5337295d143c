/** The gradients of operators that move elements, against central differences in double precision. */

import {
  concat,
  expand,
  flatten,
  mul,
  reshape,
  slice,
  split,
  squeeze,
  tile,
  transpose,
  trilu,
  unsqueeze,
} from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { broadcastable, checkGradients, type GradientCase, randomShape } from "../gradient_check.ts";

/** Checks many cases of a function of x whose gradient must be right; the square makes it depend on the place. */
async function check(label: string, make: (random: Random, index: number) => GradientCase): Promise<void> {
  await checkGradients(18, Random.seeded("layout", label), make);
}

Deno.test("reshape, flatten, squeeze and unsqueeze give back the gradient in the old shape", async () => {
  await check("reshape", (random, i) => {
    const shape = randomShape(random, 3), axis = random.int(4);
    return {
      inputs: { x: { shape: i % 4 === 2 ? [2, 1, 3, 1] : shape } },
      build: ({ x }) => {
        const y = mul(x!, x!);
        if (i % 4 === 0) return reshape(y, [shape[0]! * shape[1]!, -1]);
        if (i % 4 === 1) return flatten(y, { axis });
        if (i % 4 === 2) return squeeze(y, random.chance(0.5) ? [1] : undefined);
        return unsqueeze(y, [axis, -1]);
      },
    };
  });
});

Deno.test("reshape over a symbolic batch gives back the gradient", async () => {
  await check("symbolic reshape", (random) => ({
    inputs: { x: { shape: [1 + random.int(3), 2, 3], declared: ["N", 2, 3] } },
    build: ({ x }) => reshape(mul(x!, x!), [-1, 3]),
  }));
});

Deno.test("transpose's gradient is transposed back for every order of the axes", async () => {
  await check("transpose", (random) => {
    const rank = 1 + random.int(4);
    const order = random.shuffle(Array.from({ length: rank }, (_, i) => i));
    return {
      inputs: { x: { shape: randomShape(random, rank) } },
      build: ({ x }) => transpose(mul(x!, x!), random.chance(0.2) ? undefined : order),
    };
  });
});

Deno.test("expand's gradient is summed over the axes that it put in", async () => {
  await check("expand", (random) => {
    const shape = randomShape(random, 3);
    return {
      inputs: { x: { shape: broadcastable(random, shape) } },
      build: ({ x }) => expand(mul(x!, x!), shape),
    };
  });
});

Deno.test("concat gives each input its own part of the gradient, also when only some need one", async () => {
  await check("concat", (random) => {
    const rank = 1 + random.int(3), axis = random.int(rank);
    const shape = randomShape(random, rank);
    const input = () => ({
      shape: shape.map((size, i) => i === axis ? random.int(4) : size),
      differentiate: random.chance(0.7),
    });
    return {
      inputs: { a: { ...input(), differentiate: true }, b: input(), c: input() },
      build: ({ a, b, c }) => {
        const joined = concat([a!, b!, c!, a!], random.chance(0.5) ? axis : axis - rank);
        return mul(joined, joined);
      },
    };
  });
});

Deno.test("split joins the parts' gradients, with zeros for parts that nobody used", async () => {
  await check("split", (random) => {
    const rank = 1 + random.int(3), axis = random.int(rank);
    const sizes = [1 + random.int(3), 1 + random.int(3), 1 + random.int(3)];
    const shape = randomShape(random, rank).map((size, i) => i === axis ? sizes[0]! + sizes[1]! + sizes[2]! : size);
    return {
      inputs: { x: { shape } },
      build: ({ x }) => {
        const parts = split(mul(x!, x!), sizes, { axis });
        return parts.slice(0, 1 + random.int(3)).reverse();
      },
    };
  });
});

Deno.test("slice's gradient is the central difference for any starts, ends and steps, backwards too", async () => {
  await checkGradients(48, Random.seeded("slice"), (random) => {
    const rank = 1 + random.int(3);
    const shape = randomShape(random, rank, 1, 7);
    const axes = Array.from({ length: rank }, (_, i) => i).filter(() => random.chance(0.7));
    if (axes.length === 0) axes.push(0);
    const steps = axes.map(() => random.pick([1, 1, 2, 3, -1, -2, -3]));
    const starts = axes.map((axis) => random.int(2 * shape[axis]! + 3) - shape[axis]! - 1);
    const ends = axes.map((axis) =>
      random.chance(0.4) ? undefined : random.int(2 * shape[axis]! + 3) - shape[axis]! - 1
    );
    return {
      inputs: { x: { shape } },
      build: ({ x }) => slice(mul(x!, x!), starts, ends, { axes, steps }),
    };
  });
});

Deno.test("slice leaves a symbolic batch alone", async () => {
  await check("symbolic slice", (random) => ({
    inputs: { x: { shape: [1 + random.int(3), 7], declared: ["N", 7] } },
    build: ({ x }) => slice(mul(x!, x!), [1 + random.int(3)], [undefined], { axes: [1], steps: [1 + random.int(3)] }),
  }));
});

Deno.test("tile's gradient is summed over the repetitions", async () => {
  await check("tile", (random) => {
    const rank = 1 + random.int(3);
    return {
      inputs: { x: { shape: randomShape(random, rank) } },
      build: ({ x }) => tile(mul(x!, x!), Array.from({ length: rank }, () => 1 + random.int(3))),
    };
  });
});

Deno.test("trilu's gradient is the same triangle", async () => {
  await check("trilu", (random) => ({
    inputs: { x: { shape: randomShape(random, 2 + random.int(2), 2, 5) } },
    build: ({ x }) => trilu(mul(x!, x!), { upper: random.chance(0.5), k: random.int(5) - 2 }),
  }));
});
