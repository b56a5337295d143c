/** Darknet's `.cfg` files as text: sections, options, line numbers. */

import { ModelError } from "../errors.ts";

/** One `key=value` line. */
export interface CfgOption {
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

/** One `[kind]` with its options. */
export interface CfgSection {
  /** Without brackets, e.g. "convolutional". */
  readonly kind: string;
  readonly line: number;
  readonly options: ReadonlyMap<string, CfgOption>;
}

/** A file's sections in order. */
export interface Cfg {
  /** Stands for the file in messages. */
  readonly name: string;
  readonly sections: readonly CfgSection[];
}

/** Longer texts are no network. */
const LONGEST = 4 << 20;

/**
 * Splits a `.cfg` text as Darknet does: blanks count nowhere, lines that begin with # or ; are comments. What follows a # or ;
 * on an option's line is taken for a comment too. Throws ModelError, with the line, for anything that is neither a section nor
 * an option, for an option given twice with different values, and for a file that is no text.
 */
export function parseCfg(source: string | Uint8Array, { name = "cfg" }: { name?: string } = {}): Cfg {
  const text = typeof source === "string" ? source : decode(source, name);
  const sections: { kind: string; line: number; options: Map<string, CfgOption> }[] = [];
  for (const [at, raw] of text.split("\n").entries()) {
    const line = at + 1, place = `${name}:${line}`;
    const content = raw.replace(/\s+/g, "");
    if (content === "" || content.startsWith("#") || content.startsWith(";")) continue;
    if (content.startsWith("[")) {
      const kind = /^\[([A-Za-z0-9_]+)\](?:[#;].*)?$/.exec(content)?.[1];
      if (kind === undefined) throw new ModelError(`${place}: expected a section such as [net], found ${shown(raw)}`);
      sections.push({ kind, line, options: new Map() });
      continue;
    }
    const [, key, value] = /^([A-Za-z0-9_]+)=([^#;]*)/.exec(content) ?? [];
    if (key === undefined || value === undefined) {
      throw new ModelError(`${place}: expected a section or key=value, found ${shown(raw)}`);
    }
    const options = sections.at(-1)?.options;
    if (!options) throw new ModelError(`${place}: expected a section before the first option, found ${shown(raw)}`);
    const before = options.get(key);
    if (before && before.value !== value) {
      throw new ModelError(
        `${place}: expected ${key} once, found it with ${shown(before.value)} on line ${before.line} and ${
          shown(value)
        }`,
      );
    }
    if (!before) options.set(key, { value, line });
  }
  const [first] = sections;
  if (!first) throw new ModelError(`${name}: expected sections such as [net] and [convolutional], found none`);
  if (first.kind !== "net" && first.kind !== "network") {
    throw new ModelError(`${name}:${first.line}: expected [net] as the first section, found [${first.kind}]`);
  }
  return { name, sections };
}

/** The text of a `.cfg` file. */
export function formatCfg(
  sections: readonly { kind: string; options: Readonly<Record<string, string | number>> }[],
): string {
  return sections.map(({ kind, options }) =>
    [`[${kind}]`, ...Object.entries(options).map(([key, value]) => `${key}=${value}`)].join("\n") + "\n"
  ).join("\n");
}

/** Reads the options of one section, and knows in the end whether all were read. */
export class CfgReader {
  readonly #cfg: string;
  readonly #section: CfgSection;
  readonly #read = new Set<string>();

  constructor(cfg: string, section: CfgSection) {
    this.#cfg = cfg;
    this.#section = section;
  }

  /** A whole number. Throws ModelError when it is none in low … high, or is missing and has no fallback. */
  int(key: string, low: number, high: number, fallback?: number): number {
    const expectation = `a whole number in ${low} … ${high}`;
    const option = this.#option(key);
    if (!option && fallback !== undefined) return fallback;
    const value = Number(option?.value);
    if (option && /^[+-]?\d+$/.test(option.value) && value >= low && value <= high) return value;
    throw this.fail(`expected ${key} to be ${expectation}, found ${option ? shown(option.value) : "none"}`, key);
  }

  /** A number. Throws ModelError when it is none. */
  float(key: string, fallback: number): number {
    const option = this.#option(key);
    return option ? this.#number(key, option.value) : fallback;
  }

  /** A switch, 0 or 1. */
  flag(key: string, fallback = false): boolean {
    return this.int(key, 0, 1, Number(fallback)) === 1;
  }

  /** One of the words. */
  word<Word extends string>(key: string, words: readonly Word[], fallback: Word): Word {
    const option = this.#option(key);
    if (!option) return fallback;
    const word = words.find((each) => each === option.value);
    if (word !== undefined) return word;
    throw this.fail(`expected ${key} to be one of ${words.join(", ")}, found ${shown(option.value)}`, key);
  }

  /** Numbers between commas; undefined when the option is missing. A comma at the end is no fault, as in Darknet. */
  numbers(key: string): number[] | undefined {
    const option = this.#option(key);
    const parts = option?.value.replace(/,$/, "").split(",");
    return parts?.map((part) => this.#number(key, part));
  }

  /** Options that only training reads. */
  ignore(keys: readonly string[]): void {
    for (const key of keys) this.#read.add(key);
  }

  /** Options that change the arithmetic in ways not known here: only the value that changes nothing may stand there. */
  neutral(values: Readonly<Record<string, number>>): void {
    for (const [key, value] of Object.entries(values)) {
      const option = this.#option(key);
      if (option && Number(option.value) !== value) {
        throw this.fail(`expected ${key}=${value} (nothing else is supported), found ${shown(option.value)}`, key);
      }
    }
  }

  /** Throws ModelError, with the line, for an option that nothing has read. */
  finish(): void {
    for (const key of this.#section.options.keys()) {
      if (!this.#read.has(key)) throw this.fail(`expected an option that is known, found ${key}`, key);
    }
  }

  /** An error that names file, line and section. */
  fail(message: string, key?: string): ModelError {
    const line = (key === undefined ? undefined : this.#section.options.get(key)?.line) ?? this.#section.line;
    return new ModelError(`${this.#cfg}:${line}: [${this.#section.kind}]: ${message}`);
  }

  #option(key: string): CfgOption | undefined {
    this.#read.add(key);
    return this.#section.options.get(key);
  }

  #number(key: string, text: string): number {
    const value = Number(text);
    if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(value)) return value;
    throw this.fail(`expected ${key} to be a number, found ${shown(text)}`, key);
  }
}

function decode(bytes: Uint8Array, name: string): string {
  if (bytes.length > LONGEST) {
    throw new ModelError(`${name}: expected a .cfg text of at most ${LONGEST} bytes, found ${bytes.length}`);
  }
  const text = new TextDecoder().decode(bytes); // drops a byte order mark
  // deno-lint-ignore no-control-regex
  const strange = /[\u0000-\u0008\u000e-\u001f]/.test(text);
  if (strange) throw new ModelError(`${name}: expected a .cfg text, found binary data`);
  return text;
}

function shown(text: string): string {
  const line = text.trim();
  return JSON.stringify(line.length > 60 ? line.slice(0, 59) + "…" : line);
}
