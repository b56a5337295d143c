/** `train_peak.ts CASE THREADS`: compiles a case, takes three steps and prints the most memory that this process has had, in MiB. */

import { InputError, WorkError } from "../../lib/runtime/mod.ts";
import { CASES, type TrainCase } from "./networks.ts";
import { compileCase } from "./train.ts";

const [name = "", threads = "2"] = Deno.args;
if (!Object.hasOwn(CASES, name)) {
  throw new InputError(`train_peak.ts: expected one of ${Object.keys(CASES).join(", ")}, found "${name}"`);
}
const { batch, learningRate, build } = CASES[name as TrainCase];
const parts = build(batch);
const step = await compileCase(parts, { threads: Number(threads) });
for (let i = 0; i < 3; i++) await step.run(parts.feed, { learningRate });
await step.dispose();
const status = await Deno.readTextFile("/proc/self/status").catch(() => "");
const peak = status.match(/^VmHWM:\s+(\d+) kB$/m)?.[1];
if (peak === undefined) throw new WorkError("train_peak.ts: expected VmHWM in /proc/self/status, found none");
console.log((Number(peak) / 1024).toFixed(0));
