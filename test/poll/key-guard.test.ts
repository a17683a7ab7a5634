import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { CloudError, StoreError } from "../../src/errors.ts";
import { KeyGuard, RETRY_REFUSED_MS } from "../../src/poll/key-guard.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

const never = new AbortController().signal;
async function scene() {
  const clock = new ManualClock();
  const store = await memoryStore(clock);
  const changes: boolean[] = [];
  const guard = () => new KeyGuard("print", store.notes, clock, (refusal) => changes.push(refusal === null));
  return { clock, store, changes, guard };
}

/** The note is written after the report returns; another replica reads it then. */
const written = async (guard: () => KeyGuard, until: (guard: KeyGuard) => boolean) => {
  const reader = guard();
  await expect.poll(() => reader.refresh().then(() => until(reader)), { interval: 1 }).toBe(true);
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
    await written(guard, (each) => each.accepted);
    await clock.advance(250);
    (await waiting)("accepted");
    expect(other.accepted).toBe(true);
  });

  test("are not accepted by a token alone: the calls that it is for go one at a time", async () => {
    const { guard } = await scene();
    const one = guard();
    (await one.enter(never))("renewed");
    expect(one.accepted).toBe(false);
    const call = await one.enter(never);
    const next = one.enter(never);
    call("credentials_rejected");
    await expect(next).rejects.toThrow(CloudError);
  });

  test("leave nothing behind on the signal of an instance, however often they are tried", async () => {
    const one = (await scene()).guard();
    const { signal } = new AbortController();
    for (let call = 0; call < 100; call++) (await one.enter(signal))("unclear");
    await expect.poll(() => getEventListeners(signal, "abort").length).toBe(0);
  });

  test("are free again after an answer that says nothing of them", async () => {
    const { guard } = await scene();
    const one = guard();
    (await one.enter(never))("unclear");
    (await one.enter(never))("accepted");
    expect(one.accepted).toBe(true);
  });
});

describe("accepted credentials that are refused", () => {
  /** Calls that were let in while the credentials were good. */
  async function inFlight(count: number) {
    const all = await scene();
    const one = all.guard();
    (await one.enter(never))("accepted");
    await written(all.guard, (each) => each.accepted);
    const calls = await Promise.all(Array.from({ length: count }, () => one.enter(never)));
    all.changes.length = 0;
    return { ...all, one, calls };
  }

  test("let no call in from then on, though the store does not know it yet", async () => {
    const { one, calls, guard, changes } = await inFlight(1);
    calls[0]?.("credentials_rejected");
    await expect(one.enter(never)).rejects.toThrow(CloudError);
    await one.refresh();
    expect(one.valid).toBe(false);
    await written(guard, (each) => !each.valid);
    expect(changes.slice(0, 1)).toEqual([false]);
  });

  test("stay refused when a call that began before is answered after", async () => {
    const { one, calls, changes } = await inFlight(3);
    calls[1]?.("credentials_rejected");
    calls[0]?.("accepted");
    calls[2]?.("credentials_rejected");
    await expect(one.enter(never)).rejects.toThrow(CloudError);
    expect(changes).toEqual([false]);
  });

  test("stay refused here for five minutes when the store cannot be told", async () => {
    const { one, calls, clock, store } = await inFlight(1);
    const write = store.notes.write.bind(store.notes);
    store.notes.write = () => Promise.reject(new StoreError("unavailable", "gone"));
    calls[0]?.("credentials_rejected");
    await clock.advance(RETRY_REFUSED_MS - 1);
    await one.refresh();
    await expect(one.enter(never)).rejects.toThrow(CloudError);
    store.notes.write = write;
    await clock.advance(1);
    (await one.enter(never))("accepted");
  });
});

describe("refused credentials", () => {
  async function refused() {
    const all = await scene();
    const one = all.guard();
    (await one.enter(never))("credentials_rejected");
    await written(all.guard, (each) => !each.valid);
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
    await written(guard, (each) => !each.open);
    await clock.advance(RETRY_REFUSED_MS - 1_000);
    await expect(one.enter(never)).rejects.toThrow(CloudError);
    await clock.advance(1_000);
    (await other.enter(never))("accepted");
    await written(guard, (each) => each.accepted);
    await one.refresh();
    expect(one.valid).toBe(true);
  });

  test("stay refused when a trial that began before is answered well", async () => {
    const { guard, clock } = await scene();
    const [slow, other] = [guard(), guard()];
    const late = await slow.enter(never);
    // So long without an answer that another replica takes the trial over.
    await clock.advance(61_000);
    (await other.enter(never))("credentials_rejected");
    await written(guard, (each) => !each.valid);
    late("accepted");
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const each of [slow, other, guard()]) {
      await each.refresh();
      expect(each.valid).toBe(false);
      await expect(each.enter(never)).rejects.toThrow(CloudError);
    }
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

  test("are left to the next one when the call that was to try them is given up before it begins", async () => {
    const { guard, one, clock, store } = await refused();
    await clock.advance(RETRY_REFUSED_MS);
    const handover = new AbortController();
    const write = store.notes.write.bind(store.notes);
    store.notes.write = async (...note) => {
      const written = await write(...note);
      handover.abort(new Error("the shard is another's now"));
      return written;
    };
    await expect(one.enter(handover.signal)).rejects.toThrow("another's");
    store.notes.write = write;
    const trial = await guard().enter(never);
    trial("accepted");
    await written(guard, (each) => each.accepted);
  });

  test("a trial that found no answer waits its five minutes too", async () => {
    const { one, clock } = await refused();
    await clock.advance(RETRY_REFUSED_MS);
    (await one.enter(never))("unclear");
    await expect(one.enter(never)).rejects.toThrow(CloudError);
  });

  test("are tried by the call that a new token is for, and by no other", async () => {
    const { guard, one, clock } = await refused();
    await clock.advance(RETRY_REFUSED_MS);
    (await one.enter(never))("renewed");
    expect(one.valid).toBe(false);
    const call = await one.enter(never);
    const [next, elsewhere] = [one.enter(never), guard().enter(never)];
    await expect(elsewhere).rejects.toThrow(CloudError);
    call("credentials_rejected");
    await expect(next).rejects.toThrow(CloudError);
  });
});
