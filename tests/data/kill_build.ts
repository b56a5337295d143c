/** Kills a build with SIGKILL at random moments, goes on each time, and compares the result with an undisturbed build. */

// deno run -A tests/data/kill_build.ts --source folder:../shared/pokemon/all_pokemon --kills 10 --folder DIR

import { createHash } from "node:crypto";
import { join } from "node:path";
import { integerFlag, Random, runCommand, WorkError } from "../../lib/runtime/mod.ts";

/** SHA-256 over the names and contents of all files below a folder, locks left out. */
export async function treeHash(folder: string): Promise<string> {
  const files = (await listFiles(folder)).sort();
  const hash = createHash("sha256");
  for (const file of files) {
    hash.update(`${file}\0`).update(createHash("sha256").update(await Deno.readFile(join(folder, file))).digest());
  }
  return hash.digest("hex");
}

async function listFiles(folder: string, inside = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(join(folder, inside))) {
    const path = inside ? `${inside}/${entry.name}` : entry.name;
    if (entry.isDirectory) files.push(...await listFiles(folder, path));
    else if (entry.name !== ".lock") files.push(path);
  }
  return files;
}

/** Runs `deno task data build` in a process of its own; `killAfterMs` ends it with SIGKILL if it is still at work then. */
export async function runBuild(
  args: readonly string[],
  killAfterMs?: number,
): Promise<{ killed: boolean; code: number; seconds: number; stderr: string }> {
  const started = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(import.meta.dirname!, "..", "..", "tasks", "data.ts"), "build", ...args],
    stdout: "null",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => {
    try {
      child.kill("SIGKILL");
    } catch { /* it ended just now */ }
  }, killAfterMs);
  const { code, signal, stderr } = await child.output();
  clearTimeout(timer);
  return {
    killed: signal === "SIGKILL",
    code,
    seconds: (performance.now() - started) / 1000,
    stderr: new TextDecoder().decode(stderr),
  };
}

export interface KillReport {
  readonly ok: boolean;
  /** Kills that met a running build. */
  readonly kills: number;
  readonly undisturbedSeconds: number;
  readonly hash: string;
  readonly disturbedHash: string;
}

/** Builds once undisturbed and once with `kills` kills, in two folders below `folder`; compares the trees. */
export async function killAndCompare(
  { source, folder, kills, seed, log = () => {} }: {
    source: string;
    folder: string;
    kills: number;
    seed: number;
    log?: (line: string) => void;
  },
): Promise<KillReport> {
  const random = Random.seeded("kill", seed);
  const build = (out: string, killAfterMs?: number) =>
    runBuild(["--source", source, "--out", join(folder, out), "--workers", "2"], killAfterMs);
  const whole = await build("undisturbed");
  if (whole.code !== 0) {
    throw new WorkError(`undisturbed build: expected status 0, found ${whole.code}: ${whole.stderr}`);
  }
  log(`undisturbed build: ${whole.seconds.toFixed(1)} s`);
  let met = 0;
  // Moments over the whole length of a build; the parts that are done make the later ones shorter, so some come too late.
  for (let attempt = 0; met < kills && attempt < 3 * kills; attempt++) {
    const after = random.uniform(0.02, 1.6 / kills + 0.1) * whole.seconds * 1000;
    const run = await build("disturbed", after);
    if (run.killed) met++;
    else if (run.code !== 0) {
      throw new WorkError(`disturbed build: expected status 0, found ${run.code}: ${run.stderr}`);
    } else await Deno.remove(join(folder, "disturbed", "processed", "yolo_dataset"), { recursive: true });
    log(`${run.killed ? "killed" : "done"} after ${run.seconds.toFixed(2)} s`);
  }
  const last = await build("disturbed");
  if (last.code !== 0) throw new WorkError(`last build: expected status 0, found ${last.code}: ${last.stderr}`);
  log(`last build: ${last.seconds.toFixed(1)} s`);
  const [hash, disturbedHash] = [
    await treeHash(join(folder, "undisturbed")),
    await treeHash(join(folder, "disturbed")),
  ];
  return { ok: hash === disturbedHash, kills: met, undisturbedSeconds: whole.seconds, hash, disturbedHash };
}

if (import.meta.main) {
  await runCommand({
    usage: "deno run -A tests/data/kill_build.ts",
    about: "Kills a build at random moments and compares the result with an undisturbed one.",
    flags: {
      source: { type: "string", value: "NAME", default: "sprites", help: "as of deno task data build" },
      folder: {
        type: "string",
        value: "DIR",
        help: "where the two datasets are made, in a folder that is removed after (default: the system's)",
      },
      kills: { type: "string", value: "N", default: "10", help: "how many" },
      seed: { type: "string", value: "N", default: "0", help: "decides the moments" },
    },
    async run({ source, folder, kills, seed }) {
      const place = await Deno.makeTempDir({
        prefix: "pokedex-kill-",
        ...(folder === undefined ? {} : { dir: folder }),
      });
      const report = await killAndCompare({
        source,
        folder: place,
        kills: integerFlag("kills", kills, 1, 1000),
        seed: integerFlag("seed", seed, 0),
        log: (line) => console.error(line),
      });
      await Deno.remove(place, { recursive: true });
      console.error(report.ok ? `ok: ${report.kills} kills, one tree (${report.hash})` : "not ok: the trees differ");
      return report;
    },
  });
}
