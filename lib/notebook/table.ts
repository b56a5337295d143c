/** Tables for cells: numbers aligned on the right, in HTML and as text. */

import { type Displayable, escapeHtml, jupyterDisplay, mime, type MimeBundle } from "./display.ts";
import { InputError } from "../runtime/mod.ts";

/** What a table's cell can hold; null and undefined are left empty. */
export type TableValue = string | number | bigint | boolean | null | undefined;

/** One column. */
export interface TableColumn {
  /** The property of the rows. */
  readonly key: string;
  /** The heading; by default the key. */
  readonly title?: string | undefined;
  /** Unit, in brackets behind the heading. */
  readonly unit?: string | undefined;
  /** Digits behind the point; by default numbers are shown as they are, at most 4 digits behind the point. */
  readonly decimals?: number | undefined;
}

export interface TableOptions {
  /** Columns in order; by default all properties of the first row. A string is a key. */
  readonly columns?: readonly (string | TableColumn)[] | undefined;
  /** One sentence that says what to read from the table. */
  readonly caption?: string | undefined;
  /** Rows beyond are left out and counted below; by default 200. */
  readonly limit?: number | undefined;
}

/** What the report draws the table from: texts, already formatted. */
export interface TableData {
  readonly headings: readonly string[];
  /** Whether a column holds numbers. */
  readonly numeric: readonly boolean[];
  readonly rows: readonly (readonly string[])[];
  readonly caption: string;
  /** Rows left out. */
  readonly hidden: number;
}

/** A table that a cell can end with. Throws InputError for a column that no row has. */
export function table(rows: readonly Readonly<Record<string, TableValue>>[], options: TableOptions = {}): Displayable {
  const data = tableData(rows, options);
  return {
    [jupyterDisplay](): MimeBundle {
      return { [mime.table]: data, "text/html": tableHtml(data, true), "text/plain": tableText(data) };
    },
  };
}

/** A table as text, for terminals. Throws InputError for a column that no row has. */
export function plainTable(rows: readonly Readonly<Record<string, TableValue>>[], options: TableOptions = {}): string {
  return tableText(tableData(rows, options));
}

function tableData(rows: readonly Readonly<Record<string, TableValue>>[], options: TableOptions): TableData {
  const { caption = "", limit = 200 } = options;
  const columns = (options.columns ?? Object.keys(rows[0] ?? {})).map((column): TableColumn =>
    typeof column === "string" ? { key: column } : column
  );
  for (const { key } of columns) {
    if (rows.length && !rows.some((row) => key in row)) {
      throw new InputError(
        `table: expected the columns ${Object.keys(rows[0]!).join(", ")}, found "${key}"`,
      );
    }
  }
  return {
    headings: columns.map(({ key, title, unit }) => (title ?? key) + (unit ? ` (${unit})` : "")),
    numeric: columns.map(({ key }) => {
      const values = rows.map((row) => row[key]).filter((value) => value !== null && value !== undefined);
      return values.length > 0 && values.every((value) => typeof value === "number" || typeof value === "bigint");
    }),
    rows: rows.slice(0, limit).map((row) => columns.map(({ key, decimals }) => formatValue(row[key], decimals))),
    caption,
    hidden: Math.max(0, rows.length - limit),
  };
}

/** A value as text: numbers with thin groups of thousands, English signs. */
export function formatValue(value: TableValue, decimals?: number): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" && !Number.isFinite(value)) return Number.isNaN(value) ? "–" : value > 0 ? "∞" : "−∞";
  if (typeof value === "number" || typeof value === "bigint") {
    const digits = decimals === undefined
      ? { maximumFractionDigits: 4 }
      : { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    return new Intl.NumberFormat("en-US", digits).format(value).replace("-", "−");
  }
  return String(value);
}

/** The table in HTML; `inline` styles serve notebooks, the report has its own. It scrolls inside its box when it is wide. */
export function tableHtml(data: TableData, inline = false): string {
  const style = (text: string) => inline ? ` style="${text}"` : "";
  const cell = (tag: string, text: string, column: number) => {
    const numeric = data.numeric[column];
    return `<${tag}${numeric ? ` class="number"` : ""}${
      style(`padding:.25em .75em;text-align:${numeric ? "right" : "left"}`)
    }>${escapeHtml(text)}</${tag}>`;
  };
  const body = data.rows.map((row) => `<tr>${row.map((text, i) => cell("td", text, i)).join("")}</tr>`).join("\n");
  const below = [
    data.caption && escapeHtml(data.caption),
    data.hidden ? `${formatValue(data.hidden)} more rows are not shown.` : "",
  ].filter(Boolean).join(" ");
  return `<figure class="table"${style("margin:0 0 1em")}><div class="scroll"${style("overflow-x:auto")}><table${
    style("border-collapse:collapse;font-variant-numeric:tabular-nums")
  }>
<thead><tr>${data.headings.map((text, i) => cell("th", text, i)).join("")}</tr></thead>
<tbody>
${body}
</tbody></table></div>${below ? `<figcaption${style("opacity:.8")}>${below}</figcaption>` : ""}</figure>`;
}

/** The table as text with a rule below the headings. */
export function tableText(data: TableData): string {
  const lines = [data.headings, ...data.rows];
  const widths = data.headings.map((_, column) => Math.max(...lines.map((line) => [...line[column]!].length)));
  const draw = (line: readonly string[]) =>
    line.map((text, i) => data.numeric[i] ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)).join("  ").trimEnd();
  return [
    draw(data.headings),
    widths.map((width) => "─".repeat(width)).join("  "),
    ...data.rows.map(draw),
    ...(data.hidden ? [`… and ${formatValue(data.hidden)} more rows`] : []),
    ...(data.caption ? [data.caption] : []),
  ].join("\n");
}
