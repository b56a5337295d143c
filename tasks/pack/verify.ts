/** Shows that an archive works where there is nothing: unpacked, without a home and without a network. */

import { join } from "node:path";
import { WorkError } from "../../lib/runtime/mod.ts";
import { unpackArchive } from "./archive.ts";

/** What the archive's own training printed, and how the network was kept away. */
export interface Verification {
  readonly first: number;
  readonly last: number;
  readonly isolation: "network namespace" | "unreachable proxy";
}

/** Unpacks and trains there. Throws WorkError with what was printed when that fails or the loss does not fall. */
export async function verifyArchive(path: string): Promise<Verification> {
  const folder = await Deno.makeTempDir({ prefix: "pack-" });
  try {
    const home = join(folder, "home"), pack = join(folder, "pack");
    await Deno.mkdir(home);
    await Deno.mkdir(pack);
    await unpackArchive(path, pack);
    const isolated = await canUnshare();
    const program = [...(isolated ? ["unshare", "-n"] : []), join(pack, "run.sh"), "tasks/pack/train_step.ts"];
    const { code, stdout, stderr } = await new Deno.Command(program[0]!, {
      args: program.slice(1),
      clearEnv: true,
      env: {
        HOME: home,
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        NO_COLOR: "1",
        // Nothing listens on the discard port.
        HTTP_PROXY: "http://127.0.0.1:9",
        HTTPS_PROXY: "http://127.0.0.1:9",
      },
    }).output();
    const text = new TextDecoder().decode(stdout).trim();
    const said = () => `${text} ${new TextDecoder().decode(stderr)}`.trim().slice(0, 1000);
    if (code !== 0) throw new WorkError(`${path}: expected its training to run, found exit status ${code}: ${said()}`);
    const result = JSON.parse(text.split("\n").at(-1)!) as { ok: boolean; first: number; last: number };
    if (!result.ok) throw new WorkError(`${path}: expected a loss that falls, found ${said()}`);
    const isolation = isolated ? "network namespace" : "unreachable proxy";
    return { first: result.first, last: result.last, isolation };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function canUnshare(): Promise<boolean> {
  try {
    return (await new Deno.Command("unshare", { args: ["-n", "true"], stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}
