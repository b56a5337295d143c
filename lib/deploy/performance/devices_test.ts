import assert from "node:assert/strict";
import { DEVICES, estimateDevice, estimateDevices } from "./devices.ts";

const device = {
  name: "chip",
  rates: { int8: { peak: 1e9, timed: { network: "known", macs: 1e8, seconds: 0.5 } }, float32: { peak: 1e8 } },
  bandwidth: 1e6,
  source: "a data sheet",
};
const traffic = { weights: 1000, activations: 4000, ports: 200 };

Deno.test("the roofline takes the slower of computing and moving, and a timed network's rate is the lower end", () => {
  // Computing 0.1 s, moving 5,000 bytes 0.005 s; the known network ran 2e8 steps a second.
  const int8 = estimateDevice(device, { macs: 1e8, traffic }, "int8")!;
  assert.deepEqual([int8.framesPerSecond, int8.bound], [[2, 10], "operations"]);
  // With 1e6 steps computing takes 1 ms.
  const small = estimateDevice(device, { macs: 1e6, traffic }, "int8")!;
  assert.deepEqual([small.framesPerSecond, small.bound], [[200, 200], "bytes"]);
  // Four bytes each: 20,000 bytes in 20 ms, computing 10 ms; nobody timed it.
  const float = estimateDevice(device, { macs: 1e6, traffic }, "float32")!;
  assert.deepEqual([float.framesPerSecond, float.bound], [[undefined, 50], "bytes"]);
  assert.match(int8.basis, /an estimate, not measured.*known's rate.*a data sheet/);
  assert.equal(estimateDevice(device, { macs: 1, traffic }, "float16"), undefined);
});

Deno.test("a chip that keeps its weights moves inputs, outputs and the weights that it cannot keep; a run has a least time", () => {
  const own = { ...device, keepsWeights: 900 };
  // 200 of the ports and 100 weights beyond: 0.3 ms.
  assert.equal(estimateDevice(own, { macs: 1e3, traffic }, "int8")!.framesPerSecond[1], 3300);
  assert.equal(estimateDevice({ ...own, shortest: 0.1 }, { macs: 1e3, traffic }, "int8")!.framesPerSecond[1], 10);
});

Deno.test("MobileNetV1 gets the times that were published of it, and no device an estimate in numbers that it lacks", () => {
  const work = { macs: 569e6, traffic: { weights: 4.2e6, activations: 1e7, ports: 150_528 + 1000 } };
  const int8 = new Map(estimateDevices(work, "int8").map((each) => [each.device, each.framesPerSecond]));
  assert.equal(int8.get("Raspberry Pi 4")![0], 29); // 34.37 ms
  assert.equal(int8.get("Edge TPU (USB)")![0], 420); // 2.4 ms
  assert.equal(int8.has("Jetson Nano"), false);
  const float = estimateDevices(work, "float").map(({ device, precision }) => [device, precision]);
  assert.deepEqual(float, [["Raspberry Pi 4", "float32"], ["Jetson Nano", "float16"], ["Jetson Orin Nano", "float16"]]);
  assert.ok(DEVICES.every(({ source }) => source.length > 0));
});
