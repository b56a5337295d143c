/** For tests: one action of the device's updater in a process of its own, killed at a step: ROOT update|run|install STEP. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { install, runTrial, update } from "../targets/assets/rpi/updater.mjs";

/** A model whose text says that it answers wrongly fails its self-test. */
export async function selfTest(folder: string): Promise<void> {
  if (/wrong/.test(await readFile(join(folder, "model.onnx"), "utf8"))) throw new Error("another answer");
}

/** A model whose text says so breaks when it is really used. */
export async function work(folder: string, confirm: () => Promise<void>): Promise<string> {
  const model = await readFile(join(folder, "model.onnx"), "utf8");
  if (/breaks/.test(model)) throw new Error("the run failed");
  await confirm();
  return model;
}

if (import.meta.main) {
  const [root = "", action = "", kill = ""] = Deno.args;
  const onStep = (step: string) => {
    if (step === kill) Deno.kill(Deno.pid, "SIGKILL");
  };
  if (action === "install") await install(root, { selfTest, onStep });
  else if (action === "update") await update(root, { selfTest, onStep });
  else await runTrial(root, work, { onStep });
}
