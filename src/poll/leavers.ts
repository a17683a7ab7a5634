import type { TaskwatchEvent } from "../core/event.ts";
import { removeInstance } from "../core/membership.ts";
import type { Rules } from "../core/rules.ts";
import type { InstanceRecord } from "../core/state.ts";
import type { Shard } from "./shard.ts";
import { commitDecision } from "./writer.ts";

export interface LeaversOptions {
  /** Is the instance of this record still to be watched? */
  readonly wanted: (key: string, record: InstanceRecord) => boolean;
  /** Rules for the last events of an instance that no configuration names any more. */
  readonly rulesOf: (record: InstanceRecord) => Rules;
  /** How long an instance must be unwanted before it goes: replicas do not reload in the same moment. */
  readonly grace: number;
  readonly committed: (shard: Shard, events: readonly TaskwatchEvent[]) => void;
  readonly onRemoved: (key: string, record: InstanceRecord) => void;
}

/** Ends the watch over instances that are not wanted any more: their incidents end, their state goes. */
export class Leavers {
  readonly #options: LeaversOptions;
  readonly #unwantedSince = new Map<string, number>();

  constructor(options: LeaversOptions) {
    this.#options = options;
  }

  /** Now and then, over the shards that are ours. Rejects as the store does. */
  async look(shards: Iterable<Shard>, now: number): Promise<void> {
    const { wanted, grace } = this.#options;
    const unwanted = new Set<string>();
    for (const shard of shards) {
      for (const key of [...shard.keys]) {
        const record = shard.peek(key)?.record;
        // The record of a project, which has no instance id, is kept: its counts make the ids of its next events.
        if (!record || record.instanceId === "" || wanted(key, record)) continue;
        unwanted.add(key);
        const since = this.#unwantedSince.get(key) ?? now;
        this.#unwantedSince.set(key, since);
        if (now - since >= grace) await this.#remove(shard, key, record, now);
      }
    }
    for (const key of this.#unwantedSince.keys()) if (!unwanted.has(key)) this.#unwantedSince.delete(key);
  }

  async #remove(shard: Shard, key: string, record: InstanceRecord, now: number): Promise<void> {
    const { rulesOf, committed, onRemoved } = this.#options;
    const state = await shard.whole(key);
    if (!state) return;
    const { events, learned } = removeInstance(state, rulesOf(record), now);
    const removal = { removals: state.record.removals + 1, at: now };
    const outcome = { record: null, removal, upserts: [], removals: [], events, learned };
    if ((await commitDecision(shard, key, state, outcome)) !== "ok") return;
    committed(shard, events);
    onRemoved(key, record);
  }
}
