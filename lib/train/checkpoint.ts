/** Checkpoints: all that training goes on from, in one safetensors file that is there whole or not at all. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { describeError, ensureParent, sha256, writeAtomic } from "../runtime/mod.ts";
import { type DType, encodeSafetensors, readSafetensors, readSafetensorsHeader, type Tensor } from "../onnx/mod.ts";
import type { StepState } from "./compile_step.ts";
import { TrainError } from "./errors.ts";

/** What a checkpoint holds. */
export interface Checkpoint {
  readonly state: StepState;
  /** The caller's own: the state of random streams, the epoch, the best result so far. Plain JSON. */
  readonly progress: unknown;
}

/** What the head of a checkpoint tells, without its tensors. */
export interface CheckpointHead {
  readonly step: number;
  readonly progress: unknown;
  readonly tensors: readonly TensorSpec[];
}

/** A tensor of a state without its elements. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

const FORMAT = "pokedex-checkpoint-", VERSION = 1;

/** Writes a checkpoint, flushed to the disk before it takes its name, so that a kill or power cut leaves the old one or the new. */
export async function saveCheckpoint(
  path: string,
  checkpoint: Partial<Checkpoint> & { state: StepState },
): Promise<void> {
  await ensureParent(path);
  await writeAtomic(path, encodeCheckpoint(checkpoint), { durable: true });
}

/** The bytes of a checkpoint's file. */
export function encodeCheckpoint(
  { state, progress = null }: Partial<Checkpoint> & { state: StepState },
): Uint8Array<ArrayBuffer> {
  const tensors = Object.entries(state.tensors);
  const about = JSON.stringify({ step: state.step, progress });
  return encodeSafetensors(tensors, { format: `${FORMAT}${VERSION}`, about, sha256: digest(tensors, about) });
}

/** Reads a checkpoint. Throws TrainError or OnnxError when it is missing, damaged (its hash differs), of a newer version or something else. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const { tensors, metadata } = await readSafetensors(path);
  expectFormat(path, metadata["format"]);
  const { about = "", sha256: expected = "none" } = metadata;
  const found = digest([...tensors], about);
  if (found !== expected) {
    throw new TrainError(`${path}: expected contents with sha256 ${expected}, found ${found}: the file is damaged`);
  }
  const { step, progress } = parseAbout(path, about);
  return { state: { step, tensors: Object.fromEntries(tensors) }, progress };
}

/** Reads what a checkpoint tells of itself; a file that was cut is found out, other damage not. Throws as `readCheckpoint`. */
export async function readCheckpointHead(path: string): Promise<CheckpointHead> {
  const { tensors, metadata } = await readSafetensorsHeader(path);
  expectFormat(path, metadata["format"]);
  return {
    ...parseAbout(path, metadata["about"] ?? ""),
    tensors: [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
  };
}

/** SHA-256 over names, types and shapes: what must agree for a state to go into a step. The order does not matter. */
export function architectureHash(tensors: readonly TensorSpec[]): string {
  return sha256(tensors.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join()}]`).sort().join("\n"));
}

/** The error for a checkpoint of a newer version, which no older checkpoint should stand in for in silence. */
export class NewerVersionError extends TrainError {
  override name = "NewerVersionError";
}

function expectFormat(path: string, format: string | undefined): void {
  const version = Number(/^pokedex-checkpoint-(\d+)$/.exec(format ?? "")?.[1] ?? NaN);
  if (Number.isNaN(version)) {
    throw new TrainError(`${path}: expected a checkpoint (${FORMAT}${VERSION}), found ${format ?? "other tensors"}`);
  }
  if (version > VERSION) {
    throw new NewerVersionError(
      `${path}: expected a checkpoint of version ${VERSION} or older, found version ${version}: a newer Pokédex wrote it`,
    );
  }
}

function parseAbout(path: string, about: string): { step: number; progress: unknown } {
  try {
    return aboutSchema.parse(JSON.parse(about));
  } catch (cause) {
    throw new TrainError(
      `${path}: expected what a checkpoint tells of itself, found ${about.slice(0, 60) || "nothing"}`,
      {
        cause,
      },
    );
  }
}

const aboutSchema = z.object({ step: z.int().min(0), progress: z.unknown() });

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
