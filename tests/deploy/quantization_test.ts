import assert from "node:assert/strict";
import { readJson } from "../../lib/runtime/mod.ts";
import { distanceTo, type PythonQuantization } from "./quantization_case.ts";

Deno.test("ranges, scales, zero points, weights and biases are those of onnxruntime.quantization", async () => {
  const file = new URL("../fixtures/deploy/quantization.json", import.meta.url);
  const { seed, ...python } = await readJson(file.pathname) as PythonQuantization & { seed: number };
  const { ranges, entropy, scales, wholes, compared } = await distanceTo(python, seed);
  assert.ok(compared > 3500, `${compared} figures`);
  assert.ok(ranges < 1e-5, `ranges differ by ${ranges}`);
  assert.ok(entropy < 0.05, `ranges by entropy differ by ${entropy}`);
  assert.ok(scales < 1e-5, `scales differ by ${scales}`);
  assert.ok(wholes <= 1, `whole numbers differ by ${wholes}`); // halves may be rounded to either side
});
