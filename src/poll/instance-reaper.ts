import type { TaskwatchEvent } from "../core/event.ts";
import { removeInstance } from "../core/membership.ts";
import type { Rules } from "../core/rules.ts";
import type { InstanceRecord } from "../core/state.ts";
import type { Shard } from "./shard.ts";
import { commitDecision } from "./writer.ts";

/** How long the state of an instance stays that was left out of the configuration: a slip is put right by then. */
export const LEAVE_GRACE_MS = 10 * 60_000;
/**
 * What is left of the grace after a start or takeover, at least. The wall clock counts the time in which no process
 * ran, and the person who notices the slip at the restart needs time to put it right.
 */
const RESTART_GRACE_MS = 60_000;

export interface InstanceReaperOptions {
  /** Is the instance with this key to be watched? */
  readonly wanted: (key: string) => boolean;
  /** False while it is not known what is wanted of the project: nothing of it is removed, and no grace begins. */
  readonly settled: (projectId: string) => boolean;
  /** Rules for the last events of an instance that no configuration names any more. */
  readonly rulesOf: (record: InstanceRecord) => Rules;
  readonly committed: (shard: Shard, events: readonly TaskwatchEvent[]) => void;
  /** Called once with the instances that a look found left out for the first time. */
  readonly onLeaving: (records: readonly InstanceRecord[]) => void;
  readonly onRemoved: (key: string, record: InstanceRecord) => void;
}

/** An instance that nothing wants watched and whose state is kept until the grace ends. */
export interface Leaving {
  readonly shard: Shard;
  readonly record: InstanceRecord;
  /** Monotonic time at which the grace ends. */
  readonly until: number;
}

/**
 * Removes instances that are not wanted any more: their incidents end and their state goes. The store keeps since
 * when an instance is left out, so that a restart or a takeover continues the grace.
 */
export class InstanceReaper {
  readonly #options: InstanceReaperOptions;
  readonly #leaving = new Map<string, Leaving>();
  /** Instances that the cloud has no more: no grace for them. */
  readonly #gone = new Set<string>();

  constructor(options: InstanceReaperOptions) {
    this.#options = options;
  }

  get leaving(): Iterable<readonly [string, Leaving]> {
    return this.#leaving;
  }

  /** The next look removes the instance without a grace, unless it is wanted again. */
  gone(key: string): void {
    this.#gone.add(key);
  }

  /**
   * Call once a second with the shards that this process owns. Rejects as the store does.
   * @param now wall clock
   * @param monotonic measures the grace while the process runs, because the wall clock may be set
   */
  async run(shards: Iterable<Shard>, now: number, monotonic: number): Promise<void> {
    const { wanted, settled, onLeaving } = this.#options;
    const left = new Set<string>();
    const fresh: InstanceRecord[] = [];
    for (const shard of shards) {
      for (const key of [...shard.keys]) {
        const record = shard.peek(key)?.record;
        // The record of a project, which has no instance id, is kept: its counts make the ids of its next events.
        if (!record || record.instanceId === "") continue;
        if (wanted(key)) {
          this.#gone.delete(key);
          if (record.leftOutSince !== null) await this.#mark(shard, key, null);
          continue;
        }
        left.add(key);
        if (!settled(record.projectId)) continue;
        const known = this.#leaving.get(key);
        const { until } = known?.shard === shard ? known : { until: monotonic + graceLeft(record, now) };
        this.#leaving.set(key, { shard, record, until });
        if (this.#gone.has(key) || monotonic >= until) await this.#remove(shard, key, record, now);
        else if (record.leftOutSince === null) {
          await this.#mark(shard, key, now);
          if (!known) fresh.push(record);
        }
      }
    }
    for (const key of this.#leaving.keys()) if (!left.has(key)) this.#leaving.delete(key);
    if (fresh.length > 0) onLeaving(fresh);
  }

  async #mark(shard: Shard, key: string, leftOutSince: number | null): Promise<void> {
    const state = shard.peek(key);
    if (!state) return;
    const record = { ...state.record, leftOutSince };
    // After a write by somebody else the next look tries again.
    await commitDecision(shard, key, state, { record, upserts: [], removals: [], events: [], learned: [] });
  }

  async #remove(shard: Shard, key: string, record: InstanceRecord, now: number): Promise<void> {
    const { rulesOf, committed, onRemoved } = this.#options;
    const state = await shard.whole(key);
    if (!state) return;
    const { events, learned } = removeInstance(state, rulesOf(record), now);
    const removal = { removals: state.record.removals + 1, at: now };
    const outcome = { record: null, removal, upserts: [], removals: [], events, learned };
    if ((await commitDecision(shard, key, state, outcome)) !== "ok") return;
    this.#leaving.delete(key);
    this.#gone.delete(key);
    committed(shard, events);
    onRemoved(key, record);
  }
}

/** A clock that was set back makes no grace longer. */
function graceLeft({ leftOutSince }: InstanceRecord, now: number): number {
  if (leftOutSince === null) return LEAVE_GRACE_MS;
  return Math.min(LEAVE_GRACE_MS, Math.max(RESTART_GRACE_MS, LEAVE_GRACE_MS - (now - leftOutSince)));
}
