import { vi } from "vitest";
import type { ShiftedClock } from "./shifted-clock.ts";

/** Time passes in steps, by default such that no call in flight outlives them, until it holds: waits of throttled projects grow. */
export async function passUntil(
  clock: ShiftedClock,
  holds: () => Promise<boolean> | boolean,
  step = 20_000,
): Promise<void> {
  await vi.waitFor(
    async () => {
      if (await holds()) return;
      clock.advance(step);
      throw new Error("not yet");
    },
    { timeout: 90_000, interval: 700 / clock.pace },
  );
}
