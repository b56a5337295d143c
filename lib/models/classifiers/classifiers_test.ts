/** The classifiers against closed forms of their papers' tables, and whether they learn. */

import assert from "node:assert/strict";
import { assertValid } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import {
  c2fNet,
  type ClassifierNetwork,
  type ClassifierOptions,
  efficientNet,
  mobileNet,
  ModelError,
  residualNet,
} from "../mod.ts";

type Build = (options: ClassifierOptions) => ClassifierNetwork;
const networks: Record<string, Build> = { residualNet, mobileNet, efficientNet, c2fNet };
const fresh = { random: "zeros" as const, size: 64, classes: 1025 };

/** Trained numbers of a normalised convolution: weights, scale and shift. */
const conv = (inputs: number, filters: number, size: number, groups = 1) =>
  inputs / groups * filters * size * size + 2 * filters;
const last = (inputs: number, classes: number) => (inputs + 1) * classes;

const trained = ({ graph }: ClassifierNetwork) =>
  graph.parameters.reduce((sum, { tensor }) => sum + tensor!.data.length, 0);

Deno.test("the residual network has the weights of its table", () => {
  const stage = (inputs: number, channels: number, blocks: number) =>
    conv(inputs, channels, 3) + blocks * (conv(channels, channels / 2, 1) + conv(channels / 2, channels, 3));
  const expected = conv(3, 32, 3) + conv(32, 64, 3) + stage(64, 128, 2) + stage(128, 256, 2) + stage(256, 512, 1) +
    last(512, 1025);
  assert.equal(trained(residualNet(fresh)), expected);
  assert.equal(expected, 4_229_153);
});

Deno.test("MobileNet's separable layers are those of its paper up to stride 16", () => {
  // Howard et al. 2017, table 1: conv 32 s2, then dw and pw: 64, 128 s2, 128, 256 s2, 256, 512 s2, five times 512 (here three).
  const channels = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512];
  const body = channels.slice(1).reduce((sum, filters, i) => {
    const inputs = channels[i]!;
    return sum + conv(inputs, inputs, 3, inputs) + conv(inputs, filters, 1);
  }, conv(3, 32, 3));
  assert.equal(trained(mobileNet(fresh)), body + last(512, 1025));
  const five = mobileNet({ ...fresh, depth: 5 / 3 });
  assert.equal(trained(five), body + 2 * (conv(512, 512, 3, 512) + conv(512, 512, 1)) + last(512, 1025));
});

Deno.test("EfficientNet's blocks widen, squeeze to a quarter of the input's channels and project", () => {
  const block = (inputs: number, channels: number, expand: number) => {
    const wide = inputs * expand, squeezed = Math.ceil(inputs / 4);
    return (expand === 1 ? 0 : conv(inputs, wide, 1)) + conv(wide, wide, 3, wide) + (wide + 1) * squeezed +
      (squeezed + 1) * wide + conv(wide, channels, 1);
  };
  const expected = conv(3, 32, 3) + block(32, 16, 1) + block(16, 24, 6) + block(24, 24, 6) + block(24, 40, 6) +
    block(40, 40, 6) + block(40, 80, 6) + 2 * block(80, 80, 6) + block(80, 112, 6) + block(112, 112, 6) +
    conv(112, 640, 1) + last(640, 1025);
  assert.equal(trained(efficientNet(fresh)), expected);
});

Deno.test("C2f joins both halves and every bottleneck", () => {
  const c2f = (channels: number, n: number) =>
    conv(channels, channels, 1) + n * 2 * conv(channels / 2, channels / 2, 3) +
    conv((2 + n) * channels / 2, channels, 1);
  const expected = conv(3, 32, 3) + conv(32, 64, 3) + c2f(64, 1) + conv(64, 128, 3) + c2f(128, 2) + conv(128, 256, 3) +
    c2f(256, 2) + conv(256, 512, 1) + last(512, 1025);
  assert.equal(trained(c2fNet(fresh)), expected);
});

for (const [name, build] of Object.entries(networks)) {
  Deno.test(`${name} is a valid graph from images to logits, of any width and size that is a multiple of 16`, () => {
    for (const [width, size] of [[1, 64], [0.25, 48]] as const) {
      const { graph, spec } = build({ random: Random.seeded(name), classes: 7, width, size });
      assertValid(graph);
      assert.deepEqual(graph.inputs.map(({ name, shape }) => [name, ...shape]), [["images", "N", 3, size, size]]);
      assert.deepEqual(graph.outputs.map(({ name, shape }) => [name, ...shape]), [["logits", "N", 7]]);
      assert.deepEqual(spec, { classes: 7, size });
      assert.equal(graph.value("features").shape.length, 2);
    }
    for (const wrong of [{ size: 40 }, { size: 16 }, { classes: 1 }, { width: -1 }]) {
      assert.throws(() => build({ ...fresh, ...wrong }), ModelError);
    }
  });
}
