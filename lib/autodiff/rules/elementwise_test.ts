/** The gradients of elementwise functions against central differences. */

import assert from "node:assert/strict";
import {
  abs,
  atan,
  cast,
  ceil,
  clip,
  cos,
  erf,
  exp,
  floor,
  greater,
  identity,
  log,
  max,
  min,
  mod,
  mul,
  pow,
  reciprocal,
  round,
  sign,
  sin,
  sqrt,
  type Value,
  where,
} from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import {
  broadcastable,
  type CheckedInput,
  checkGradients,
  compileCase,
  type GradientCase,
  randomShape,
} from "../gradient_check.ts";

/** At least 0.2 away from 0 on both sides: for functions with a kink or a pole there. */
const AWAY_FROM_ZERO: Partial<CheckedInput> = {
  sample: (random) => (random.chance(0.5) ? 1 : -1) * random.uniform(0.2, 2),
};
const POSITIVE: Partial<CheckedInput> = { low: 0.3, high: 3 };
const UNIT: Partial<CheckedInput> = { low: -0.8, high: 0.8 };
const byName = (opType: string) => (x: Value): Value => x.graph.node(opType, [x])[0]!;

/** The function, where its elements lie, and the type in which ONNX Runtime's CPU provider has it. */
const FUNCTIONS: Readonly<Record<string, [(x: Value) => Value, Partial<CheckedInput>, "float32"?]>> = {
  sqrt: [sqrt, POSITIVE],
  reciprocal: [reciprocal, AWAY_FROM_ZERO],
  exp: [exp, {}],
  log: [log, POSITIVE],
  abs: [abs, AWAY_FROM_ZERO],
  erf: [erf, {}, "float32"],
  sin: [sin, {}],
  cos: [cos, {}],
  tan: [byName("Tan"), UNIT, "float32"],
  asin: [byName("Asin"), UNIT, "float32"],
  acos: [byName("Acos"), UNIT, "float32"],
  atan: [atan, {}, "float32"],
  sinh: [byName("Sinh"), {}, "float32"],
  cosh: [byName("Cosh"), {}, "float32"],
  asinh: [byName("Asinh"), {}, "float32"],
  acosh: [byName("Acosh"), { low: 1.3, high: 4 }, "float32"],
  atanh: [byName("Atanh"), UNIT, "float32"],
  identity: [identity, {}],
  "pow 0.5": [(x) => pow(x, 0.5), POSITIVE],
  "pow 2": [(x) => pow(x, 2), {}],
  "pow 3": [(x) => pow(x, 3), {}],
  "pow −1": [(x) => pow(x, -1), AWAY_FROM_ZERO],
  "pow 1": [(x) => pow(x, 1), {}],
  "pow 1.7": [(x) => pow(x, 1.7), POSITIVE],
  clip: [(x) => clip(x, -1, 0.5), {
    sample: (random) => random.pick([-1.5, -0.6, 0, 0.3, 1]) + random.uniform(-0.1, 0.1),
  }],
  "clip above": [(x) => clip(x, undefined, 0.5), {
    sample: (random) => random.pick([0, 1]) + random.uniform(-0.3, 0.3),
  }],
};

for (const [name, [apply, elements, dtype]] of Object.entries(FUNCTIONS)) {
  Deno.test(`the gradient of ${name} is the central difference`, async () => {
    await checkGradients(6, Random.seeded("elementwise", name), (random) => ({
      ...(dtype ? { dtype } : {}),
      inputs: { x: { shape: randomShape(random, random.int(4)), ...elements } },
      build: ({ x }) => apply(x!),
    }));
  });
}

Deno.test("pow's gradients are the central differences for base and exponent that broadcast", async () => {
  await checkGradients(15, Random.seeded("pow"), (random) => {
    const shape = randomShape(random, random.int(4));
    return {
      inputs: { a: { shape: broadcastable(random, shape), ...POSITIVE }, b: { shape: broadcastable(random, shape) } },
      build: ({ a, b }) => pow(a!, b!),
    };
  });
});

Deno.test("pow's gradient at base 0 and exponent 0 is 0, at exponent 1 it is 1", async () => {
  const found = await gradientsOf({
    inputs: { a: { shape: [3], data: [0, 0, 0] }, b: { shape: [3], data: [0, 1, 2] } },
    build: ({ a, b }) => pow(a!, b!),
  });
  assert.deepEqual(found, { a: [0, 1, 0], b: [0, 0, 0] });
});

Deno.test("the gradients of min and max over several operands are the central differences", async () => {
  await checkGradients(18, Random.seeded("min and max"), (random, i) => {
    const shape = randomShape(random, 3);
    const names = ["a", "b", "c", "d"].slice(0, 1 + random.int(4));
    // A distance of 0.3 between the operands keeps all pairs clear of ties.
    const inputs = names.map((name, k) => [name, {
      shape: k === 0 ? shape : broadcastable(random, shape),
      sample: (source: Random) => random.int(6) * 1.2 + 0.3 * k + source.uniform(0, 0.1),
    }]);
    return {
      inputs: Object.fromEntries(inputs) as GradientCase["inputs"],
      build: (values) => (i % 2 ? min : max)(names.map((name) => values[name]!)),
    };
  });
});

Deno.test("equal operands of max share the gradient, as in PyTorch", async () => {
  const found = await gradientsOf({
    inputs: { a: { shape: [3], data: [1, 2, 3] }, b: { shape: [3], data: [1, 3, 2] } },
    build: ({ a, b }) => max([a!, b!]),
  });
  assert.deepEqual(found, { a: [0.5, 0, 1], b: [0.5, 1, 0] });
});

Deno.test("clip passes the gradient within its bounds and on them; bounds get what they replaced", async () => {
  const found = await gradientsOf({
    inputs: {
      x: { shape: [5], data: [-2, -1, 0, 1, 2] },
      low: { shape: [], data: [-1] },
      high: { shape: [], data: [1] },
    },
    build: ({ x, low, high }) => clip(x!, low!, high!),
  });
  assert.deepEqual(found, { x: [0, 1, 1, 1, 0], low: [1], high: [1] });
});

Deno.test("where's gradients are the central differences, whatever broadcasts", async () => {
  await checkGradients(15, Random.seeded("where"), (random) => {
    const shape = randomShape(random, 3), condition = broadcastable(random, shape);
    const count = condition.reduce((product, size) => product * size, 1);
    return {
      inputs: {
        condition: { dtype: "bool", shape: condition, data: Array.from({ length: count }, () => random.int(2)) },
        a: { shape: broadcastable(random, shape) },
        b: { shape: broadcastable(random, shape) },
      },
      build: ({ condition, a, b }) => where(condition!, a!, b!),
    };
  });
});

Deno.test("where on a condition that depends on its own operand differentiates the branches only", async () => {
  const found = await gradientsOf({
    inputs: { x: { shape: [3], data: [-1, 0.5, 2] } },
    build: ({ x }) => where(greater(x!, 0), mul(x!, x!), mul(x!, 3)),
  });
  assert.deepEqual(found, { x: [3, 1, 4] });
});

Deno.test("no gradient flows through floor, ceil, round and sign", async () => {
  const steps = { floor: [-2, 0, 2], ceil: [-1, 1, 3], round: [-2, 0, 3], sign: [-1, 1, 1] } as const;
  const functions = { floor, ceil, round, sign };
  for (const [name, values] of Object.entries(steps)) {
    const found = await gradientsOf({
      inputs: { x: { shape: [3], data: [-1.5, 0.2, 2.7] } },
      build: ({ x }) => mul(x!, functions[name as keyof typeof functions](x!)),
    });
    assert.deepEqual(found.x, values, name);
  }
});

Deno.test("mod passes the gradient to the dividend, and minus the whole quotient to the divisor", async () => {
  const found = await gradientsOf({
    dtype: "float32",
    inputs: { a: { shape: [3], data: [5.5, -5.5, 1] }, b: { shape: [3], data: [2, 2, 3] } },
    build: ({ a, b }) => mod(a!, b!, { fmod: true }),
  });
  assert.deepEqual(found, { a: [1, 1, 1], b: [-2, 2, 0] });
});

Deno.test("cast between floating-point types passes the gradient in the input's own type", async () => {
  await checkGradients(3, Random.seeded("cast"), () => ({
    inputs: { x: { shape: [2, 3], dtype: "float64" } },
    build: ({ x }) => cast(mul(cast(x!, "float32"), 3), "float64"),
  }), { step: 1e-2, tolerance: 1e-3 }); // the function itself is rounded to float32
});

async function gradientsOf(gradientCase: GradientCase): Promise<Record<string, readonly number[]>> {
  const compiled = await compileCase(gradientCase, { random: Random.seeded("once"), weighting: "uniform" });
  try {
    const { gradients } = await compiled.run();
    return Object.fromEntries(Object.entries(gradients).map(([name, of]) => [name, of.map((g) => g + 0)]));
  } finally {
    await compiled.release();
  }
}
