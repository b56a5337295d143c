/**
 * Large JSON files piece by piece: the elements of long arrays are parsed one at a time, so that a file of hundreds of
 * megabytes needs little more memory than its bytes, and one that is no JSON, or nested without end, is refused at its
 * first wrong byte instead of filling the memory.
 */

import { reason } from "../../runtime/mod.ts";
import { EvaluateError } from "../errors.ts";

/** The longest single element, in bytes. */
const LONGEST = 16 * 2 ** 20;
/** The deepest nesting. */
const DEEPEST = 64;
/** The largest file. */
const LARGEST = 2 ** 31 - 1;

const code = (character: string) => character.charCodeAt(0);
const QUOTE = code('"'), BACKSLASH = code("\\"), COMMA = code(","), COLON = code(":");
const BRACE = code("{"), BRACE_END = code("}"), BRACKET = code("["), BRACKET_END = code("]");

/** A regular file's bytes. Throws EvaluateError when there is none or it is larger than 2 GiB. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) throw new EvaluateError(`${path}: expected a JSON file, found something else`);
    if (size > LARGEST) throw new EvaluateError(`${path}: expected at most ${LARGEST} bytes, found ${size}`);
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof EvaluateError) throw error;
    throw new EvaluateError(`${path}: expected a JSON file, found ${reason(error)}`, { cause: error });
  }
}

/** Reads a document from its beginning to its end. Whatever is wrong throws EvaluateError, which names file and place. */
export class JsonScanner {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #at = 0;

  /** `name` stands for the file in messages. */
  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#name = name;
  }

  /** An error about a place in the file. */
  fail(place: string, message: string): EvaluateError {
    return new EvaluateError(`${this.#name}: ${place ? `${place}: ` : ""}${message}`);
  }

  /** Reads an object: `fields` read the values that they are named for, others must be JSON and are dropped. */
  object(fields: Readonly<Record<string, () => void>>, place = ""): void {
    this.#expect(BRACE, "an object", place);
    const seen = new Set<string>();
    if (this.#next(place) === BRACE_END) this.#at++;
    else {
      while (true) {
        if (this.#next(place) !== QUOTE) throw this.fail(place, `expected a field's name, found ${this.#found()}`);
        const key = String(this.value(place));
        if (seen.has(key)) throw this.fail(place, `expected each field once, found ${quoted(key)} twice`);
        seen.add(key);
        this.#expect(COLON, `":" after ${quoted(key)}`, place);
        if (Object.hasOwn(fields, key)) fields[key]!();
        else if (this.#next(place) === BRACKET) this.array(key, () => {});
        else this.value(key);
        if (this.#separator(BRACE_END, "}", place)) break;
      }
    }
    for (const key of Object.keys(fields)) {
      if (!seen.has(key)) {
        const found = [...seen].slice(0, 8).map(quoted).join(", ") || "none";
        throw this.fail(place, `expected the field ${quoted(key)}, found ${found}`);
      }
    }
  }

  /** Reads an array and hands over one element after the other. */
  array(place: string, visit: (element: unknown, index: number) => void): void {
    this.#expect(BRACKET, "an array", place);
    if (this.#next(place) === BRACKET_END) {
      this.#at++;
      return;
    }
    for (let index = 0;; index++) {
      visit(this.value(place, index), index);
      if (this.#separator(BRACKET_END, "]", place)) return;
    }
  }

  /** Reads a value of at most 16 MiB, nested at most 64 deep. */
  value(place: string, index?: number): unknown {
    this.#next(place);
    const from = this.#at;
    const here = () => index === undefined ? place : `${place}[${index}]`;
    this.#skip(here);
    const bytes = this.#bytes.subarray(from, this.#at);
    try {
      return JSON.parse(this.#decoder.decode(bytes));
    } catch (error) {
      const text = new TextDecoder().decode(bytes);
      const number = /(?<=[:,[\s]|^)-?(NaN|Infinity)\b/.exec(text)?.[0];
      const found = number ?? (text === "" ? this.#found() : (error as Error).message);
      throw this.fail(here(), `expected JSON, found ${found}`);
    }
  }

  /** Throws unless nothing but white space is left. */
  end(): void {
    this.#space();
    if (this.#at < this.#bytes.length) throw this.fail("", `expected the end of the file, found ${this.#found()}`);
  }

  /** Moves behind a value. Brackets are counted; that the value is JSON, its parser says. */
  #skip(here: () => string): void {
    const bytes = this.#bytes, from = this.#at;
    let depth = 0;
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        for (at++; at < bytes.length && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
        if (depth === 0 && at - from <= LONGEST) {
          this.#at = Math.min(at + 1, bytes.length);
          return;
        }
      } else if (byte === BRACE || byte === BRACKET) {
        if (++depth > DEEPEST) throw this.fail(here(), `expected nesting of at most ${DEEPEST}, found more`);
      } else if (byte === BRACE_END || byte === BRACKET_END) {
        if (depth === 0 || --depth === 0) {
          this.#at = depth === 0 && (bytes[from] === BRACE || bytes[from] === BRACKET) ? at + 1 : at;
          return;
        }
      } else if (depth === 0 && (byte === COMMA || byte === COLON || isSpace(byte))) {
        this.#at = at;
        return;
      }
      if (at - from > LONGEST) throw this.fail(here(), `expected at most ${LONGEST} bytes, found more`);
    }
    this.#at = bytes.length;
    if (depth > 0) throw this.fail(here(), "expected JSON, found the end of the file");
  }

  /** Reads a comma, or the closing bracket: then true. */
  #separator(closing: number, text: string, place: string): boolean {
    const byte = this.#next(place);
    if (byte !== COMMA && byte !== closing) {
      throw this.fail(place, `expected "," or "${text}", found ${this.#found()}`);
    }
    this.#at++;
    return byte === closing;
  }

  #expect(byte: number, what: string, place: string): void {
    if (this.#next(place) !== byte) throw this.fail(place, `expected ${what}, found ${this.#found()}`);
    this.#at++;
  }

  /** The next byte that is no white space. */
  #next(place: string): number {
    this.#space();
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw this.fail(place, "expected JSON, found the end of the file");
    return byte;
  }

  #space(): void {
    while (this.#at < this.#bytes.length && isSpace(this.#bytes[this.#at]!)) this.#at++;
  }

  /** A few of the bytes that stand here, for messages. */
  #found(): string {
    if (this.#at >= this.#bytes.length) return "the end of the file";
    return JSON.stringify(new TextDecoder().decode(this.#bytes.subarray(this.#at, this.#at + 16)));
  }
}

function quoted(key: string): string {
  return JSON.stringify(key.length > 40 ? `${key.slice(0, 39)}…` : key);
}

function isSpace(byte: number): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9;
}
