/** Markdown of notebooks as safe HTML: raw HTML is shown as text, `$…$` and `$$…$$` become MathML, headings get anchors. */

import katex from "katex";
import Markdown, { type MarkdownIt } from "markdown-it";
import { escapeHtml } from "./display.ts";
import { highlightCode } from "./report_code.ts";

/** A heading of the report, for its table of contents. */
export interface Heading {
  readonly level: number;
  readonly id: string;
  readonly text: string;
}

/** Renders the Markdown cells of one report; it remembers the headings so that their anchors are unique. */
export class MarkdownRenderer {
  readonly headings: Heading[] = [];
  readonly #markdown: MarkdownIt;

  constructor() {
    this.#markdown = new Markdown({
      html: false,
      linkify: true,
      highlight: (code: string, language: string) => highlightCode(code, language),
    });
    addMath(this.#markdown);
    const rules = this.#markdown.renderer.rules;
    rules["heading_open"] = (tokens, index) => {
      const token = tokens[index]!;
      const content = tokens[index + 1];
      const text = (content?.children ?? []).map((child) => child.content).join("").trim();
      const heading = { level: Number(token.tag.slice(1)), id: this.#anchor(text), text };
      this.headings.push(heading);
      return `<${token.tag} id="${heading.id}">`;
    };
    const image = rules["image"]!;
    rules["image"] = (tokens, index, options, env, self) => {
      const source = String(tokens[index]!.attrGet("src") ?? "");
      // a report loads nothing: a picture from elsewhere is a link
      if (source.startsWith("data:image/")) return image(tokens, index, options, env, self);
      return `<a href="${escapeHtml(source)}">${escapeHtml(tokens[index]!.content || source)}</a>`;
    };
    rules["table_open"] = () => `<div class="scroll"><table>`;
    rules["table_close"] = () => `</table></div>`;
  }

  render(text: string): string {
    return this.#markdown.render(text);
  }

  #anchor(text: string): string {
    const base = text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "section";
    const taken = (id: string) => this.headings.some((heading) => heading.id === id);
    let id = base;
    for (let n = 2; taken(id); n++) id = `${base}-${n}`;
    return id;
  }
}

/** A formula as MathML, which browsers draw without fonts of ours; a formula with a mistake is shown as it stands. */
export function renderMath(formula: string, displayMode: boolean): string {
  try {
    return katex.renderToString(formula, { output: "mathml", displayMode, throwOnError: true, maxExpand: 200 });
  } catch {
    return `<code class="bad-math">${escapeHtml(formula)}</code>`;
  }
}

function addMath(markdown: MarkdownIt): void {
  markdown.inline.ruler.after("escape", "math", (state, silent) => {
    const rest = state.src.slice(state.pos, state.posMax);
    // as in Pandoc: no blank inside the signs, no digit behind, so that "$5 and $6" is money
    const match = /^\$\$([^$]+)\$\$/.exec(rest) ?? /^\$(?!\s)((?:\\.|[^$\\])+?)(?<!\s)\$(?!\d)/s.exec(rest);
    if (!match) return false;
    if (!silent) {
      const token = state.push("math", "math", 0);
      token.content = match[1]!.trim();
      token.meta = { display: match[0].startsWith("$$") };
    }
    state.pos += match[0].length;
    return true;
  });
  markdown.block.ruler.before("fence", "math_block", (state, first, last, silent) => {
    const line = (n: number) => state.src.slice(state.bMarks[n]! + state.tShift[n]!, state.eMarks[n]!);
    if (!line(first).startsWith("$$")) return false;
    let end = first;
    const closes = (n: number) => line(n).trimEnd().endsWith("$$") && (n > first || line(n).trim().length > 4);
    while (end < last && !closes(end)) end++;
    if (end >= last) return false;
    if (silent) return true;
    const text = Array.from({ length: end - first + 1 }, (_, i) => line(first + i)).join("\n").trim();
    const token = state.push("math", "math", 0);
    token.content = text.slice(2, -2).trim();
    token.meta = { display: true };
    token.block = true;
    state.line = end + 1;
    return true;
  }, { alt: ["paragraph"] });
  markdown.renderer.rules["math"] = (tokens, index) => {
    const token = tokens[index]!;
    const display = Boolean((token.meta as { display?: boolean } | null)?.display);
    const html = renderMath(token.content, display);
    return display ? `<span class="scroll math">${html}</span>` : html;
  };
}
