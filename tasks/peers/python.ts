/** A private Python environment for peers: made once, outside the system's own packages. */

import { join } from "node:path";
import { describeError, exists } from "../../lib/runtime/mod.ts";

/** A peer cannot be compared with on this machine, and why. */
export class PeerMissing extends Error {
  override name = "PeerMissing";
}

const folder = join(import.meta.dirname!, "..", "..", ".venv-peers");

/**
 * The Python of `.venv-peers` with these packages in it ("name==version"), installed with pip where they are missing.
 * Throws PeerMissing when there is no Python 3, no venv, or no package index to be reached.
 */
export async function peerPython(packages: readonly string[]): Promise<string> {
  const python = join(folder, "bin", "python");
  if (!await exists(python)) {
    await command("python3", ["-m", "venv", folder], "expected Python 3 with venv").catch(async (error) => {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
      throw error;
    });
  }
  const installed = await command(python, ["-m", "pip", "list", "--format=freeze"], "expected pip");
  // "2.13.0+cpu" is a build of 2.13.0.
  const present = installed.toLowerCase().split("\n").map((line) => line.replace(/\+.*$/, ""));
  const missing = packages.filter((each) => !present.includes(each.toLowerCase()));
  if (missing.length > 0) {
    console.error(`installing ${missing.join(", ")} into .venv-peers …`);
    await command(
      python,
      ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...missing],
      "expected a package index",
    );
  }
  return python;
}

/** Runs a program and returns what it printed. Throws PeerMissing when it is not there or fails. */
export async function command(program: string, args: readonly string[], expectation: string): Promise<string> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(program, { args: [...args], stdout: "piped", stderr: "piped" }).output();
  } catch (error) {
    throw new PeerMissing(`${expectation}, found: ${describeError(error, 200)}`, { cause: error });
  }
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (!output.success) {
    throw new PeerMissing(
      `${expectation}, found: ${text(output.stderr).split("\n").at(-1) ?? `status ${output.code}`}`,
    );
  }
  return text(output.stdout);
}
