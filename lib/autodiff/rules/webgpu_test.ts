/**
 * The forms of rules for webgpu on that device, every node of forward and backward there (`strict`), against the CPU's forms.
 * Channels are multiples of 4: ONNX Runtime 1.30's webgpu convolves 6 channels to 4 or 8 wrongly (5, 7, 10 and 12 are right).
 * Needs a Vulkan driver: SwiftShader as Debian's chromium brings it; left out where it is not installed.
 */

import {
  averagePool,
  batchNormalization,
  conv,
  globalMaxPool,
  Graph,
  leakyRelu,
  maxPool,
  mul,
  reduceSum,
  relu,
  resize,
  tensor,
  toModel,
  toNumbers,
  type Value,
} from "../../onnx/mod.ts";
import { type Device, openSession, Random } from "../../runtime/mod.ts";
import { assertClose } from "../gradient_check.ts";
import { gradients } from "../mod.ts";

const DRIVER = "/usr/lib/chromium/vk_swiftshader_icd.json";

function driverThere(): boolean {
  try {
    return Deno.statSync(DRIVER).isFile;
  } catch {
    return false;
  }
}

/** Gradients of a network of convolutions, overlapping and tiling pools, normalisation and enlargement. */
async function gradientsOn(device: Device): Promise<Record<string, number[]>> {
  const random = Random.seeded("webgpu");
  const graph = new Graph();
  const weight = (name: string, shape: number[]) =>
    graph.parameter(name, {
      shape,
      init: () => Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal() * 0.4),
    });
  const channel = (name: string) =>
    graph.parameter(name, { shape: [8], init: () => [1, -1, 0.5, 2, 0.3, 1.2, -0.7, 0.1] });
  const wrt: Value[] = [
    weight("w0", [8, 3, 3, 3]),
    weight("w1", [8, 8, 3, 3]),
    weight("w2", [4, 8, 1, 1]),
    channel("scale"),
  ];
  const x = graph.input("x", "float32", [2, 3, 16, 16]);
  const statistics = [0, 1].map((content) =>
    graph.constant(tensor("float32", [8], new Array(8).fill(content)), { name: "s" })
  );
  const first = conv(x, wrt[0]!, { pads: 1 });
  const normal = batchNormalization(first, wrt[3]!, statistics[0]!, statistics[0]!, statistics[1]!);
  const second = conv(maxPool(leakyRelu(normal, { alpha: 0.1 }), 3, { strides: 2, pads: 1 }), wrt[1]!, { pads: 1 });
  const third = conv(maxPool(relu(second), 2, { strides: 2 }), wrt[2]!);
  const wide = resize(averagePool(third, 2, { strides: 2 }), {
    scales: [1, 1, 2, 2],
    coordinates: "asymmetric",
    nearest: "floor",
  });
  const loss = reduceSum(mul(mul(wide, wide), globalMaxPool(third)));
  gradients(loss, wrt, { device }).forEach((gradient, i) => graph.output(gradient, wrt[i]!.name + " gradient"));
  await using session = await openSession(toModel(graph), { device, strict: device === "webgpu" });
  const images = tensor("float32", [2, 3, 16, 16], Array.from({ length: 1536 }, () => random.normal()));
  const results = await session.run({ x: images });
  return Object.fromEntries(Object.entries(results).map(([name, found]) => [name, toNumbers(found)]));
}

Deno.test({
  name: "on webgpu every node of the backward pass runs, and the gradients are the CPU's",
  ignore: !driverThere(),
  // Dawn keeps its threads.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    Deno.env.set("VK_DRIVER_FILES", DRIVER);
    if (!Deno.env.get("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
    const expected = await gradientsOn("cpu");
    const found = await gradientsOn("webgpu");
    for (const [name, numbers] of Object.entries(expected)) {
      const largest = Math.max(...numbers.map(Math.abs));
      assertClose(found[name]!.map((g) => g / largest), numbers.map((g) => g / largest), 1e-4, name);
    }
  },
});
