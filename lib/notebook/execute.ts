/** Executes a notebook on a fresh kernel, cell by cell, and keeps every output. */

import { dirname, resolve } from "node:path";
import { describeError, WorkError } from "../runtime/mod.ts";
import type { JupyterMessage } from "./jupyter_message.ts";
import { Kernel } from "./kernel.ts";
import { syntaxError } from "./syntax.ts";
import { type CodeCell, excerpt, type Notebook, type Output, readNotebook, writeNotebook } from "./notebook_file.ts";

/** A moment of an execution. Cells are counted from 1, Markdown cells included, as editors do. */
export type CellEvent =
  | { readonly kind: "start"; readonly cell: number; readonly cells: number; readonly excerpt: string }
  | { readonly kind: "end"; readonly cell: number; readonly cells: number; readonly seconds: number };

export interface ExecuteOptions {
  /** For POKEDEX_PROFILE and POKEDEX_SEED; what is not given is not set. */
  readonly profile?: string | undefined;
  readonly seed?: number | undefined;
  /** Longest time of one cell and of all cells, seconds; beyond, the kernel is killed. */
  readonly cellSeconds?: number | undefined;
  readonly totalSeconds?: number | undefined;
  /** Characters that one cell may show, 64 million by default: an endless loop that prints must not fill the memory. */
  readonly outputLimit?: number | undefined;
  readonly onCell?: ((event: CellEvent) => void) | undefined;
}

/** A cell that failed. */
export interface CellFailure {
  /** Counted from 1, Markdown cells included; 0 when the kernel did not start. */
  readonly cell: number;
  readonly excerpt: string;
  /** One line. */
  readonly cause: string;
}

export interface Execution {
  /** The notebook with the outputs so far; cells behind a failure have none. */
  readonly notebook: Notebook;
  readonly failure?: CellFailure;
  readonly seconds: number;
  /** Seconds of each cell that ran, by the cell's number. */
  readonly cellSeconds: ReadonlyMap<number, number>;
}

/** Executes the notebook of a file and writes the executed copy to `output`, also after a failure. Throws InputError for a bad file. */
export async function executeNotebookFile(
  path: string,
  output: string,
  options: ExecuteOptions = {},
): Promise<Execution> {
  const notebook = await readNotebook(path);
  const execution = await executeNotebook(notebook, dirname(resolve(path)), options);
  await writeNotebook(output, execution.notebook);
  return execution;
}

/** Executes a notebook in a folder. A failing cell is a result, not an error thrown. */
export async function executeNotebook(source: Notebook, cwd: string, options: ExecuteOptions = {}): Promise<Execution> {
  const notebook = cleanCopy(source);
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const cellSeconds = new Map<number, number>();
  const displays: DisplayIndex = new Map();
  const env = {
    ...(options.profile === undefined ? {} : { POKEDEX_PROFILE: options.profile }),
    ...(options.seed === undefined ? {} : { POKEDEX_SEED: String(options.seed) }),
  };
  let kernel: Kernel;
  try {
    kernel = await Kernel.start({ cwd, env });
  } catch (error) {
    const failure = { cell: 0, excerpt: "", cause: describeError(error) };
    return { notebook, failure, seconds: seconds(), cellSeconds };
  }
  await using _closing = kernel;
  const cells = notebook.cells.length;
  let count = 0;
  for (const [index, cell] of notebook.cells.entries()) {
    if (cell.cell_type !== "code" || !cell.source.trim()) continue;
    const number = index + 1;
    const shown = excerpt(cell.source);
    options.onCell?.({ kind: "start", cell: number, cells, excerpt: shown });
    const before = seconds();
    cell.execution_count = ++count;
    const cause = await executeCell(kernel, cell, displays, options, seconds());
    cellSeconds.set(number, seconds() - before);
    options.onCell?.({ kind: "end", cell: number, cells, seconds: seconds() - before });
    if (cause !== undefined) {
      return { notebook, failure: { cell: number, excerpt: shown, cause }, seconds: seconds(), cellSeconds };
    }
  }
  return { notebook, seconds: seconds(), cellSeconds };
}

function cleanCopy(source: Notebook): Notebook {
  const cells = source.cells.map((cell) =>
    cell.cell_type === "code" ? { ...cell, execution_count: null, outputs: [] } : { ...cell }
  );
  return { ...source, cells };
}

/** Runs one cell into its outputs; returns the one-line cause when it failed. */
async function executeCell(
  kernel: Kernel,
  cell: CodeCell,
  displays: DisplayIndex,
  options: ExecuteOptions,
  elapsed: number,
): Promise<string | undefined> {
  const { cellSeconds = Infinity, totalSeconds = Infinity, outputLimit = 64e6 } = options;
  const collector = new OutputCollector(displays);
  const stop = new AbortController();
  const budget = Math.min(cellSeconds, totalSeconds - elapsed);
  const which = cellSeconds <= totalSeconds - elapsed
    ? `${cellSeconds} s for a cell`
    : `${totalSeconds} s for a notebook`;
  const timer = budget < 2e6
    ? setTimeout(
      () => stop.abort(new WorkError(`expected an end within ${which}, found it still running; the kernel was killed`)),
      Math.max(0, budget * 1000),
    )
    : undefined;
  try {
    const reply = await kernel.execute(cell.source, (message) => {
      if (collector.size > outputLimit) return;
      collector.add(message);
      if (collector.size > outputLimit) {
        stop.abort(new WorkError(`expected at most ${outputLimit} characters of output from a cell, found more`));
      }
    }, stop.signal);
    const shown = collector.error;
    if (reply.status === "ok") return shown && errorLine(shown.ename, shown.evalue);
    if (shown) return errorLine(reply.name, reply.value);
    // a syntax error has no output of its own, and no words
    const text = await syntaxError(cell.source) ?? errorLine(reply.name, reply.value);
    collector.addError(text.split(/[: ]/)[0]!, text.replace(/^SyntaxError:? ?/, ""), reply.traceback);
    return text;
  } catch (error) {
    const cause = describeError(error);
    collector.addError("Stopped", cause, []);
    await kernel.close();
    return cause;
  } finally {
    clearTimeout(timer);
    cell.outputs = collector.finish();
  }
}

/** "TypeError: x is not a function", from a name and a text that may hold the name, a trace and colours. */
function errorLine(name: string, value: string): string {
  // deno-lint-ignore no-control-regex -- terminal colours begin with a control character
  const [first = ""] = value.replace(/\u001b\[[0-9;]*m/g, "").trim().split(/\n\s*at /);
  const text = first.replace(/^Uncaught (\(in promise\) )?/, "");
  return describeError(!name || text.startsWith(name) ? text || name : text ? `${name}: ${text}` : name, 300);
}

/** Outputs that later messages may change, by display id. */
type DisplayIndex = Map<string, { data: Record<string, unknown>; metadata: Record<string, unknown> }[]>;

/** Turns messages into a cell's outputs: texts of one stream joined, displays updated in place, clearing obeyed. */
export class OutputCollector {
  /** Characters received, about. */
  size = 0;
  #outputs: (Output | { output_type: "text"; name: "stdout" | "stderr"; parts: string[] })[] = [];
  #clearLater = false;
  readonly #displays: DisplayIndex;

  constructor(displays: DisplayIndex = new Map()) {
    this.#displays = displays;
  }

  /** The first error among the outputs. */
  get error(): Extract<Output, { output_type: "error" }> | undefined {
    return this.#outputs.find((output) => output.output_type === "error");
  }

  add({ type, content }: JupyterMessage): void {
    switch (type) {
      case "stream": {
        const name = content["name"] === "stderr" ? "stderr" : "stdout";
        const text = String(content["text"] ?? "");
        this.size += text.length;
        this.#clearIfDue();
        const last = this.#outputs.findLast((output) => output.output_type !== "error");
        if (last?.output_type === "text" && last.name === name) last.parts.push(text);
        else this.#outputs.push({ output_type: "text", name, parts: [text] });
        break;
      }
      case "display_data":
      case "execute_result": {
        const shown = { data: record(content["data"]), metadata: record(content["metadata"]) };
        this.size += sizeOf(shown.data);
        this.#clearIfDue();
        const id = displayId(content);
        if (id) this.#displays.set(id, [...this.#displays.get(id) ?? [], shown]);
        // nbformat keeps no display ids; `shown` itself stays the entry, so that updates reach it
        this.#outputs.push(
          type === "display_data"
            ? Object.assign(shown, { output_type: "display_data" as const })
            : Object.assign(shown, {
              output_type: "execute_result" as const,
              execution_count: Number(content["execution_count"]) || null,
            }),
        );
        break;
      }
      case "update_display_data":
        for (const shown of this.#displays.get(displayId(content)) ?? []) {
          shown.data = record(content["data"]);
          shown.metadata = record(content["metadata"]);
        }
        break;
      case "clear_output":
        if (content["wait"]) this.#clearLater = true;
        else this.#outputs = [];
        break;
      case "error": {
        const traceback = content["traceback"];
        this.addError(
          String(content["ename"] ?? "Error"),
          String(content["evalue"] ?? ""),
          Array.isArray(traceback) ? traceback.map(String) : [],
        );
        break;
      }
    }
  }

  addError(ename: string, evalue: string, traceback: readonly string[]): void {
    this.#clearIfDue();
    this.#outputs.push({ output_type: "error", ename, evalue, traceback: [...traceback] });
  }

  /** The outputs in the order in which they came, errors last: the kernel may send one before what was printed ahead of it. */
  finish(): Output[] {
    const errors = this.#outputs.filter((output) => output.output_type === "error");
    const others = this.#outputs.filter((output) => output.output_type !== "error").map((output): Output =>
      output.output_type === "text" ? { output_type: "stream", name: output.name, text: output.parts.join("") } : output
    );
    return [...others, ...errors];
  }

  #clearIfDue(): void {
    if (this.#clearLater) this.#outputs = [];
    this.#clearLater = false;
  }
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function displayId(content: Record<string, unknown>): string {
  return String(record(content["transient"])["display_id"] ?? "");
}

function sizeOf(data: Record<string, unknown>): number {
  return Object.values(data).reduce<number>(
    (sum, value) => sum + (typeof value === "string" ? value.length : JSON.stringify(value)?.length ?? 0),
    0,
  );
}
