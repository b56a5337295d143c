/** Errors that people read: one line, naming the input, the expectation and the finding. */

/**
 * The caller's input was wrong: an argument, a file, a setting. Commands end with status 2.
 * The message is one line; more lines are joined so that a log stays readable.
 */
export class InputError extends Error {
  override name = "InputError";
  readonly exitStatus: number = 2;
  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message), options);
  }
}

/** The input was right, the work failed: full disk, dead worker, lost connection. Commands end with status 1. */
export class WorkError extends Error {
  override name = "WorkError";
  readonly exitStatus: number = 1;
  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message), options);
  }
}

/** How a command ends that failed with this error: what the error says of itself, else 1. */
export function exitStatusOf(error: unknown): number {
  const status = error instanceof Error && "exitStatus" in error ? error.exitStatus : undefined;
  return typeof status === "number" ? status : 1;
}

/** The text of anything thrown, on one line of at most `limit` characters. */
export function describeError(error: unknown, limit = 400): string {
  const text = oneLine(error instanceof Error ? error.message || error.name : String(error));
  return text.length > limit ? text.slice(0, limit - 1) + "…" : text;
}

function oneLine(text: string): string {
  return text.replace(/\s*\r?\n\s*/g, "; ").trim();
}
