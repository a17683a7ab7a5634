import type { Lease } from "../../ports/store.ts";

interface Hold {
  readonly seq: number;
  readonly eventId: string;
}

/** Which heads of lanes are being delivered. In memory: one process owns the file, and its end frees them all. */
export class Holds {
  readonly #shards = new Map<
    number,
    { readonly fence: number; readonly webhooks: Map<string, Map<string, Hold>> }
  >();

  /** The holds of a lease on a webhook's lanes, by lane. A new lease of the shard ends those of the one before it. */
  of(lease: Lease, webhook: string): Map<string, Hold> {
    let shard = this.#shards.get(lease.shard);
    if (shard === undefined || shard.fence < lease.fence) {
      shard = { fence: lease.fence, webhooks: new Map() };
      this.#shards.set(lease.shard, shard);
    }
    // A lease that is over: its writes are refused anyway, and it must not see what the valid one holds.
    if (shard.fence > lease.fence) return new Map();
    let lanes = shard.webhooks.get(webhook);
    if (lanes === undefined) {
      lanes = new Map();
      shard.webhooks.set(webhook, lanes);
    }
    return lanes;
  }
}
