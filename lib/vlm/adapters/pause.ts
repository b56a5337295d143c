/** Long work that can be watched and ended. */

/** Lets timers and signals of the program run, then throws the signal's reason if it was aborted. */
export async function pause(signal: AbortSignal | undefined): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  signal?.throwIfAborted();
}
