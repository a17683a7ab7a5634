import { expect, test } from "vitest";
import { Gates } from "../../src/app/gates.ts";
import type { Store } from "../../src/ports/store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

const RATE = 10;
async function scene() {
  const clock = new ManualClock();
  const store = await memoryStore(clock);
  let tokens = 0;
  const budget: Store["budget"] = {
    async take(...args) {
      const taken = await store.budget.take(...args);
      tokens += taken.granted;
      return taken;
    },
  };
  const replica = () => new Gates({ ...store, budget }, clock, () => {}).gate("p", RATE, "print");
  return { clock, replica, tokens: () => tokens };
}

const GOOD = { status: 200, seconds: 0, error: null } as const;

test("the token of a poll that could not call at once has lapsed: the call takes another one", async () => {
  const { clock, replica, tokens } = await scene();
  const gate = replica();
  for (const [wait, taken] of [
    [0, 1],
    [50, 1],
    [5_000, 2],
  ] as const) {
    const before = tokens();
    const { signal } = new AbortController();
    let paidAt: number | null = null;
    void gate.token(signal).then((at) => {
      paidAt = at;
    });
    while (paidAt === null) await clock.advance(1);
    gate.prepay(signal, paidAt);
    await clock.advance(wait);
    const call = gate.enter("list_tasks", signal);
    await clock.advance(1_000);
    (await call)(GOOD);
    expect(tokens() - before, `used after ${wait} ms`).toBe(taken);
  }
});
