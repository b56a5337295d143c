/** Notebooks as source code: their cells type-checked together, and whether they are committed without outputs. */

import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Notebook, readNotebook } from "./notebook_file.ts";
import { syntaxError } from "./syntax.ts";

/** Something wrong in a cell. */
export interface CellProblem {
  readonly notebook: string;
  /** Counted from 1, Markdown cells included. */
  readonly cell: number;
  /** Line of the cell, counted from 1; undefined when the whole cell is meant. */
  readonly line?: number;
  readonly message: string;
}

/** "notebooks/01_data.ipynb: cell 3, line 2: …" */
export function problemText({ notebook, cell, line, message }: CellProblem): string {
  return `${notebook}: cell ${cell}${line === undefined ? "" : `, line ${line}`}: ${message}`;
}

/** All cells as one module. */
export interface CellModule {
  readonly source: string;
  /** For each cell: its number and the module's line, counted from 1, on which it begins. */
  readonly starts: readonly { readonly cell: number; readonly line: number }[];
}

/** Cells that show something or were executed: notebooks are committed clean. */
export function uncleanCells(path: string, notebook: Notebook): CellProblem[] {
  return notebook.cells.flatMap((cell, index) => {
    if (cell.cell_type !== "code" || (!cell.outputs.length && cell.execution_count === null)) return [];
    const found = cell.outputs.length ? `${cell.outputs.length} outputs` : `execution count ${cell.execution_count}`;
    return [{ notebook: path, cell: index + 1, message: `expected a cell without outputs, found ${found}` }];
  });
}

/**
 * Joins the code cells into one module, as they share one scope. What a cell imports again from the same module is dropped:
 * the kernel allows it, a module does not.
 */
export function joinCells(notebook: Notebook): CellModule {
  const lines: string[] = [];
  const starts: { cell: number; line: number }[] = [];
  const imported = new Set<string>();
  for (const [index, cell] of notebook.cells.entries()) {
    if (cell.cell_type !== "code") continue;
    starts.push({ cell: index + 1, line: lines.length + 1 });
    // the semicolon keeps a cell that ends without one from running into the next
    lines.push(...dropRepeatedImports(cell.source, imported).split("\n"), ";");
  }
  return { source: lines.join("\n") + "\nexport {};\n", starts };
}

function dropRepeatedImports(source: string, imported: Set<string>): string {
  const statement = /^import\s+(type\s+)?\{([^}]*)\}\s*from\s*(["'])([^"']+)\3;?/gm;
  return source.replace(statement, (text: string, type: string | undefined, list: string, _quote, from: string) => {
    const names = list.split(",").map((name) => name.trim().replace(/\s+/g, " ")).filter(Boolean);
    const fresh = names.filter((name) => !imported.has(`${from} ${name}`));
    for (const name of names) imported.add(`${from} ${name}`);
    if (fresh.length === names.length) return text;
    const kept = fresh.length ? `import ${type ?? ""}{ ${fresh.join(", ")} } from ${JSON.stringify(from)};` : "";
    return kept + "\n".repeat(text.split("\n").length - 1); // lines stay where they are
  });
}

/**
 * Type-checks a notebook's cells with `deno check`, in the notebook's folder so that its imports mean the same. Throws
 * InputError for a file that is no notebook.
 */
export async function checkCells(path: string): Promise<CellProblem[]> {
  const notebook = await readNotebook(path);
  const syntax = await cellSyntaxProblems(path, notebook);
  if (syntax.length) return syntax;
  const module = joinCells(notebook);
  if (!module.starts.length) return [];
  const file = join(dirname(path), `${basename(path, ".ipynb")}.cells~.ts`);
  await Deno.writeTextFile(file, module.source);
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", file],
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "null",
    }).output();
    if (success) return [];
    const real = await Deno.realPath(file);
    const text = new TextDecoder().decode(stderr);
    const problems = diagnosticsIn(text, real).map(({ message, line }) => ({
      notebook: path,
      ...placeIn(module, line),
      message,
    }));
    if (problems.length) return problems;
    const first = text.split("\n").find((line) => line.trim()) ?? "deno check failed";
    return [{ notebook: path, cell: module.starts[0]!.cell, message: first }];
  } finally {
    await Deno.remove(file).catch(() => {});
  }
}

/** A mistake in syntax hides all others, so each cell is asked alone; the formatter says where without running anything. */
async function cellSyntaxProblems(path: string, notebook: Notebook): Promise<CellProblem[]> {
  const whole = await syntaxError(joinCells(notebook).source);
  if (whole === undefined) return [];
  const problems: CellProblem[] = [];
  for (const [index, cell] of notebook.cells.entries()) {
    if (cell.cell_type !== "code") continue;
    const message = await syntaxError(cell.source);
    if (message === undefined) continue;
    const line = /line (\d+)/.exec(message)?.[1];
    problems.push({ notebook: path, cell: index + 1, ...(line ? { line: Number(line) } : {}), message });
  }
  return problems.length ? problems : [{ notebook: path, cell: 1, message: whole }];
}

/** Deno's messages about one module: the text of each and its line. */
function diagnosticsIn(text: string, file: string): { message: string; line: number }[] {
  const found: { message: string; line: number }[] = [];
  let message = "";
  for (const line of text.split("\n")) {
    const begin = /^(?:(TS\d+) \[ERROR\]: |error: )(.+)/.exec(line);
    if (begin) message = (begin[1] ? `${begin[1]}: ` : "") + begin[2]!;
    const place = /\bat (file:\S+?):(\d+):\d+/.exec(line);
    if (place && message) {
      if (fileURLToPath(place[1]!) === file) {
        found.push({ message: message.replace(/ at file:\S+$/, ""), line: Number(place[2]) });
      }
      message = "";
    }
  }
  return found;
}

function placeIn(module: CellModule, line: number): { cell: number; line: number } {
  const start = module.starts.findLast((one) => one.line <= line) ?? module.starts[0]!;
  return { cell: start.cell, line: line - start.line + 1 };
}
