/** Tries again, with growing pauses, what may fail for a passing reason. */

export interface RetryOptions {
  /** Attempts in all, the first included. */
  readonly attempts?: number;
  /** Pause before the second attempt, in milliseconds; doubled for each further one. */
  readonly firstPauseMs?: number;
  /** The longest pause, in milliseconds. */
  readonly longestPauseMs?: number;
  /** Whether this error may pass; by default every error may. */
  readonly isPassing?: (error: unknown) => boolean;
  /** A number in [0, 1) that spreads the pauses; 0.5 gives the plain doubling. */
  readonly jitter?: () => number;
  /** Told before each pause. */
  readonly onRetry?: (error: unknown, attempt: number, pauseMs: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Runs `work` until it succeeds, with exponential back-off and jitter between attempts.
 * Throws the last error when the attempts are used up or the error is not a passing one.
 */
export async function retry<T>(work: (attempt: number) => Promise<T>, {
  attempts = 5,
  firstPauseMs = 500,
  longestPauseMs = 30_000,
  isPassing = () => true,
  jitter = Math.random,
  onRetry,
  signal,
}: RetryOptions = {}): Promise<T> {
  for (let attempt = 1;; attempt++) {
    signal?.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      if (attempt >= attempts || !isPassing(error)) throw error;
      const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1)) * (0.5 + jitter());
      onRetry?.(error, attempt, pause);
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(resolve, pause);
        signal?.addEventListener("abort", () => {
          clearTimeout(timer);
          reject(signal.reason);
        }, { once: true });
      });
    }
  }
}
