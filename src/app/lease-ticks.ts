import type { ShardKeeper } from "../poll/shard-keeper.ts";
import type { Clock } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { Emit } from "../ports/telemetry.ts";

export interface LeaseTicksOptions {
  readonly keeper: ShardKeeper;
  readonly store: Pick<Store, "setAside">;
  readonly shards: number;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Other shards than before are ours. */
  readonly onChange: () => void;
}

/** Looks at the leases, and tells which shards are ours and what of them cannot be read. */
export class LeaseTicks {
  readonly #options: LeaseTicksOptions;

  constructor(options: LeaseTicksOptions) {
    this.#options = options;
  }

  /** Tells also when the store does not answer, and then rejects. */
  async tick(): Promise<void> {
    const { keeper, shards, emit, onChange } = this.#options;
    const before = keeper.owned.size;
    try {
      await keeper.tick();
    } finally {
      emit({ kind: "leases.held", owned: keeper.owned.size, shards, replicas: keeper.members.length });
      if (keeper.owned.size !== before) onChange();
    }
    if (keeper.owned.size !== before) await this.tellUnreadable();
  }

  /** Rejects as the store does. */
  async tellUnreadable(): Promise<void> {
    const { keeper, store, emit, clock } = this.#options;
    const records = await store.setAside.list([...keeper.owned.keys()]);
    emit({ kind: "records.unreadable", records, at: clock.now() });
  }
}
