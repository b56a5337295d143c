/** Fuzzing of the readers: seeded mutations of real files must be read or refused, never crash, hang or fill memory. */

import { Random } from "../runtime/mod.ts";
import { mutateBytes, mutateModel } from "./mutate.ts";
import { checkModel } from "./check.ts";
import { OnnxError } from "./errors.ts";
import { fromModel } from "./read.ts";
import { decodeSafetensors, encodeSafetensors, exportWeights } from "./safetensors.ts";
import { sampleCnn, sampleTransformer } from "./samples.ts";
import { toModel } from "./write.ts";

/** What a run of the fuzzer found. */
export interface FuzzReport {
  readonly count: number;
  /** Mutants that were still good files. */
  readonly read: number;
  /** Mutants refused with an OnnxError. */
  readonly refused: number;
  /** The longest that one mutant took, in milliseconds. */
  readonly slowest: number;
  /** The most memory that JavaScript held, in bytes: heap and arrays, of this thread only. */
  readonly memory: number;
  /** What should never be: mutants that threw something else, or took too long. */
  readonly failures: readonly { readonly mutant: number; readonly cause: string }[];
}

/** A mutant that takes longer than this is called a hang, in milliseconds. */
const LONGEST = 5000;

/** Runs mutants number `from` … `from + count − 1` of a seed. A number gives the same mutant on every machine. */
export function fuzzReaders(
  { count, seed = 1, from = 0, progress }: {
    count: number;
    seed?: number;
    from?: number;
    progress?: (done: number) => void;
  },
): FuzzReport {
  const graphs = [sampleCnn(), sampleTransformer()];
  const models = [
    toModel(graphs[0]!),
    toModel(graphs[1]!),
    toModel(graphs[0]!, { opset: 12 }),
    toModel(graphs[1]!, { opset: 21 }),
  ];
  const weights = encodeSafetensors(exportWeights(graphs[0]!), { made: "by the fuzzer" });
  const sources = [...models, weights];
  const failures: { mutant: number; cause: string }[] = [];
  let read = 0, refused = 0, slowest = 0, memory = 0;
  for (let mutant = from; mutant < from + count; mutant++) {
    const random = Random.seeded("fuzz", seed, mutant);
    const source = random.pick(sources);
    const bytes = source === weights || random.chance(0.4)
      ? mutateBytes(source, random, random.pick(sources))
      : mutateModel(source, random);
    const start = performance.now();
    try {
      if (source === weights) decodeSafetensors(bytes);
      else {
        checkModel(bytes);
        toModel(fromModel(bytes));
      }
      read++;
    } catch (error) {
      if (error instanceof OnnxError && !error.message.includes("\n")) refused++;
      else failures.push({ mutant, cause: String(error) });
    }
    const took = performance.now() - start;
    slowest = Math.max(slowest, took);
    if (took > LONGEST) failures.push({ mutant, cause: `took ${Math.round(took)} ms` });
    if (mutant % 64 === 0) {
      memory = Math.max(memory, memoryHeld());
      progress?.(mutant - from);
    }
  }
  return { count, read, refused, slowest, memory: Math.max(memory, memoryHeld()), failures };
}

/** Memory of this thread in bytes; the process's own figure would count other threads too. */
export function memoryHeld(): number {
  const { heapTotal, external } = Deno.memoryUsage();
  return heapTotal + external;
}
