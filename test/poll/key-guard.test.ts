import { afterEach, describe, expect, test } from "vitest";
import { CloudError } from "../../src/errors.ts";
import { KeyGuard, RETRY_REFUSED_MS } from "../../src/poll/key-guard.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { ManualClock } from "../support/manual-clock.ts";

const never = new AbortController().signal;
const stores: Store[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

async function scene() {
  const clock = new ManualClock();
  const store = await openStore(
    { url: "sqlite::memory:", keyPrefix: "t", shards: 1 },
    { exclusive: true, clock },
  );
  stores.push(store);
  const changes: boolean[] = [];
  const guard = () => new KeyGuard("print", store.notes, clock, (valid) => changes.push(valid));
  return { clock, changes, guard };
}

/** The note is written after the report returns. */
const written = async (guard: KeyGuard, until: (guard: KeyGuard) => boolean) => {
  await expect.poll(() => guard.refresh().then(() => until(guard)), { interval: 1 }).toBe(true);
};

describe("credentials that nobody accepted yet", () => {
  test("are tried by one call at a time", async () => {
    const { guard } = await scene();
    const one = guard();
    const first = await one.enter(never);
    let second = false;
    const waiting = one.enter(never).then((report) => {
      second = true;
      return report;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(second).toBe(false);
    first("accepted");
    (await waiting)("accepted");
    expect(one.accepted).toBe(true);
  });

  test("are tried by one replica at a time", async () => {
    const { guard, clock } = await scene();
    const [one, other] = [guard(), guard()];
    const first = await one.enter(never);
    const waiting = other.enter(never);
    await clock.untilSleeping();
    first("accepted");
    await written(one, (each) => each.accepted);
    await clock.advance(250);
    (await waiting)("accepted");
    expect(other.accepted).toBe(true);
  });

  test("are free again after an answer that says nothing of them", async () => {
    const { guard } = await scene();
    const one = guard();
    (await one.enter(never))("unclear");
    (await one.enter(never))("accepted");
    expect(one.accepted).toBe(true);
  });
});

describe("refused credentials", () => {
  async function refused() {
    const all = await scene();
    const one = all.guard();
    (await one.enter(never))("credentials_rejected");
    await written(one, (each) => !each.valid);
    return { ...all, one };
  }

  test("stop every call at once, here and on other replicas, and say so once", async () => {
    const { guard, one, changes } = await refused();
    await expect(one.enter(never)).rejects.toThrow(CloudError);
    await expect(guard().enter(never)).rejects.toThrow(/less than five minutes ago/);
    expect(one.open).toBe(false);
    expect(changes).toContain(false);
  });

  test("are tried again once in five minutes, by one replica", async () => {
    const { guard, one, clock } = await refused();
    await clock.advance(RETRY_REFUSED_MS);
    const other = guard();
    const trial = await one.enter(never);
    await expect(other.enter(never)).rejects.toThrow(CloudError);
    trial("credentials_rejected");
    await written(one, (each) => !each.open);
    await clock.advance(RETRY_REFUSED_MS - 1_000);
    await expect(one.enter(never)).rejects.toThrow(CloudError);
    await clock.advance(1_000);
    (await other.enter(never))("accepted");
    await written(one, (each) => each.accepted);
    expect(one.valid).toBe(true);
  });

  test("are remembered through a restart", async () => {
    const { guard, clock } = await refused();
    await clock.advance(60_000);
    const restarted = guard();
    await restarted.refresh();
    expect(restarted.valid).toBe(false);
    await expect(restarted.enter(never)).rejects.toThrow(CloudError);
  });

  test("a clock that is set back by hours does not lock them for hours", async () => {
    const { one, clock } = await refused();
    clock.jump(-3 * 3_600_000);
    (await one.enter(never))("accepted");
    expect(one.valid).toBe(true);
  });

  test("a trial that found no answer waits its five minutes too", async () => {
    const { one, clock } = await refused();
    await clock.advance(RETRY_REFUSED_MS);
    (await one.enter(never))("unclear");
    await expect(one.enter(never)).rejects.toThrow(CloudError);
  });
});
