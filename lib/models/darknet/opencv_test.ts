/** The importer against OpenCV's (recorded by tests/peers/record_darknet.py): layers that mini.cfg does not have. */

import assert from "node:assert/strict";
import { openSession, tensor } from "../../runtime/mod.ts";
import { toModel } from "../../onnx/mod.ts";
import { exportDarknet, importDarknet } from "../mod.ts";

interface Recorded {
  readonly cases: Record<
    string,
    { cfg: string; weights: string; input: string; output: string; shape: readonly number[] }
  >;
}

const file = new URL("../../../tests/fixtures/darknet/opencv.json", import.meta.url);
const { cases } = JSON.parse(await Deno.readTextFile(file)) as Recorded;
const floats = (text: string) => new Float32Array(Uint8Array.fromBase64(text).buffer);

for (const [name, recorded] of Object.entries(cases)) {
  Deno.test(`${name}: the imported graph computes what OpenCV computes, and so does what is exported from it`, async () => {
    const files = { cfg: recorded.cfg, weights: Uint8Array.fromBase64(recorded.weights) };
    const { graph } = importDarknet(files);
    const again = importDarknet(exportDarknet(graph)).graph;
    const expected = floats(recorded.output), input = floats(recorded.input);
    for (const each of [graph, again]) {
      const [, channels, height, width] = each.inputs[0]!.shape as readonly number[];
      await using session = await openSession(toModel(each), { threads: 1 });
      const images = tensor("float32", [1, channels!, height!, width!], input);
      const [output] = Object.values(await session.run({ images }));
      assert.equal(output!.data.length, expected.length);
      expected.forEach((value, i) => {
        const found = (output!.data as Float32Array)[i]!;
        assert.ok(Math.abs(found - value) <= 2e-5 * Math.max(1, Math.abs(value)), `${i}: ${found}, expected ${value}`);
      });
    }
  });
}
