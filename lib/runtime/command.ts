/** A command line: arguments, help, one-line errors and exit statuses, the same for every task. */

import { parseArgs } from "node:util";
import { describeError, exitStatusOf, InputError } from "./errors.ts";

/** One flag: `--name`, with a value unless it is boolean. */
export interface Flag {
  readonly type: "string" | "boolean";
  /** One line for `--help`. */
  readonly help: string;
  readonly default?: string | boolean;
  /** The value's name in `--help`, e.g. "DIR". */
  readonly value?: string;
}

export interface Command<Flags extends Record<string, Flag>> {
  /** How it is called, e.g. "deno task data build". */
  readonly usage: string;
  /** What it does, one or two sentences. */
  readonly about: string;
  readonly flags: Flags;
  /** What may stand beside the flags, for messages; by default nothing. */
  readonly operands?: string;
  /** Does the work. What it returns is printed as the one JSON document when `--json` was given. */
  run(values: FlagValues<Flags>, operands: string[]): Promise<unknown>;
}

export type FlagValues<Flags extends Record<string, Flag>> =
  & {
    readonly [Name in keyof Flags]: Flags[Name] extends { type: "boolean" } ? boolean
      : Flags[Name] extends { default: string } ? string
      : string | undefined;
  }
  & { readonly json: boolean };

/**
 * Runs a command and ends the process: 0 done, 1 the work failed, 2 the arguments or the input were wrong.
 * A result with `ok: false` also ends with 1. Errors are one line on stderr.
 */
export async function runCommand<Flags extends Record<string, Flag>>(
  command: Command<Flags>,
  args: readonly string[] = Deno.args,
): Promise<never> {
  try {
    const parsed = parse(command, args);
    if (parsed === "help") {
      console.log(helpText(command));
      Deno.exit(0);
    }
    const result = await command.run(parsed.values, parsed.operands);
    if (parsed.values.json) console.log(JSON.stringify(result ?? {}, null, 2));
    Deno.exit(isFailure(result) ? 1 : 0);
  } catch (error) {
    console.error(`error: ${describeError(error, 2000)}`);
    if (Deno.env.get("POKEDEX_TRACE") && error instanceof Error) console.error(error.stack);
    Deno.exit(exitStatusOf(error));
  }
}

function isFailure(result: unknown): boolean {
  return typeof result === "object" && result !== null && "ok" in result && result.ok === false;
}

function parse<Flags extends Record<string, Flag>>(command: Command<Flags>, args: readonly string[]) {
  if (args.includes("--help") || args.includes("-h")) return "help" as const;
  const options: Record<string, { type: "string" | "boolean"; default?: string | boolean }> = {
    json: { type: "boolean", default: false },
  };
  for (const [name, flag] of Object.entries(command.flags)) {
    const fallback = flag.default ?? (flag.type === "boolean" ? false : undefined);
    options[name] = fallback === undefined ? { type: flag.type } : { type: flag.type, default: fallback };
  }
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new InputError(`${command.usage}: ${(error as Error).message}; see --help`, { cause: error });
  }
  if (!command.operands && parsed.positionals.length) {
    throw new InputError(`${command.usage}: expected flags only, found "${parsed.positionals[0]}"; see --help`);
  }
  return { values: parsed.values as FlagValues<Flags>, operands: parsed.positionals };
}

function helpText<Flags extends Record<string, Flag>>(command: Command<Flags>): string {
  const flags: Record<string, Flag> = {
    ...command.flags,
    json: { type: "boolean", help: "one JSON document on stdout, text for people on stderr" },
    help: { type: "boolean", help: "this text" },
  };
  const rows = Object.entries(flags).map(([name, flag]) => {
    const left = flag.type === "string" ? `--${name} ${flag.value ?? "VALUE"}` : `--${name}`;
    const standard = typeof flag.default === "string" ? ` (default: ${flag.default})` : "";
    return [left, flag.help + standard] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    `${command.usage}${command.operands ? " " + command.operands : ""} [flags]`,
    "",
    command.about,
    "",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
  ].join("\n");
}

/** A whole number from a flag; InputError when it is not one in the range. */
export function integerFlag(name: string, text: string, lowest: number, highest = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value < lowest || value > highest) {
    throw new InputError(
      `--${name}: expected a whole number ${
        highest === Number.MAX_SAFE_INTEGER ? `≥ ${lowest}` : `in ${lowest} … ${highest}`
      }, found "${text}"`,
    );
  }
  return value;
}
