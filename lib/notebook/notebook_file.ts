/** Notebook files: nbformat 4 (https://nbformat.readthedocs.io), read with a schema and written whole. */

import { z } from "zod";
import { InputError, readJson, writeAtomic } from "../runtime/mod.ts";

const text = z.union([z.string(), z.array(z.string())]).transform((value) =>
  typeof value === "string" ? value : value.join("")
);
const record = z.record(z.string(), z.unknown());

const outputSchema = z.discriminatedUnion("output_type", [
  z.object({ output_type: z.literal("stream"), name: z.enum(["stdout", "stderr"]), text }),
  z.object({ output_type: z.literal("display_data"), data: record, metadata: record.default({}) }),
  z.object({
    output_type: z.literal("execute_result"),
    data: record,
    metadata: record.default({}),
    execution_count: z.int().nullable(),
  }),
  z.object({
    output_type: z.literal("error"),
    ename: z.string(),
    evalue: z.string(),
    traceback: z.array(z.string()).default([]),
  }),
]);

const cellBase = { source: text, metadata: record.default({}), id: z.string().optional() };
const cellSchema = z.discriminatedUnion("cell_type", [
  z.object({ cell_type: z.literal("markdown"), ...cellBase, attachments: record.optional() }),
  z.object({ cell_type: z.literal("raw"), ...cellBase }),
  z.object({
    cell_type: z.literal("code"),
    ...cellBase,
    execution_count: z.int().nullable().default(null),
    outputs: z.array(outputSchema).default([]),
  }),
]);

const notebookSchema = z.object({
  nbformat: z.literal(4, { error: "4 (nbformat 4)" }),
  nbformat_minor: z.int().min(0),
  metadata: record.default({}),
  cells: z.array(cellSchema),
});

/** What a code cell has shown. */
export type Output = z.output<typeof outputSchema>;
export type Cell = z.output<typeof cellSchema>;
export type CodeCell = Extract<Cell, { cell_type: "code" }>;
/** A notebook with all texts joined to single strings. */
export type Notebook = z.output<typeof notebookSchema>;

/** Reads a notebook. Throws InputError naming the file and the place for a missing file, broken JSON or another format. */
export async function readNotebook(path: string): Promise<Notebook> {
  const parsed = notebookSchema.safeParse(await readJson(path));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new InputError(`${path}: ${placeOf(issue.path)}: expected a notebook of nbformat 4, found: ${issue.message}`);
}

/** "cell 3, outputs.0.data" */
function placeOf(path: readonly PropertyKey[]): string {
  const [first, index, ...rest] = path;
  if (first === "cells" && typeof index === "number") {
    return [`cell ${index + 1}`, rest.map(String).join(".")].filter(Boolean).join(", ");
  }
  return path.map(String).join(".") || "the file";
}

/** Writes a notebook whole or not at all, with texts as lists of lines, as Jupyter does. */
export async function writeNotebook(path: string, notebook: Notebook): Promise<void> {
  const file = { ...notebook, cells: notebook.cells.map(cellToFile) };
  await writeAtomic(path, JSON.stringify(file, null, 1) + "\n");
}

function cellToFile(cell: Cell): Record<string, unknown> {
  const source = lines(cell.source);
  if (cell.cell_type !== "code") return { ...cell, source };
  const outputs = cell.outputs.map((output) => {
    if (output.output_type === "stream") return { ...output, text: lines(output.text) };
    if (output.output_type === "error") return output;
    const data = Object.entries(output.data).map(([type, value]) =>
      [type, typeof value === "string" && isText(type) ? lines(value) : value] as const
    );
    return { ...output, data: Object.fromEntries(data) };
  });
  return { ...cell, source, outputs };
}

function isText(type: string): boolean {
  return type.startsWith("text/") || type === "image/svg+xml";
}

function lines(joined: string): string[] {
  return joined === "" ? [] : joined.split(/(?<=\n)/);
}

/** A representation of an output as text; nbformat allows a string or a list of lines. */
export function outputText(value: unknown): string {
  return Array.isArray(value) ? value.join("") : typeof value === "string" ? value : JSON.stringify(value);
}

/** The first line of a cell that says something, for messages. */
export function excerpt(source: string, limit = 60): string {
  const line = source.split("\n").map((one) => one.trim()).find((one) => one && !one.startsWith("//")) ??
    source.trim().split("\n")[0] ?? "";
  return line.length > limit ? line.slice(0, limit - 1) + "…" : line;
}
