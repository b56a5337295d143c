/** Checkpoints: all that training goes on from, in one safetensors file that is there whole or not at all. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { describeError, ensureParent, writeAtomic } from "../runtime/mod.ts";
import { encodeSafetensors, readSafetensors, type Tensor } from "../onnx/mod.ts";
import type { StepState } from "./compile_step.ts";
import { TrainError } from "./errors.ts";

/** What a checkpoint holds. */
export interface Checkpoint {
  readonly state: StepState;
  /** The caller's own: the state of random streams, the epoch, the best result so far. Plain JSON. */
  readonly progress: unknown;
}

const FORMAT = "pokedex-checkpoint-1";

/** Writes a checkpoint, flushed to the disk before it takes its name, so that a kill or power cut leaves the old one or the new. */
export async function saveCheckpoint(
  path: string,
  { state, progress = null }: Partial<Checkpoint> & { state: StepState },
): Promise<void> {
  const tensors = Object.entries(state.tensors);
  const about = JSON.stringify({ step: state.step, progress });
  const metadata = { format: FORMAT, about, sha256: digest(tensors, about) };
  await ensureParent(path);
  await writeAtomic(path, encodeSafetensors(tensors, metadata), { durable: true });
}

/** Reads a checkpoint. Throws TrainError or OnnxError when it is missing, damaged (its hash differs) or something else. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const { tensors, metadata } = await readSafetensors(path);
  const { format, about = "", sha256 = "none" } = metadata;
  if (format !== FORMAT) {
    throw new TrainError(`${path}: expected a checkpoint (${FORMAT}), found ${format ?? "other tensors"}`);
  }
  const found = digest([...tensors], about);
  if (found !== sha256) {
    throw new TrainError(`${path}: expected contents with sha256 ${sha256}, found ${found}: the file is damaged`);
  }
  const { step, progress } = JSON.parse(about) as { step: number; progress: unknown };
  return { state: { step, tensors: Object.fromEntries(tensors) }, progress };
}

/** The name of a checkpoint in a folder: sorted by name is sorted by step. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(9, "0")}.safetensors`;
}

/**
 * The newest checkpoint of a folder (of those named by `checkpointName`) that is whole, or undefined. `warn` is told of newer ones that are not.
 */
export async function latestCheckpoint(
  folder: string,
  warn: (message: string) => void = () => {},
): Promise<(Checkpoint & { readonly path: string }) | undefined> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) if (/^step-\d{9,}\.safetensors$/.test(name)) names.push(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  for (const name of names.sort().reverse()) {
    const path = join(folder, name);
    try {
      return { ...await readCheckpoint(path), path };
    } catch (error) {
      warn(describeError(error));
    }
  }
  return undefined;
}

/** Over names, types, shapes and elements, in the order of names, and what stands beside them. */
function digest(tensors: readonly (readonly [string, Tensor])[], about: string): string {
  const hash = createHash("sha256").update(about);
  for (const [name, { dtype, shape, data }] of [...tensors].sort(([a], [b]) => a < b ? -1 : 1)) {
    const { buffer, byteOffset, byteLength } = data as Float32Array;
    hash.update(`\n${name} ${dtype} [${shape.join()}]\n`).update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest("hex");
}
