/** Whole training steps on webgpu beside the CPU's, over SwiftShader, which Debian's chromium brings; ignored without it. */

import assert from "node:assert/strict";
import { STEPS, type TrainedOn } from "./webgpu_steps.ts";

const DRIVERS = ["/usr/lib/chromium/vk_swiftshader_icd.json", "/usr/share/vulkan/icd.d/vk_swiftshader_icd.json"];
const driver = DRIVERS.find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

async function trainOn(device: string): Promise<Record<string, TrainedOn>> {
  const folder = await Deno.makeTempDir();
  try {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", new URL("webgpu_steps.ts", import.meta.url).pathname, device],
      env: { VK_DRIVER_FILES: driver ?? "", XDG_RUNTIME_DIR: folder },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: `${STEPS} whole training steps on webgpu give the CPU's losses, weights and running statistics`,
  ignore: driver === undefined,
  async fn() {
    const [expected, found] = await Promise.all([trainOn("cpu"), trainOn("webgpu")]);
    assert.equal(Object.keys(expected).length, 3);
    assert.notDeepEqual(found, expected, "equal to the last bit: it ran on the CPU");
    for (const [network, { losses, weights }] of Object.entries(expected)) {
      const other = found[network]!;
      assert.equal(losses.length, STEPS);
      losses.forEach((loss, i) => assert.ok(Math.abs(loss - other.losses[i]!) < 1e-4 * loss, `${network}: step ${i}`));
      for (const [name, numbers] of Object.entries(weights)) {
        const largest = Math.max(...numbers.map(Math.abs));
        numbers.forEach((number, i) => {
          const difference = Math.abs(number - other.weights[name]![i]!);
          assert.ok(
            difference < 1e-3 * largest,
            `${network}: ${name}[${i}]: ${other.weights[name]![i]}, CPU ${number}`,
          );
        });
      }
    }
  },
});
