/**
 * deno task fuzz onnx [--count 1000] [--seed 1] [--from 0]
 * Feeds mutated files to a reader and says what broke. A failure's number with the same seed makes the same mutant again.
 */

import { fuzzReaders } from "../lib/onnx/mod.ts";
import { InputError, runCommand } from "../lib/runtime/mod.ts";

function number(text: string, flag: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new InputError(`--${flag}: expected a whole number from 0, found "${text}"`);
  }
  return value;
}

await runCommand({
  usage: "deno task fuzz onnx",
  about: "Feeds mutated ONNX and safetensors files to the readers: each must be read or refused with one line.",
  operands: "onnx",
  flags: {
    count: { type: "string", default: "1000", value: "N", help: "how many mutants" },
    seed: { type: "string", default: "1", value: "N", help: "which series of mutants" },
    from: { type: "string", default: "0", value: "N", help: "number of the first mutant" },
  },
  run(values, operands) {
    if (operands.length !== 1 || operands[0] !== "onnx") {
      throw new InputError(`fuzz: expected what to fuzz, onnx, found ${operands.join(" ") || "nothing"}`);
    }
    const start = performance.now();
    const report = fuzzReaders({
      count: number(values.count, "count"),
      seed: number(values.seed, "seed"),
      from: number(values.from, "from"),
      progress: (done) => {
        if (done > 0 && done % 65536 === 0) {
          console.error(`${done} mutants, ${Math.round(performance.now() - start)} ms`);
        }
      },
    });
    const { count, read, refused, slowest, memory, failures } = report;
    if (!values.json) {
      console.log(
        `${count} mutants in ${((performance.now() - start) / 1000).toFixed(1)} s: ${read} read, ${refused} refused, ` +
          `${failures.length} failures; slowest ${slowest.toFixed(1)} ms, memory ${memory >> 20} MiB`,
      );
      for (const { mutant, cause } of failures.slice(0, 20)) console.log(`--from ${mutant} --count 1: ${cause}`);
    }
    return Promise.resolve({ ok: failures.length === 0, ...report });
  },
});
