/** Tables and figures below headings in one page that needs nothing else. */

import { type Displayable, escapeHtml, jupyterDisplay } from "./display.ts";
import { page } from "./report.ts";
import { outputHtml } from "./report_output.ts";

/** A heading and what stands below it; nothing: the section is left out. */
export type PageSection = readonly [heading: string, shown: readonly Displayable[]];

/** The page as HTML. */
export async function figurePage(title: string, sections: readonly PageSection[]): Promise<string> {
  const body: string[] = [];
  for (const [heading, shown] of sections) {
    if (shown.length === 0) continue;
    body.push(`<section class="markdown"><h2>${escapeHtml(heading)}</h2></section>`);
    for (const item of shown) body.push(`<section class="cell">${await shownHtml(item)}</section>`);
  }
  return await page({
    title,
    header: `<header><p class="eyebrow">Pokédex</p><h1>${escapeHtml(title)}</h1></header>`,
    contents: "",
    body: body.join("\n"),
    plotly: sections.some(([, shown]) => shown.some((item) => "plotly" in item)),
    home: false,
  });
}

async function shownHtml(item: Displayable): Promise<string> {
  const data = await item[jupyterDisplay]();
  return await outputHtml({ output_type: "display_data", data, metadata: {} }, { quality: 88, maxWidth: 2000 });
}
