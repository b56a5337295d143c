/** The proxy of a run's energy beside the published table. */

import assert from "node:assert/strict";
import { energyProxy } from "./energy.ts";

Deno.test("the proxy is that of the published table: a million products, bytes from memory, bytes from the cache", () => {
  const near = (found: number, expected: number) => assert.ok(Math.abs(found - expected) < 1e-9, `${found}`);
  near(energyProxy({ macs: 1e6, weights: 0, activations: 0 }), 4.6e-3); // 4.6 µJ
  near(energyProxy({ macs: 0, weights: 4, activations: 0 }), 640e-9); // 640 pJ for 32 bits
  near(energyProxy({ macs: 0, weights: 0, activations: 4 }), 5e-9);
});
