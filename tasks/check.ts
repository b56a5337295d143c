/** `deno task check`: format, lint, types of modules and of notebook cells, clean notebooks, architecture. */

import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { checkCells, problemText, readNotebook, selectNotebooks, uncleanCells } from "../lib/notebook/mod.ts";
import { describeError, exists, readJson, runCommand } from "../lib/runtime/mod.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** One gate and what it found. */
interface Gate {
  readonly name: string;
  readonly problems: readonly string[];
}

await runCommand({
  usage: "deno task check",
  about: "Runs every gate and shows all problems: format, lint, types of modules, types of notebook cells, clean " +
    "notebooks, architecture.",
  flags: {
    notebooks: { type: "string", value: "DIR", help: "folder of the notebooks (default: notebooks)" },
  },
  async run({ notebooks = relative(Deno.cwd(), `${root}/notebooks`) || ".", json }) {
    const say = json ? console.error : console.log;
    const gates: (() => Promise<Gate>)[] = [
      // Deno 2.9 calls every notebook that it has not formatted itself unformatted: notebooks are compared below.
      async () => denoGate("format", ["fmt", "--check", `--ignore=${["**/*.ipynb", ...await unformatted()].join()}`]),
      () => denoGate("lint", ["lint"]),
      // Scripts for devices import what stands beside them only in their package: they are linted, and tested as packages.
      () => denoGate("types", ["check", ...existing(["lib", "tasks", "tests"]).map((folder) => `${folder}/**/*.ts`)]),
      () => cellGate(notebooks),
      () => denoGate("architecture", ["test", "-A", "--no-check", "tests/architecture_test.ts"]),
    ];
    const found: Gate[] = [];
    for (const gate of gates) {
      const { name, problems } = await gate();
      found.push({ name, problems });
      say(`${problems.length ? "✗" : "✓"} ${name}`);
      for (const problem of problems) say(problem.replace(/^/gm, "    "));
    }
    return { ok: found.every((gate) => !gate.problems.length), gates: found };
  },
});

/** A gate that is a Deno command; what it says when it fails is the problem. */
async function denoGate(name: string, args: string[]): Promise<Gate> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (success) return { name, problems: [] };
  const text = [stdout, stderr].map((part) => new TextDecoder().decode(part)).join("\n");
  const lines = text.split("\n").filter((line) =>
    !/^(Check|Download|Task|Stack backtrace| +\d+: <unknown>)/.test(line)
  );
  const shown = lines.map((line) => line.slice(0, 300)).join("\n").trim();
  return { name, problems: [shown || `deno ${args[0]} failed`] };
}

async function cellGate(folder: string): Promise<Gate> {
  const problems: string[] = [];
  for (const path of await notebooksIn(folder)) {
    try {
      const notebook = await readNotebook(path);
      problems.push(...[...uncleanCells(path, notebook), ...await checkCells(path)].map(problemText));
      if (!await isFormatted(path)) problems.push(`${path}: expected the format of "deno fmt", found another; run it`);
    } catch (error) {
      problems.push(describeError(error));
    }
  }
  return { name: "notebook cells", problems };
}

/** What deno.json leaves out of formatting; `--ignore` takes its place. */
async function unformatted(): Promise<readonly string[]> {
  const settings = await readJson(`${root}/deno.json`) as { fmt?: { exclude?: string[] } };
  return settings.fmt?.exclude ?? [];
}

/** Whether formatting a notebook would leave it as it is. */
async function isFormatted(path: string): Promise<boolean> {
  const text = await Deno.readFile(path);
  const formatter = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "ipynb", "-"],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const output = formatter.output();
  await new Blob([text]).stream().pipeTo(formatter.stdin).catch(() => {}); // it may end before it has read everything
  const { success, stdout } = await output;
  return success && new TextDecoder().decode(stdout) === new TextDecoder().decode(text);
}

async function notebooksIn(folder: string): Promise<string[]> {
  return await exists(folder) ? await selectNotebooks(folder) : [];
}

function existing(folders: readonly string[]): string[] {
  return folders.filter((folder) => {
    try {
      return Deno.statSync(`${root}/${folder}`).isDirectory;
    } catch {
      return false;
    }
  });
}
