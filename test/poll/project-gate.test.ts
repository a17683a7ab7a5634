import { expect, test } from "vitest";
import { Gates } from "../../src/app/gates.ts";
import { CloudError } from "../../src/errors.ts";
import { FRESH_MS } from "../../src/poll/pacer.ts";
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

test("three calls in a row that timed out are a silence, which lasts until a call is answered", async () => {
  const { clock, replica } = await scene();
  const gate = replica();
  const began = clock.now();
  const call = async (error: CloudError | null) => {
    const entering = gate.enter("list_tasks", new AbortController().signal);
    await clock.advance(1_000);
    (await entering)({ status: error === null ? 200 : "error", seconds: 1, error });
  };
  await call(null);
  const timeout = new CloudError("timeout", "no answer");
  for (let calls = 1; calls <= 3; calls++) {
    expect(gate.silence).toBeNull();
    await call(timeout);
  }
  expect(gate.silence).toMatchObject({ count: 3, cause: "timeout", since: began + 1_000 });
  await call(null);
  expect(gate.silence).toBeNull();
});

test("after a refusal at another replica no call starts with a token that was taken ahead more than a moment before", async () => {
  const clock = new ManualClock();
  const store = await memoryStore(clock);
  let asks = 0;
  const shared: Pick<Store, "kind" | "budget" | "notes"> = {
    kind: "redis",
    notes: store.notes,
    budget: {
      async take(...wanted) {
        asks += 1;
        await clock.sleep(1);
        return store.budget.take(...wanted);
      },
    },
  };
  const replica = () => new Gates(shared, clock, () => {}).gate("p", 100, "print");
  const [one, other] = [replica(), replica()];
  const { signal } = new AbortController();
  (await one.key.enter(signal))("accepted");
  await clock.advance(1);
  await other.key.refresh();
  const starts: number[] = [];
  const poll = async () => {
    const own = new AbortController();
    const paidAt = await other.token(own.signal);
    other.prepay(own.signal, paidAt);
    const report = await other.enter("list_tasks", own.signal);
    starts.push(clock.monotonic());
    report(GOOD);
  };
  const stopped: unknown[] = [];
  const pollFor = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 20) {
      void poll().catch((error) => stopped.push(error));
      await clock.advance(20);
    }
  };
  await pollFor(3_000);
  expect(asks).toBeLessThan(starts.length);
  one.key.reporter("credentials_rejected");
  const refusedAt = clock.monotonic();
  await pollFor(1_000);
  expect(stopped.length).toBeGreaterThan(20);
  expect(Math.max(...starts)).toBeLessThanOrEqual(refusedAt + FRESH_MS);
});
