import fc from "fast-check";
import { expect, test } from "vitest";
import { acknowledge } from "../../src/core/ack.ts";
import { EVENT_TYPES, type EventData } from "../../src/core/event.ts";
import type { Listing, ObservedTask, Window } from "../../src/core/task.ts";
import { StoreError } from "../../src/errors.ts";
import { pollOnce } from "../../src/poll/cycle.ts";
import { Shard } from "../../src/poll/shard.ts";
import type { InstanceTarget } from "../../src/poll/target.ts";
import { eventWrite } from "../../src/poll/writer.ts";
import type { Batch, Lease, StateStore, Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { ALL_EXECUTE, MINUTE, rulesOf, seen, T0, webhook } from "../core/support.ts";
import { leaseOf, TTL } from "../store/contract/back-end.ts";
import { ManualClock } from "../support/manual-clock.ts";

const KEY = "p1/i1";
const IDS = ["a", "b", "c"] as const;
const rules = rulesOf({ webhooks: [webhook("all", EVENT_TYPES)] });

/** What befalls a commit: no answer, before or after it was written, or somebody else's write right before it. */
type Fate = "written" | "lost" | "unsure" | "stale";

const step = fc.record({
  change: fc.option(
    fc.record({
      id: fc.constantFrom(...IDS),
      status: fc.constantFrom("CREATED", "EXECUTING", "SUCCESS", "FAILED", "DELETED"),
    }),
  ),
  complete: fc.boolean(),
  fate: fc.constantFrom<Fate>("written", "written", "lost", "unsure", "stale"),
  acknowledged: fc.option(fc.constantFrom(...IDS)),
  after: fc.constantFrom("nothing", "restart", "reload", "drop", "flush", "renew"),
});

/** One instance and the store that it is kept in, each commit of which meets its fate. */
async function scene() {
  const clock = new ManualClock(T0);
  const store = await openStore(
    { url: "sqlite::memory:", keyPrefix: "t", shards: 4 },
    { exclusive: true, clock },
  );
  const cloud = new Map<string, ObservedTask>();
  let fate: Fate = "written";
  let complete = true;

  const state: StateStore = {
    ...store.state,
    async commit(lease: Lease | null, batch: Batch) {
      const now = fate;
      fate = "written";
      if (now === "lost") throw new StoreError("unavailable", "no answer");
      if (now === "stale") await touched(store, batch);
      const answer = await store.state.commit(lease, batch);
      if (now === "unsure") throw new StoreError("unavailable", "no answer");
      return answer;
    },
  };
  const open = async () => {
    const lease = await leaseOf(store);
    return { lease, shard: await Shard.open(state, lease, TTL) };
  };
  let { lease, shard } = await open();

  const target = {
    key: KEY,
    project: rules.project,
    instanceId: "i1",
    rules,
    discovered: false,
    bornWatched: true,
    source: {
      cloudOffset: 0,
      list: async (_: string, window: Window): Promise<Listing> => ({
        tasks: [...cloud.values()],
        malformed: [],
        complete,
        gap: complete ? null : "page 2 failed",
        cause: complete ? null : "timeout",
        answer: null,
        countedMore: false,
        window,
        cloudNow: clock.now(),
      }),
    },
  } as unknown as InstanceTarget;

  return {
    store,
    cloud,
    get lease() {
      return lease;
    },
    async change(id: string, status: string) {
      await clock.advance(MINUTE);
      cloud.set(id, seen(id, status, { createdAt: T0, updatedAt: clock.now() }));
    },
    /** False when the store did not answer. */
    async poll(next: Fate, whole: boolean): Promise<boolean> {
      [fate, complete] = [next, whole];
      try {
        await pollOnce(target, shard, ALL_EXECUTE, clock, false, new AbortController().signal);
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(StoreError);
        return false;
      } finally {
        fate = "written";
      }
    },
    async acknowledge(id: string) {
      const known = await store.state.loadInstance(1, KEY);
      if (!known) return;
      const decision = acknowledge(known, id, { by: "ann", at: clock.now(), reason: null }, rules);
      if ("refused" in decision) return;
      const { record, upserts, removals, events } = decision;
      const write = { shard: 1, key: KEY, expectRevision: known.revision, record, upserts, removals };
      await store.state.commit(null, { ...write, events: events.map(eventWrite), names: [] });
    },
    async goThrough(what: string) {
      if (what === "restart") ({ lease, shard } = await open());
      else if (what === "reload") await shard.reload();
      else if (what === "drop") shard.drop();
      else if (what === "flush") await shard.flush();
      else if (what === "renew") {
        const renewed = shard.renewing();
        const [answer] = await store.leases.renew([lease], TTL);
        if (answer && "generation" in answer) renewed(TTL, answer.generation);
      }
    },
  };
}

/** A write of somebody else that says nothing. */
async function touched(store: Store, { shard, key }: Batch): Promise<void> {
  const known = await store.state.loadInstance(shard, key);
  if (!known) return;
  const nothing = { upserts: [], removals: [], events: [], names: [] };
  await store.state.commit(null, {
    shard,
    key,
    expectRevision: known.revision,
    record: known.record,
    ...nothing,
  });
}

/** All that can be claimed, head after head. */
async function deliver(store: Store, lease: Lease): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const claimed = await store.outbox.claim(lease, "all", 100, T0);
    if (claimed === "fenced" || claimed.deliveries.length === 0) return ids;
    ids.push(...claimed.deliveries.map(({ eventId }) => eventId));
    await store.outbox.settle(lease, "all", claimed.deliveries, { kind: "delivered" }, T0);
  }
}

test("whatever the store answers, each change that a poll showed is told once, in order, and delivered", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const watched = await scene();
      const { store, cloud } = watched;
      try {
        const shown = new Map<string, Set<string>>(IDS.map((id) => [id, new Set()]));
        for (const { change, complete, fate, acknowledged, after } of steps) {
          if (change) await watched.change(change.id, change.status);
          if (await watched.poll(fate, complete)) {
            for (const { id, status } of cloud.values()) shown.get(id)?.add(status);
          }
          if (acknowledged) await watched.acknowledge(acknowledged);
          await watched.goThrough(after);
        }
        expect(await watched.poll("written", true)).toBe(true);

        const { events } = await store.reader.events({ limit: 10_000 });
        const told = events.map(({ id, type, body }) => {
          const { data } = JSON.parse(body) as { readonly data: EventData };
          return { id, type, data };
        });
        expect(new Set(told.map(({ id }) => id)).size).toBe(told.length);
        for (const { id, status } of cloud.values()) {
          const own = told.filter(({ data }) => data.task?.id === id);
          expect(own.map(({ data }) => data.sequence)).toEqual(own.map((_, index) => index + 1));
          const moves = own.filter(({ type }) => type !== "task.recovered");
          const statuses = moves.map(({ data }) => data.task?.status ?? null);
          expect(moves.map(({ data }) => data.previous_status)).toEqual([null, ...statuses.slice(0, -1)]);
          expect(statuses.at(-1)).toBe(status);
          expect(statuses).toEqual(expect.arrayContaining([...(shown.get(id) ?? [])]));
        }
        const delivered = await deliver(store, watched.lease);
        expect(delivered.toSorted()).toEqual(told.map(({ id }) => id).toSorted());
      } finally {
        await store.close();
      }
    }),
    { numRuns: Number(process.env.PROPERTY_RUNS ?? 80) },
  );
});
