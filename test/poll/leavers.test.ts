import { expect, test } from "vitest";
import { InstanceReaper, LEAVE_GRACE_MS } from "../../src/poll/instance-reaper.ts";
import { Shard } from "../../src/poll/shard.ts";
import { newRecord } from "../../src/poll/target.ts";
import { commitDecision } from "../../src/poll/writer.ts";
import { rulesOf } from "../core/support.ts";
import { leaseOf } from "../store/contract/back-end.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

const KEY = "p1/i1";
const MINUTE = 60_000;

/** One instance that nothing wants watched, looked at after each minute. */
async function scene() {
  const clock = new ManualClock();
  const store = await memoryStore(clock, 4);
  const lease = await leaseOf(store);
  const open = () => Shard.open(store.state, lease, Number.POSITIVE_INFINITY);
  const shard = await open();
  const rules = rulesOf();
  const record = newRecord("p1", rules.instance);
  const fresh = { record, revision: 0, tasks: new Map() };
  await commitDecision(shard, KEY, fresh, { record, upserts: [], removals: [], events: [], learned: [] });
  const removed: string[] = [];
  let told = 0;
  const instanceReaper = () =>
    new InstanceReaper({
      wanted: () => false,
      settled: () => true,
      rulesOf: () => rules,
      committed: () => {},
      onLeaving: (records) => {
        told += records.length;
      },
      onRemoved: (key) => removed.push(key),
    });
  return {
    clock,
    shard,
    open,
    instanceReaper,
    removed,
    told: () => told,
    async pass(each: InstanceReaper, minutes: number, of: Shard = shard) {
      for (let minute = 0; minute < minutes; minute++) {
        await each.run([of], clock.now(), clock.monotonic());
        await clock.advance(MINUTE);
      }
      await each.run([of], clock.now(), clock.monotonic());
    },
  };
}

test.each([-3, 3])("a wall clock that is set by %i hours changes no grace", async (hours) => {
  const { clock, instanceReaper, removed, pass, told } = await scene();
  const one = instanceReaper();
  await pass(one, 3);
  clock.jump(hours * 60 * MINUTE);
  await pass(one, 6);
  expect(removed).toEqual([]);
  await pass(one, 1);
  expect(removed).toEqual([KEY]);
  expect(told()).toBe(1);
});

test("a new owner continues the grace, with a minute left at least and never more than the whole", async () => {
  const { clock, open, instanceReaper, removed, pass } = await scene();
  await pass(instanceReaper(), 4);
  clock.jump(-24 * 60 * MINUTE);
  const second = instanceReaper();
  const reopened = await open();
  await pass(second, LEAVE_GRACE_MS / MINUTE - 1, reopened);
  expect(removed).toEqual([]);
  clock.jump(48 * 60 * MINUTE);
  const third = instanceReaper();
  const last = await open();
  await third.run([last], clock.now(), clock.monotonic());
  expect(removed).toEqual([]);
  await pass(third, 1, last);
  expect(removed).toEqual([KEY]);
});

test("an instance that the cloud has no more is removed without a grace", async () => {
  const { instanceReaper, removed, pass, told } = await scene();
  const one = instanceReaper();
  one.gone(KEY);
  await pass(one, 0);
  expect(removed).toEqual([KEY]);
  expect(told()).toBe(0);
});
