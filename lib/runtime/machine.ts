/** What a result was made on: the machine and the commit, without names and paths. */

import os from "node:os";
import { fileURLToPath } from "node:url";

/** Processor, cores, memory, system. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  /** e.g. "linux x86_64". */
  readonly system: string;
}

/** This machine. */
export function currentMachine(): Machine {
  return {
    processor: os.cpus()[0]?.model.replace(/\((R|TM)\)/g, "").replace(/\s+/g, " ").trim() || "unknown processor",
    cores: navigator.hardwareConcurrency,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${Deno.build.os} ${Deno.build.arch}`,
  };
}

/** This machine in one line. */
export function describeMachine(): string {
  const { processor, cores, memoryGiB, system } = currentMachine();
  return `${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}`;
}

/** The commit's first 12 digits, with "+" where files were changed since; null outside a git repository. */
export async function currentCommit(): Promise<string | null> {
  const commit = await git("rev-parse", "--short=12", "HEAD");
  if (!commit) return null;
  const changes = await git("status", "--porcelain", "--untracked-files=no");
  return commit + (changes ? "+" : "");
}

const root = fileURLToPath(new URL("../../", import.meta.url));

async function git(...args: string[]): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command("git", { args, cwd: root, stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch {
    return null; // no git on this machine
  }
}
