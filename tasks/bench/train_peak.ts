/** `train_peak.ts CASE THREADS`: compiles a case, takes three steps and prints the most memory that this process has had, in MiB. */

import { InputError, WorkError } from "../../lib/runtime/mod.ts";
import { buildBatch, NETWORKS, type TrainCase } from "./networks.ts";
import { compileCase } from "./train.ts";

const [name = "", threads = "2"] = Deno.args;
if (!Object.hasOwn(NETWORKS, name)) {
  throw new InputError(`train_peak.ts: expected one of ${Object.keys(NETWORKS).join(", ")}, found "${name}"`);
}
const step = await compileCase(name as TrainCase, { threads: Number(threads) });
const batch = buildBatch(NETWORKS[name as TrainCase]);
for (let i = 0; i < 3; i++) await step.run(batch, { learningRate: 0.01 });
await step.dispose();
const status = await Deno.readTextFile("/proc/self/status").catch(() => "");
const peak = status.match(/^VmHWM:\s+(\d+) kB$/m)?.[1];
if (peak === undefined) throw new WorkError("train_peak.ts: expected VmHWM in /proc/self/status, found none");
console.log((Number(peak) / 1024).toFixed(0));
