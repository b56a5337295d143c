/** What a cell shows: several representations of one thing, sent to the notebook or printed where there is none. */

/** Representations by media type: text as strings, pictures as base64, JSON as values. */
export type MimeBundle = Record<string, unknown>;

/** The method by which the Deno kernel asks a value for its representations. */
export const jupyterDisplay: unique symbol = Symbol.for("Jupyter.display") as never;

/** A value that a cell can end with. `text/plain` is always among its representations. */
export interface Displayable {
  [jupyterDisplay](): MimeBundle | Promise<MimeBundle>;
}

/** Media types of our own, by which the report and the runner know what a picture or a text stands for. */
export const mime = {
  chart: "application/vnd.pokedex.chart+json",
  table: "application/vnd.pokedex.table+json",
  pictures: "application/vnd.pokedex.pictures+json",
  keyFigure: "application/vnd.pokedex.key-figure+json",
  leaderboard: "application/vnd.pokedex.leaderboard+json",
  plotly: "application/vnd.plotly.v1+json",
} as const;

interface Jupyter {
  display(value: unknown, options?: { raw?: boolean; update?: boolean; display_id?: string }): Promise<void>;
}

/** The kernel's side of the notebook; undefined outside a Deno kernel (where reading the property may throw). */
export function jupyter(): Jupyter | undefined {
  try {
    return (Deno as unknown as { jupyter?: Jupyter }).jupyter;
  } catch {
    return undefined;
  }
}

/** Shows values one after another, for cells that show more than their last expression; prints text outside a notebook. */
export async function show(...values: readonly Displayable[]): Promise<void> {
  for (const value of values) await showBundle(await value[jupyterDisplay]());
}

/** Shows one bundle; with an id, `update` replaces what was shown under the id before. */
export async function showBundle(
  bundle: MimeBundle,
  { id, update = false }: { readonly id?: string; readonly update?: boolean } = {},
): Promise<void> {
  const notebook = jupyter();
  if (notebook) await notebook.display(bundle, { raw: true, ...(id ? { display_id: id, update } : {}) });
  else console.log(String(bundle["text/plain"] ?? ""));
}

/** Text in Markdown, for cells whose words depend on what was computed. */
export function markdown(text: string): Displayable {
  return { [jupyterDisplay]: () => ({ "text/markdown": text, "text/plain": text }) };
}

/** Text made safe to stand in HTML, between tags or in a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
