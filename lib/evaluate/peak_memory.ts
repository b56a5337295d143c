/** `peak_memory.ts SETTINGS`: opens a model, runs it three times and prints the most memory that this process has had. */

import { describeError, exitStatusOf } from "../runtime/mod.ts";
import { measureLatency, processPeak } from "./latency.ts";

try {
  const { path, batch, threads, sizes } = JSON.parse(Deno.args[0]!);
  const before = await processPeak();
  await measureLatency(path, { batches: [batch], threads, sizes, warmUp: 0, runs: 3 });
  console.log(JSON.stringify({ before, peak: await processPeak() }));
} catch (error) {
  console.error(describeError(error));
  Deno.exit(exitStatusOf(error));
}
