import type { Clock } from "../ports/clock.ts";

/**
 * Runs a chore again and again, `ms` after it ended, until the signal is aborted. A failing one only waits for its
 * next turn: what makes it fail is told by whoever failed, `onFailure` is for what nobody foresaw.
 */
export async function runEvery(
  ms: number,
  clock: Clock,
  signal: AbortSignal,
  chore: () => Promise<unknown> | unknown,
  onFailure: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await chore();
    } catch (error) {
      if (!signal.aborted) onFailure(error);
    }
    await clock.sleep(ms, signal).catch(() => {});
  }
}
