import fc from "fast-check";
import { expect, test } from "vitest";
import { ShardKeeper } from "../../src/poll/shard-keeper.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { ManualClock } from "../support/manual-clock.ts";

const SHARDS = 16;
const TTL = 10_000;
const TICK = 500;

interface Replica {
  readonly name: string;
  readonly keeper: ShardKeeper;
}

function replicaOf(name: string, store: Store, clock: ManualClock): Replica {
  const keeper = new ShardKeeper({
    leases: store.leases,
    state: store.state,
    member: name,
    shards: SHARDS,
    ttl: TTL,
    clock,
    emit: () => {},
    onGained: () => {},
    onLeaving: () => {},
    onLost: () => {},
    beforeRelease: async () => {},
  });
  return { name, keeper };
}

const owned = (replicas: readonly Replica[]): ReadonlyMap<string, ReadonlySet<number>> =>
  new Map(replicas.map(({ name, keeper }) => [name, new Set(keeper.owned.keys())]));

/** Two lease times pass. */
async function settle(replicas: readonly Replica[], clock: ManualClock): Promise<void> {
  for (let passed = 0; passed < 2 * TTL; passed += TICK) {
    for (const { keeper } of replicas) await keeper.tick();
    await clock.advance(TICK);
  }
}

const change = fc.oneof(
  fc.record({ kind: fc.constant("joins" as const), name: fc.stringMatching(/^[a-z]{4}$/) }),
  fc.record({ kind: fc.constantFrom("stops" as const, "dies" as const), which: fc.nat(10) }),
);

test("whoever joins, stops or dies: within two lease times each shard has one owner, all are spread evenly, and none moves that need not", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
      const clock = new ManualClock();
      const store = await openStore(
        { url: "sqlite::memory:", keyPrefix: "t", shards: SHARDS },
        { exclusive: true, clock },
      );
      let live = [replicaOf("first", store, clock)];
      await settle(live, clock);
      for (const [index, next] of changes.entries()) {
        const before = owned(live);
        const joins = next.kind === "joins" || live.length === 1;
        if (joins) {
          const name = next.kind === "joins" ? next.name : "second";
          live = [...live, replicaOf(`${name}${index}`, store, clock)];
        } else {
          const [gone] = live.splice(next.which % live.length, 1);
          if (next.kind === "stops") await gone?.keeper.stop();
        }
        await settle(live, clock);
        const after = owned(live);
        expect([...after.values()].flatMap((each) => [...each]).sort((a, b) => a - b)).toEqual(
          Array.from({ length: SHARDS }, (_, number) => number),
        );
        const sizes = [...after.values()].map((each) => each.size);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        for (const [name, had] of before) {
          const has = after.get(name);
          if (!has) continue;
          // Who comes takes from those who were there, and they nothing from each other; from who goes they only take.
          const [less, more] = joins ? [has, had] : [had, has];
          expect(
            [...less].every((shard) => more.has(shard)),
            `${name} had ${[...had]}, has ${[...has]}`,
          ).toBe(true);
        }
      }
      await store.close();
    }),
    { numRuns: 25 },
  );
});
