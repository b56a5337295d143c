/** Ctrl-C that lets work end cleanly; the second one ends the process at once. */

/** Watches for SIGINT (Ctrl-C) and SIGTERM until it is disposed. */
export interface Interrupt extends Disposable {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** How the process should end after it was interrupted: 128 and the signal's number, as shells count; else undefined. */
  readonly exitStatus: number | undefined;
}

const NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Listens. The first signal aborts `signal` and calls `onFirst`, which may say that work is being finished; a second one ends
 * the process with 130 or 143.
 */
export function watchInterrupt(onFirst: () => void = () => {}): Interrupt {
  const controller = new AbortController();
  let exitStatus: number | undefined;
  const handlers = (Object.keys(NUMBERS) as (keyof typeof NUMBERS)[])
    .filter((name) => Deno.build.os !== "windows" || name === "SIGINT")
    .map((name) => {
      const handle = () => {
        if (exitStatus !== undefined) Deno.exit(128 + NUMBERS[name]);
        exitStatus = 128 + NUMBERS[name];
        onFirst();
        controller.abort();
      };
      Deno.addSignalListener(name, handle);
      return { name, handle };
    });
  return {
    signal: controller.signal,
    get exitStatus() {
      return exitStatus;
    },
    [Symbol.dispose]() {
      for (const { name, handle } of handlers) Deno.removeSignalListener(name, handle);
    },
  };
}
