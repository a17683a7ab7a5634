import { expect, test } from "vitest";
import { ObservedStore } from "../../src/app/observed-store.ts";
import { StoreError, type StoreErrorCode } from "../../src/errors.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

/** A store whose pings fail with a code while one is set. */
async function scene() {
  const clock = new ManualClock();
  const inner = await memoryStore(clock);
  const told: string[] = [];
  let code: StoreErrorCode | null = null;
  const ping = async () => {
    if (code !== null) throw new StoreError(code, code);
    await inner.ping();
  };
  const observed = new ObservedStore({ ...inner, ping }, clock, ({ kind }) => {
    if (kind !== "store.operation") told.push(kind);
  });
  return {
    clock,
    told,
    observed,
    store: observed.store,
    ping: async (fails: StoreErrorCode | null) => {
      code = fails;
      await observed.store.ping().catch(() => {});
    },
  };
}

test("an outage is told when it begins, every hour while it lasts, and when it ends", async () => {
  const { clock, told, ping } = await scene();
  for (let tries = 0; tries < 100; tries++) await ping("unavailable");
  expect(told).toEqual(["store.down"]);
  await clock.advance(3_600_000);
  for (let tries = 0; tries < 100; tries++) await ping("unavailable");
  expect(told).toEqual(["store.down", "store.down"]);
  await ping(null);
  expect(told).toEqual(["store.down", "store.down", "store.up"]);
});

test("a database that is damaged as a whole stays down, and nothing touches it any more", async () => {
  const { told, observed, store, ping } = await scene();
  await ping("unavailable");
  await ping("corrupt");
  await ping(null);
  await expect(store.state.load(0)).rejects.toMatchObject({ code: "corrupt" });
  expect([observed.up, observed.damaged]).toEqual([false, true]);
  expect(told).toEqual(["store.down", "store.down"]);
});

test.each(["mismatch", "unreadable"] as const)(
  "what is wrong with one key (%s) is no outage",
  async (code) => {
    const { told, observed, ping } = await scene();
    await ping(code);
    expect(observed.up).toBe(true);
    expect(told).toEqual([]);
  },
);
