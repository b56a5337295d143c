/**
 * The gradients of convolutions against central differences and, for each form of the weight gradient, against the sum that
 * defines it. ONNX Runtime has no convolution in double precision: cases run in float32. A convolution is linear in each of
 * x, w and bias, so that a central difference is exact for any step: with a step of 0.5 only rounding is left.
 */

import assert from "node:assert/strict";
import { conv, convTranspose, Graph, mul, reduceSum, type Tensor, tensor, toNumbers } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { AutodiffError } from "../errors.ts";
import { assertClose, checkGradients, type GradientCase, runGraph } from "../gradient_check.ts";
import { gradients } from "../mod.ts";
import { type Correlation, weightGradient, type WeightGradientForm } from "./weight_gradient.ts";

const LINEAR = { step: 0.5, tolerance: 2e-5 } as const;

function windows(random: Random, n: number) {
  const each = (draw: () => number) => Array.from({ length: n }, draw);
  return {
    kernel: each(() => 1 + random.int(3)),
    strides: each(() => 1 + random.int(3)),
    dilations: each(() => 1 + random.int(2)),
    pads: Array.from({ length: 2 * n }, () => random.int(3)),
  };
}

function convolutionCase(random: Random): GradientCase {
  const n = random.pick([1, 2, 2, 2, 3]);
  const { kernel, strides, dilations, pads } = windows(random, n);
  const group = random.pick([1, 1, 2, 3]), depthwise = group > 1 && random.chance(0.5);
  const inputs = group * (depthwise ? 1 : 1 + random.int(2)), outputs = group * (1 + random.int(2));
  const spatial = kernel.map((size, i) =>
    Math.max(1, (size - 1) * dilations[i]! + 1 - pads[i]! - pads[i + n]!) + random.int(4)
  );
  const batch = 1 + random.int(3);
  return {
    dtype: "float32",
    inputs: {
      x: {
        shape: [batch, inputs, ...spatial],
        ...(random.chance(0.3) ? { declared: ["N", inputs, ...spatial] } : {}),
      },
      w: { shape: [outputs, inputs / group, ...kernel] },
      ...(random.chance(0.5) ? { bias: { shape: [outputs] } } : {}),
    },
    build: ({ x, w, bias }) => conv(x!, w!, { strides, dilations, pads, group, ...(bias ? { bias } : {}) }),
  };
}

Deno.test("conv's gradients are the central differences for any stride, pads, dilation, groups and dimensions", async () => {
  await checkGradients(60, Random.seeded("conv"), convolutionCase, LINEAR);
});

Deno.test("conv's gradients are right where auto_pad chooses the pads", async () => {
  await checkGradients(12, Random.seeded("auto_pad"), (random, i) => {
    const strides = [1 + random.int(2), 1 + random.int(3)];
    return {
      dtype: "float32",
      inputs: {
        x: { shape: [2, 2, 4 + random.int(3), 4 + random.int(3)] },
        w: { shape: [3, 2, 2 + random.int(2), 3] },
      },
      build: ({ x, w }, graph) =>
        graph.node("Conv", [x, w], { auto_pad: ["SAME_UPPER", "SAME_LOWER", "VALID"][i % 3]!, strides })[0]!,
    };
  }, LINEAR);
});

Deno.test("pointwise, depthwise and strided pointwise convolutions, which have forms of their own, have right gradients", async () => {
  await checkGradients(18, Random.seeded("special"), (random, i) => {
    const depthwise = i % 3 === 1, strides = i % 3 === 2 ? 2 : 1;
    const channels = 2 + random.int(3), size = random.pick([3, 12]);
    const kernel = depthwise ? 3 : 1, group = depthwise ? channels : 1;
    return {
      dtype: "float32",
      inputs: {
        x: { shape: [2, channels, size, size + 1] },
        w: { shape: [depthwise ? channels : 5, channels / group, kernel, kernel] },
      },
      build: ({ x, w }) => conv(x!, w!, { strides, group, pads: depthwise ? random.int(2) : 0 }),
    };
  }, LINEAR);
});

Deno.test("convTranspose's gradients are the central differences, output padding and groups included", async () => {
  await checkGradients(40, Random.seeded("convTranspose"), (random) => {
    const n = random.pick([1, 2, 2, 3]);
    const { kernel, strides, dilations } = windows(random, n);
    const extents = kernel.map((size, i) => (size - 1) * dilations[i]! + 1);
    const pads = [...extents, ...extents].map((extent) => random.int(Math.min(3, extent)));
    const group = random.pick([1, 1, 2]);
    const outputPadding = strides.map((stride) => random.int(stride)); // ONNX Runtime wants less than the stride
    const inputs = group * (1 + random.int(2)), outputs = 1 + random.int(2);
    const spatial = kernel.map(() => 3 + random.int(3));
    return {
      dtype: "float32",
      inputs: {
        x: { shape: [1 + random.int(2), inputs, ...spatial] },
        w: { shape: [inputs, outputs, ...kernel] },
        ...(random.chance(0.5) ? { bias: { shape: [outputs * group] } } : {}),
      },
      build: ({ x, w, bias }) =>
        convTranspose(x!, w!, { strides, dilations, pads, group, outputPadding, ...(bias ? { bias } : {}) }),
    };
  }, LINEAR);
});

Deno.test("small maps of many channels, laid side by side, get the central differences whatever the window", async () => {
  await checkGradients(16, Random.seeded("side by side"), (random, i) => {
    const { kernel, strides, dilations, pads } = windows(random, 2);
    const spatial = kernel.map((size, a) =>
      Math.max(1, (size - 1) * dilations[a]! + 1 - pads[a]! - pads[a + 2]!) + random.int(5)
    );
    return {
      dtype: "float32",
      inputs: {
        x: { shape: [2 + random.int(2), 64, ...spatial], low: -0.2, high: 0.2 },
        w: { shape: [128, 64, ...kernel], low: -0.2, high: 0.2 },
      },
      build: ({ x, w }) => conv(x!, w!, { strides: i % 2 ? strides : 1, dilations, pads }),
    };
  }, { step: 0.1, tolerance: 2e-4 });
});

/** The definition, term by term in double precision. */
function definition(
  x: Tensor,
  g: Tensor,
  { kernel, strides, dilations, pads, group }: Omit<Correlation, "input" | "gradient">,
) {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const [, outputs, rows, columns] = g.shape as [number, number, number, number];
  const inputs = channels / group, each = outputs / group;
  const [kh, kw] = kernel as [number, number];
  const result = new Array<number>(outputs * inputs * kh * kw).fill(0);
  for (let m = 0; m < outputs; m++) {
    for (let c = 0; c < inputs; c++) {
      const channel = Math.floor(m / each) * inputs + c;
      for (let ky = 0; ky < kh; ky++) {
        for (let kx = 0; kx < kw; kx++) {
          let sum = 0;
          for (let n = 0; n < batch; n++) {
            for (let py = 0; py < rows; py++) {
              for (let px = 0; px < columns; px++) {
                const y = py * strides[0]! + ky * dilations[0]! - pads[0]!;
                const z = px * strides[1]! + kx * dilations[1]! - pads[1]!;
                if (y < 0 || z < 0 || y >= height || z >= width) continue;
                sum += Number(g.data[((n * outputs + m) * rows + py) * columns + px]) *
                  Number(x.data[((n * channels + channel) * height + y) * width + z]);
              }
            }
          }
          result[((m * inputs + c) * kh + ky) * kw + kx] = sum;
        }
      }
    }
  }
  return result;
}

const FORMS: readonly (readonly [WeightGradientForm, number, number, number])[] = [
  ["rows", 3, 4, 1],
  ["shifts", 3, 4, 1],
  ["shifts", 4, 6, 2],
  ["columns", 3, 4, 1],
  ["depthwise", 3, 3, 3],
];

for (const [form, channels, outputs, group] of FORMS) {
  Deno.test(`the form "${form}" of the weight gradient with ${group} group(s) is the defining sum, batch open or not`, async () => {
    const random = Random.seeded("weight gradient", form, group);
    for (let i = 0; i < 6; i++) {
      const window = {
        kernel: [1 + random.int(3), 1 + random.int(3)],
        strides: [1 + random.int(2), 1 + random.int(2)],
        dilations: [1, 1 + random.int(2)],
        pads: [random.int(2), random.int(2), random.int(2), random.int(2)],
        group,
      };
      const places = [2 + random.int(3), 2 + random.int(3)];
      const spatial = places.map((count, a) =>
        window.strides[a]! * (count - 1) + (window.kernel[a]! - 1) * window.dilations[a]! + 1 - window.pads[a]! -
        window.pads[a + 2]! + random.int(window.strides[a]!)
      ).map((size) => Math.max(1, size));
      const counts = spatial.map((size, a) =>
        Math.floor(
          (size + window.pads[a]! + window.pads[a + 2]! - (window.kernel[a]! - 1) * window.dilations[a]! - 1) /
            window.strides[a]!,
        ) + 1
      );
      if (counts.some((count) => count < 1)) continue;
      const draw = (shape: number[]) =>
        tensor("float32", shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()));
      const x = draw([2, channels, ...spatial]), g = draw([2, outputs, ...counts]);
      const graph = new Graph();
      const input = graph.input("x", "float32", [i % 2 ? "N" : 2, channels, ...spatial]);
      const gradient = graph.input("g", "float32", [i % 2 ? "N" : 2, outputs, ...counts]);
      const fail = (message: string) => new AutodiffError(message);
      graph.output(weightGradient({ fail }, { input, gradient, ...window }, form), "dw");
      const { dw } = await runGraph(graph, { x, g });
      assert.deepEqual(dw!.shape, [outputs, channels / group, ...window.kernel]);
      assertClose(toNumbers(dw!), definition(x, g, window), 1e-5, `case ${i}`);
    }
  });
}

Deno.test("many weights on large maps: a Conv on turned weights gives what ONNX Runtime's ConvTranspose gives", async () => {
  const random = Random.seeded("turned"), x = [9, 192, 12, 12], w = [192, 192, 3, 3];
  const draw = (shape: number[]) =>
    tensor("float32", shape, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()));
  const graph = new Graph();
  const images = graph.input("x", "float32", x), weights = graph.input("w", "float32", w);
  const seed = graph.input("g", "float32", x);
  const loss = reduceSum(mul(conv(images, weights, { pads: 1 }), seed));
  const before = graph.nodes.length;
  graph.output(gradients(loss, [images])[0]!, "dx");
  assert.ok(!graph.nodes.slice(before).some(({ opType }) => opType === "ConvTranspose"), "the weights are turned");
  graph.output(convTranspose(seed, weights, { pads: 1 }), "expected");
  const { dx, expected } = await runGraph(graph, { x: draw(x), w: draw(w), g: draw(x) });
  assertClose(toNumbers(dx!), toNumbers(expected!), 1e-4);
});

Deno.test("a strided convolution's rows are copied only where the whole batch's fit into 200 MB", () => {
  const copies = (batch: number | "N") => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [batch, 32, 416, 416]);
    const w = graph.parameter("w", { shape: [8, 32, 3, 3], init: () => new Float32Array(8 * 32 * 9) });
    gradients(reduceSum(conv(x, w, { strides: 2, pads: 1 })), [w]);
    return graph.nodes.some(({ opType }) => opType === "Gather");
  };
  // 9 taps at 208² places of 32 channels are 50 MB an example.
  assert.deepEqual([2, 4, 5, 16, "N" as const].map(copies), [true, true, false, false, false]);
});

Deno.test("no operator is spent on the gradient of the images, only on that of the weights", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2, 3, 8, 8]);
  const w = graph.parameter("w", {
    shape: [4, 3, 3, 3],
    init: (shape) => new Array(shape.reduce((a, b) => a * b)).fill(0.1),
  });
  const y = conv(x, w, { pads: 1 });
  const loss = graph.node("ReduceSum", [graph.node("Mul", [y, y])[0]], { keepdims: 0 })[0]!;
  gradients(loss, [w]);
  assert.equal(graph.nodes.filter(({ opType }) => opType === "ConvTranspose" || opType === "Conv").length, 1);
});

Deno.test("open spatial sizes are refused with the operator's name and the sizes found", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [1, 2, "H", "W"]);
  const w = graph.parameter("w", { shape: [1, 2, 3, 3], init: () => new Array(18).fill(1) });
  const loss = graph.node("ReduceSum", [conv(x, w, { name: "stem" })], { keepdims: 0 })[0]!;
  assert.throws(
    () => gradients(loss, [w]),
    /gradient of Conv "stem": expected sizes that are known.*"x" \[1, 2, H, W\]/,
  );
});
