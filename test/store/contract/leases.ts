import { expect, test } from "vitest";
import type { Lease, Leases } from "../../../src/ports/store.ts";
import { batch, leaseOf, SHARDS, TTL } from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

/** Asks until a lease is given, as a replica does that waits for another one's to run out. */
async function acquireInTime(leases: Leases, shard: number, member: string) {
  for (;;) {
    const lease = await leases.acquire(shard, member, TTL);
    if (lease !== null) return lease;
  }
}

export function leasesContract(use: UseStore): void {
  test("a lease is refused while another owner has it, and free after that one gave it back", async () => {
    const { store } = await use();
    const first = await leaseOf(store, 1, "replica-a");
    expect(await store.leases.acquire(1, "replica-b", TTL)).toBeNull();
    expect(await store.leases.renew([first], TTL)).toEqual([{ lease: first, generation: 0 }]);
    await store.leases.release(first);
    const second = await leaseOf(store, 1, "replica-b");
    expect(second).toEqual({ shard: 1, owner: "replica-b", fence: second.fence });
    expect(second.fence).toBeGreaterThan(first.fence);
    expect(await store.leases.acquire(1, "replica-a", TTL)).toBeNull();
  });

  test("free is what would be given: what nobody has, what is the member's own, and what ran out", async () => {
    const { store } = await use();
    expect(await store.leases.free("replica-a")).toEqual([0, 1, 2, 3]);
    const lease = await leaseOf(store, 1, "replica-a");
    await store.leases.acquire(2, "replica-a", 30);
    expect(await store.leases.free("replica-a")).toEqual([0, 1, 2, 3]);
    await expect.poll(() => store.leases.free("replica-b")).toEqual([0, 2, 3]);
    await store.leases.release(lease);
    expect(await store.leases.free("replica-b")).toEqual([0, 1, 2, 3]);
  });

  test("another handle gets no lease while the first one has it", async () => {
    const { store, second } = await use();
    const lease = await leaseOf(store);
    expect(await (await second()).leases.acquire(1, "replica-b", TTL)).toBeNull();
    expect(await store.leases.renew([lease], TTL)).toEqual([{ lease, generation: 0 }]);
  });

  test("a lease that ran out goes to another owner, and the old one is lost", async () => {
    const { store } = await use();
    const old = await store.leases.acquire(1, "replica-a", 30);
    const lease = await acquireInTime(store.leases, 1, "replica-b");
    expect(lease.fence).toBeGreaterThan(old!.fence);
    expect(await store.leases.renew([old!, lease], TTL)).toEqual([{ lost: old }, { lease, generation: 0 }]);
    expect(await store.state.commit(old!, batch())).toEqual({ kind: "fenced" });
  });

  test("a renewal prolongs a lease", async () => {
    const { store } = await use();
    const lease = await store.leases.acquire(1, "replica-a", 5_000);
    expect(await store.leases.renew([lease!], TTL)).toEqual([{ lease, generation: 0 }]);
    expect(await store.leases.acquire(1, "replica-b", TTL)).toBeNull();
  });

  test("every lease of a shard has a greater fence than the one before, also over restarts", async () => {
    const opened = await use();
    let store = opened.store;
    let last = 0;
    for (let round = 0; round < 4; round++) {
      const lease = await leaseOf(store);
      expect(lease.fence).toBeGreaterThan(last);
      last = lease.fence;
      if (round === 1) await store.leases.release(lease);
      if (round === 2) store = await opened.reopen();
    }
  });

  test("an owner that comes back gets its shard anew, and its old lease is lost", async () => {
    const opened = await use();
    const old = await leaseOf(opened.store);
    const store = await opened.reopen();
    const lease = await leaseOf(store);
    expect(await store.leases.renew([old], TTL)).toEqual([{ lost: old }]);
    expect(await store.leases.renew([lease], TTL)).toEqual([{ lease, generation: 0 }]);
  });

  test("renewal answers for each lease, in the order of the question", async () => {
    const { store } = await use();
    expect(await store.leases.renew([], TTL)).toEqual([]);
    const all: Lease[] = [];
    for (let shard = 0; shard < SHARDS; shard++) all.push(await leaseOf(store, shard));
    const [a, b, c, d] = all;
    await store.state.commit(c!, batch({ shard: 2 }));
    await store.leases.release(b!);
    expect(await store.leases.renew([d!, b!, c!, a!], TTL)).toEqual([
      { lease: d, generation: 0 },
      { lost: b },
      { lease: c, generation: 1 },
      { lease: a, generation: 0 },
    ]);
    const forged = { ...a!, owner: "replica-b" };
    expect(await store.leases.renew([forged], TTL)).toEqual([{ lost: forged }]);
  });

  test("only the valid lease can be given back", async () => {
    const { store } = await use();
    const old = await leaseOf(store);
    const lease = await leaseOf(store);
    await store.leases.release(old);
    await store.leases.release({ ...lease, owner: "replica-b" });
    expect(await store.leases.renew([lease], TTL)).toEqual([{ lease, generation: 0 }]);
    await store.leases.release(lease);
    await store.leases.release(lease);
    expect(await store.leases.renew([lease], TTL)).toEqual([{ lost: lease }]);
  });

  test("a shard that the store does not have is never leased", async () => {
    const { store } = await use();
    expect(await store.leases.acquire(SHARDS, "replica-a", TTL)).toBeNull();
  });

  test("members see each other, sorted, until they leave or their time runs out", async () => {
    const { store } = await use();
    expect(await store.leases.join("b", TTL)).toEqual(["b"]);
    expect(await store.leases.join("c", 1)).toContain("c");
    expect(await store.leases.join("a", TTL)).toEqual(expect.arrayContaining(["a", "b"]));
    let live = await store.leases.join("a", TTL);
    while (live.includes("c")) live = await store.leases.join("a", TTL);
    expect(live).toEqual(["a", "b"]);
    await store.leases.leave("b");
    await store.leases.leave("unknown");
    expect(await store.leases.join("a", TTL)).toEqual(["a"]);
  });
}
