/** Costs of parts that are shared, run sometimes, and of a product counted by hand. */

import assert from "node:assert/strict";
import { costOfProduct, type CostPart, totalCost } from "./cost.ts";

const part = (name: string, latency: number, within?: string): CostPart => ({
  ...{ name, latency, parameters: 10, bytes: 40, macs: 100, activations: 8 },
  ...(within === undefined ? {} : { within }),
});

Deno.test("a part that several need is paid once, and a body within its network not at all", () => {
  const [net, body, tower] = [part("net", 2), part("net, body", 1, "net"), part("tower", 5)];
  assert.equal(totalCost({ always: [net, tower, net] }).latency, 7);
  assert.equal(totalCost({ always: [body, tower] }).latency, 6);
  assert.equal(totalCost({ always: [body, net, tower] }).latency, 7);
});

Deno.test("what runs for a quarter of the pictures costs a quarter, but its weights must be there", () => {
  const cost = totalCost({
    always: [part("net", 2)],
    sometimes: { share: 0.25, parts: [part("net, body", 1, "net"), part("tower", 4), part("fusion", 8)] },
  });
  assert.equal(cost.latency, 2 + 0.25 * 12);
  assert.equal(cost.operations, 2 * (100 + 0.25 * 200));
  assert.equal(cost.moved, 48 + 0.25 * 96);
  assert.deepEqual([cost.parameters, cost.bytes], [30, 120]);
});

Deno.test("a product of 3 numbers with 5 rows has 15 weights, 5 biases and 15 steps", async () => {
  const { parameters, macs, bytes, latency } = await costOfProduct("texts", { inputs: 3, outputs: 5 });
  assert.deepEqual([parameters, macs, bytes], [20, 15, 80]);
  assert.ok(latency > 0);
});
