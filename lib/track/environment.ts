/** What a run is made on and with. */

import { currentCommit, currentMachine, type Device, type Machine } from "../runtime/mod.ts";

/** Versions, machine, device; no names of people, hosts or folders. */
export interface Environment extends Machine {
  readonly deno: string;
  readonly onnxruntime: string;
  readonly device: Device;
  /** The commit's first 12 digits, with "+" where files were changed since; null outside a git repository. */
  readonly commit: string | null;
}

/** Gathers it. */
export async function describeEnvironment({ device = "cpu" }: { device?: Device } = {}): Promise<Environment> {
  const { env } = await import("onnxruntime-node");
  return {
    deno: Deno.version.deno,
    onnxruntime: env.versions.node ?? env.versions.common,
    ...currentMachine(),
    device,
    commit: await currentCommit(),
  };
}
