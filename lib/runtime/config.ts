/** Configuration files: YAML, a strict schema, and errors that point at the line. */

import { isMap, isNode, isScalar, LineCounter, parseDocument, YAMLMap } from "yaml";
import type { Document, Node } from "yaml";
import { z } from "zod";
import { InputError } from "./errors.ts";
import { reason } from "./files.ts";

/** A value of a YAML file. */
export type YamlValue = null | boolean | number | string | YamlValue[] | { [key: string]: YamlValue };

/**
 * Reads a YAML file, lays the overlays over it in order (maps are merged key by key, anything else is replaced) and
 * checks the result. Throws InputError naming file, line, column, what was expected and what was found: for a missing or
 * unreadable file, broken YAML, a key that the schema does not know, a wrong type, a value out of range.
 */
export async function readConfig<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  overlays: readonly string[] = [],
): Promise<z.output<Schema>> {
  const layers = await Promise.all([path, ...overlays].map(readLayer));
  const merged = layers.map((layer) => layer.document.toJS() as YamlValue).reduce(mergeConfig);
  return checked(merged ?? {}, schema, (path) => locate(path, layers));
}

/** Checks YAML text as `readConfig` does; `name` stands for the file in messages. */
export function parseConfig<Schema extends z.ZodType>(text: string, schema: Schema, name: string): z.output<Schema> {
  const layer = parseLayer(text, name);
  return checked((layer.document.toJS() as YamlValue) ?? {}, schema, (path) => locate(path, [layer]));
}

/** Checks settings that stand in no file, as `readConfig` does; `name` says in messages whose they are. */
export function checkConfig<Schema extends z.ZodType>(value: unknown, schema: Schema, name: string): z.output<Schema> {
  return checked(value as YamlValue, schema, () => name);
}

/** Lays `over` on `base`: maps are merged key by key, anything else is replaced. */
export function mergeConfig(base: YamlValue, over: YamlValue): YamlValue {
  if (!isRecord(base) || !isRecord(over)) return over === undefined || over === null ? base : over;
  const result: { [key: string]: YamlValue } = { ...base };
  for (const [key, value] of Object.entries(over)) {
    result[key] = key in base ? mergeConfig(base[key] as YamlValue, value) : value;
  }
  return result;
}

interface Layer {
  readonly name: string;
  readonly document: Document;
  readonly lines: LineCounter;
}

async function readLayer(path: string): Promise<Layer> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected a YAML file, found ${reason(error)}`, { cause: error });
  }
  return parseLayer(text, path);
}

function parseLayer(text: string, name: string): Layer {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const [error] = document.errors;
  if (error) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw new InputError(`${name}:${line}:${col}: expected YAML, found: ${error.message}`);
  }
  if (document.contents !== null && !isMap(document.contents)) {
    throw new InputError(`${name}:1:1: expected a map of settings, found ${JSON.stringify(document.toJS())}`);
  }
  try {
    document.toJS({ maxAliasCount: 100 }); // refuses the "billion laughs"
  } catch (cause) {
    throw new InputError(`${name}: expected few aliases, found: ${(cause as Error).message}`, { cause });
  }
  return { name, document, lines };
}

function checked<Schema extends z.ZodType>(
  value: YamlValue,
  schema: Schema,
  place: (path: readonly (string | number)[]) => string,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InputError(issueText(parsed.error.issues[0]!, value, place));
}

function issueText(
  issue: z.core.$ZodIssue,
  value: YamlValue,
  placeOf: (path: readonly (string | number)[]) => string,
): string {
  let path = issue.path.map((key) => typeof key === "symbol" ? String(key) : key);
  let expected: string;
  let found = show(valueAt(value, path));
  if (issue.code === "unrecognized_keys") {
    path = [...path, issue.keys[0]!];
    expected = "a known key";
    found = `"${issue.keys[0]}"`;
  } else if (issue.code === "invalid_type") expected = issue.expected;
  else if (issue.code === "too_small") expected = `at least ${issue.minimum}`;
  else if (issue.code === "too_big") expected = `at most ${issue.maximum}`;
  else if (issue.code === "invalid_value") expected = issue.values.map(String).join(" or ");
  else expected = issue.message;
  return `${placeOf(path)}: ${path.join(".") || "the file"}: expected ${expected}, found ${found}`;
}

/** "file:line:column" of a key in the topmost layer that has it, else of the nearest parent. */
function locate(path: readonly (string | number)[], layers: readonly Layer[]): string {
  for (let depth = path.length; depth > 0; depth--) {
    for (const layer of [...layers].reverse()) {
      const node = keyNode(layer.document, path.slice(0, depth));
      if (!node?.range) continue;
      const { line, col } = layer.lines.linePos(node.range[0]);
      return `${layer.name}:${line}:${col}`;
    }
  }
  return `${layers[0]!.name}:1:1`;
}

function keyNode(document: Document, path: readonly (string | number)[]): Node | undefined {
  const last = path.at(-1);
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const pair = (parent as YAMLMap).items.find((item) =>
      isScalar(item.key) ? item.key.value === last : item.key === last
    );
    return isNode(pair?.key) ? pair.key : undefined;
  }
  const node = document.getIn(path, true);
  return isNode(node) ? node : undefined;
}

function valueAt(value: YamlValue | undefined, path: readonly (string | number)[]): YamlValue | undefined {
  let at: YamlValue | undefined = value;
  for (const key of path) {
    if (Array.isArray(at)) at = at[Number(key)];
    else if (isRecord(at)) at = at[key];
    else return undefined;
  }
  return at;
}

function show(value: YamlValue | undefined): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 60 ? text.slice(0, 59) + "…" : text;
}

function isRecord(value: YamlValue | undefined): value is { [key: string]: YamlValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
