import { describe, expect, test } from "vitest";
import { StoreError } from "../../src/errors.ts";
import type { Shard } from "../../src/poll/shard.ts";
import { ShardKeeper } from "../../src/poll/shard-keeper.ts";
import type { Leases, StateStore } from "../../src/ports/store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

const SHARDS = 8;
const TTL = 10_000;

async function scene() {
  const clock = new ManualClock();
  const store = await memoryStore(clock, SHARDS);
  const replica = (member: string, leases: Partial<Leases> = {}, state: Partial<StateStore> = {}) => {
    const told: string[] = [];
    const shards = new Map<number, Shard>();
    const keeper = new ShardKeeper({
      leases: { ...store.leases, ...leases },
      state: { ...store.state, ...state },
      member,
      shards: SHARDS,
      ttl: TTL,
      clock,
      emit: ({ kind }) => told.push(kind),
      onGained: (shard) => shards.set(shard.number, shard),
      onLeaving: (shard) => told.push(`leaving ${shard.number}`),
      onLost: (shard) => told.push(`lost ${shard.number}`),
      beforeRelease: async () => {},
    });
    return { keeper, told, shards, owns: () => [...keeper.owned.keys()].sort() };
  };
  return { clock, store, replica };
}

/** Every shard once, however they are spread. */
const ALL = Array.from({ length: SHARDS }, (_, number) => number);

/** What was begun and awaits no clock has happened. */
const settled = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

async function ticks(...replicas: readonly { readonly keeper: ShardKeeper }[]): Promise<void> {
  for (const { keeper } of replicas) {
    await keeper.tick();
    await settled();
  }
}

describe("replicas", () => {
  test("share the shards evenly, and a third gets its part without more moving than must", async () => {
    const { replica } = await scene();
    const [a, b, c] = [replica("a"), replica("b"), replica("c")];
    await a.keeper.tick();
    expect(a.owns()).toEqual(ALL);
    await ticks(b, a, b);
    expect([a.owns().length, b.owns().length]).toEqual([4, 4]);
    const before = [...a.owns(), ...b.owns()];
    await ticks(c, a, b, c);
    expect([a, b, c].map((each) => each.owns().length)).toEqual([3, 3, 2]);
    expect([...a.owns(), ...b.owns(), ...c.owns()].sort()).toEqual(ALL);
    expect(before.filter((number) => a.owns().includes(number) || b.owns().includes(number))).toHaveLength(6);
  });

  test("ask at once for all that they want, and for nothing that others have", async () => {
    const { clock, store, replica } = await scene();
    const [a, dead] = [replica("a"), replica("dead")];
    await ticks(a, dead, a, dead);
    expect(dead.owns()).toHaveLength(SHARDS / 2);
    let asked = 0;
    const all = Promise.withResolvers<void>();
    const b = replica("b", {
      async acquire(...args) {
        asked += 1;
        if (asked === SHARDS / 2) all.resolve();
        await all.promise;
        return store.leases.acquire(...args);
      },
    });
    await clock.advance(TTL / 2);
    await a.keeper.tick();
    await clock.advance(TTL / 2);
    await b.keeper.tick();
    expect(b.owns()).toEqual(ALL.filter((shard) => !a.owns().includes(shard)));
    expect(asked).toBe(SHARDS / 2);
  });

  test("take over what a dead one had when its lease has run out", async () => {
    const { clock, replica } = await scene();
    const [a, b] = [replica("a"), replica("b")];
    await a.keeper.tick();
    await b.keeper.tick();
    expect(b.owns()).toEqual([]);
    await clock.advance(TTL);
    await b.keeper.tick();
    expect(b.owns()).toEqual(ALL);
    // The dead one was only frozen: it knows before it does anything else.
    a.keeper.dropExpired();
    expect(a.owns()).toEqual([]);
    expect(a.told.filter((kind) => kind === "lease.lost")).toHaveLength(SHARDS);
  });
});

describe("a shard that is given back", () => {
  test("stays ours until what is in flight has ended, and is not aborted as a lost one is", async () => {
    const { clock, replica } = await scene();
    const [a, b] = [replica("a"), replica("b")];
    await a.keeper.tick();
    const leave = a.shards.get(3)?.enter();
    const stopped = a.keeper.stop();
    await settled();
    for (let turn = 0; turn < 6; turn++) {
      await clock.advance(TTL / 2);
      await a.keeper.tick();
      await b.keeper.tick();
    }
    expect(b.owns()).toEqual(ALL.filter((number) => number !== 3));
    expect(a.told).not.toContain("lost 3");
    leave?.();
    await stopped;
    await b.keeper.tick();
    expect(b.owns()).toEqual(ALL);
    expect(a.told.filter((kind) => kind === "lease.released")).toHaveLength(SHARDS);
  });

  test("is lost all the same when its lease runs out before that, told once", async () => {
    const { clock, replica } = await scene();
    const a = replica("a", {
      renew: async () => {
        throw new StoreError("unavailable", "away");
      },
    });
    await a.keeper.tick();
    const leave = a.shards.get(3)?.enter();
    const stopped = a.keeper.stop();
    await settled();
    await clock.advance(TTL);
    a.keeper.dropExpired();
    a.keeper.dropExpired();
    expect(a.told.filter((each) => each.startsWith("lost"))).toEqual(["lost 3"]);
    leave?.();
    await stopped;
  });
});

test("a renewal that crosses with a release is no loss", async () => {
  const { store, replica } = await scene();
  const gate = Promise.withResolvers<void>();
  const a = replica("a", {
    async renew(leases, ttl) {
      await gate.promise;
      return store.leases.renew(leases, ttl);
    },
  });
  await a.keeper.tick();
  const ticking = a.keeper.tick();
  const stopped = a.keeper.stop();
  await settled();
  gate.resolve();
  await Promise.all([ticking, stopped]);
  expect(a.told.filter((kind) => kind === "lease.released")).toHaveLength(SHARDS);
  expect(a.told).not.toContain("lease.lost");
});

describe("a stop", () => {
  test("is told to the others before anything else, and not taken back by a tick", async () => {
    const { store, replica } = await scene();
    const a = replica("a");
    await a.keeper.tick();
    const leave = a.shards.get(0)?.enter();
    const stopped = a.keeper.stop();
    await a.keeper.tick();
    expect(await store.leases.join("b", TTL)).toEqual(["b"]);
    leave?.();
    await stopped;
    await a.keeper.tick();
    expect(await store.leases.join("b", TTL)).toEqual(["b"]);
  });

  test("gives back the shard whose lease was just on its way", async () => {
    const { store, replica } = await scene();
    const gate = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const a = replica("a", {
      async acquire(...args) {
        const lease = await store.leases.acquire(...args);
        asked.resolve();
        await gate.promise;
        return lease;
      },
    });
    const ticking = a.keeper.tick();
    await asked.promise;
    const stopped = a.keeper.stop();
    gate.resolve();
    await Promise.all([ticking, stopped]);
    expect(a.owns()).toEqual([]);
    const b = replica("b");
    await b.keeper.tick();
    expect(b.owns()).toEqual(ALL);
  });
});

describe("a slow or failing store", () => {
  test("never makes a replica miss the renewal of what it has while it takes more", async () => {
    const { clock, store, replica } = await scene();
    const a = replica("a", {
      async acquire(...args) {
        await clock.advance(TTL / 8);
        return store.leases.acquire(...args);
      },
    });
    for (let turn = 0; turn < SHARDS; turn++) {
      await a.keeper.tick();
      await clock.advance(500);
    }
    expect(a.owns()).toEqual(ALL);
    expect(a.told).not.toContain("lease.lost");
  });

  test("that takes a fifth of the lease time for each answer costs nobody what it has, also while more is taken", async () => {
    const { clock, store, replica } = await scene();
    const slow: Partial<Leases> = {};
    for (const name of ["join", "free", "acquire", "renew"] as const) {
      slow[name] = async (...args: unknown[]) => {
        await clock.sleep(TTL / 5);
        return (store.leases[name] as (...args: unknown[]) => Promise<never>)(...args);
      };
    }
    const [a, b] = [replica("a", slow), replica("b")];
    const tick = async () => {
      let over = false;
      const ticking = a.keeper.tick().then(() => {
        over = true;
      });
      while (!over) {
        await clock.advance(100);
        a.keeper.dropExpired();
      }
      await ticking;
      await clock.advance(500);
    };
    await b.keeper.tick();
    await tick();
    await ticks(b);
    await tick();
    expect(a.owns()).toHaveLength(SHARDS / 2);
    await b.keeper.stop();
    await tick();
    expect(a.owns()).toEqual(ALL);
    await tick();
    expect(a.owns()).toEqual(ALL);
    expect(a.told).not.toContain("lease.lost");
  });

  test("that cannot load one shard costs no other, and leaves that one to the others", async () => {
    const { store, replica } = await scene();
    const load: StateStore["load"] = async (shard) => {
      if (shard === 5) throw new StoreError("mismatch", "shard 5");
      return store.state.load(shard);
    };
    const a = replica("a", {}, { load });
    for (let turn = 0; turn < 3; turn++) await a.keeper.tick();
    expect(a.owns()).toEqual(ALL.filter((number) => number !== 5));
    // Not at every tick.
    expect(a.told.filter((kind) => kind === "shard.failed")).toHaveLength(1);
    expect(await store.leases.acquire(5, "b", TTL)).not.toBeNull();
  });
});

test("shards that are slow to be loaded again are renewed meanwhile", async () => {
  const { clock, store, replica } = await scene();
  const loading = Promise.withResolvers<void>();
  let slow = false;
  const load: StateStore["load"] = async (shard) => {
    if (slow) await loading.promise;
    return store.state.load(shard);
  };
  const { keeper, owns } = replica("a", {}, { load });
  await keeper.tick();
  slow = true;
  for (const shard of keeper.owned.values()) shard.drop();
  for (let third = 0; third < 9; third++) {
    await keeper.tick();
    await clock.advance(TTL / 3);
  }
  expect(owns()).toEqual(ALL);
  loading.resolve();
  await expect.poll(() => [...keeper.owned.values()].some((shard) => shard.dropped)).toBe(false);
});
