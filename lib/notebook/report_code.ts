/** Code of a report, highlighted; only the languages that notebooks here hold. */

import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import json from "highlight.js/lib/languages/json";
import typescript from "highlight.js/lib/languages/typescript";
import yaml from "highlight.js/lib/languages/yaml";
import { escapeHtml } from "./display.ts";

hljs.registerLanguage("typescript", typescript);
hljs.registerLanguage("bash", bash);
hljs.registerLanguage("json", json);
hljs.registerLanguage("yaml", yaml);

/** Code as HTML with classes `hljs-…`; of an unknown language, as escaped text. */
export function highlightCode(code: string, language: string): string {
  const known = hljs.getLanguage(language);
  return known ? hljs.highlight(code, { language, ignoreIllegals: true }).value : escapeHtml(code);
}

/** Text without terminal colours and other escape sequences; a carriage return overwrites its line, as in a terminal. */
export function plainText(text: string): string {
  return text
    // deno-lint-ignore no-control-regex -- escape sequences begin with a control character
    .replace(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g, "")
    .replaceAll("\r\n", "\n")
    .replace(/^.*\r(?=.)/gm, "")
    .replace(/(?![\t\n])\p{Cc}/gu, "");
}
