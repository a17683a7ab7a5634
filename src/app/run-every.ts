import type { Clock } from "../ports/clock.ts";

/**
 * Runs a task again and again, `ms` after it ended, until the signal is aborted. A task that fails runs again at its
 * next turn. Known failures are reported by the part that failed; `onFailure` gets the unexpected ones.
 */
export async function runEvery(
  ms: number,
  clock: Clock,
  signal: AbortSignal,
  task: () => Promise<unknown> | unknown,
  onFailure: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await task();
    } catch (error) {
      if (!signal.aborted) onFailure(error);
    }
    await clock.sleep(ms, signal).catch(() => {});
  }
}
