import assert from "node:assert/strict";
import { toTflite, writeTflite } from "../../lib/deploy/mod.ts";
import { toModel } from "../../lib/onnx/mod.ts";
import { openSession } from "../../lib/runtime/mod.ts";
import { openLitert } from "./litert.ts";
import { channelsLast, drawnPictures, NETWORKS, quantizedNetwork } from "./tflite_networks.ts";

/** Units of the result's scale: at each of a few roundings between input and output the two may take different sides. */
const LIMITS = { most: 2.01, mean: 0.4 };

for (const [name, make] of Object.entries(NETWORKS)) {
  Deno.test(`LiteRT computes what ONNX Runtime does, to a rounding: ${name}`, async () => {
    const { quantized, calibration } = await quantizedNetwork(await make());
    const isLeaky = quantized.nodes.some(({ opType }) => opType === "LeakyRelu");
    for (const leakyRelu of isLeaky ? ["maximum", "leakyRelu"] as const : ["maximum"] as const) {
      const model = toTflite(quantized, { border: "float32", ranges: calibration.ranges, leakyRelu });
      const codes = model.operators.map(({ code }) => code);
      if (isLeaky) {
        assert.deepEqual(["MAXIMUM", "LEAKY_RELU"].map((code) => codes.includes(code)), [
          leakyRelu === "maximum",
          leakyRelu === "leakyRelu",
        ]);
      }
      const { scales: [scale], zeroPoints: [zero] } = model.tensors[model.operators.at(-1)!.inputs[0]!]!.quantization!;
      // A last product that the graph leaves in float32 may go beyond the range that was seen.
      const [low, high] = [(-128 - zero!) * scale!, (127 - zero!) * scale!] as const;
      await using session = await openSession(toModel(quantized), { threads: 1 });
      const litert = await openLitert(writeTflite(model));
      let most = 0, sum = 0, count = 0, least = Infinity, largest = -Infinity;
      for (const images of drawnPictures(quantized, 8, "judged")) {
        const out = (await session.run({ images }))[quantized.outputs[0]!.name]!, picture = channelsLast(images);
        const expected = channelsLast(out).data, found = await litert.run(picture.data, picture.shape);
        assert.equal(found.length, expected.length);
        expected.forEach((value, i) => {
          const apart = Math.abs(Math.min(high, Math.max(low, value)) - found[i]!) / scale!;
          most = Math.max(most, apart);
          sum += apart;
          count++;
          least = Math.min(least, value);
          largest = Math.max(largest, value);
        });
      }
      litert.delete();
      assert.ok(
        most <= LIMITS.most && sum / count <= LIMITS.mean,
        `${leakyRelu}: ${most} units apart, ${sum / count} in the mean`,
      );
      assert.ok(largest - least > 20 * scale!, "outputs are of one value: nothing is compared");
    }
  });
}
