import type { GroupConfig, GroupKey } from "../config/config.ts";
import type { EventType } from "../core/event.ts";
import type { Delivery, Lease } from "../ports/store.ts";
import { type Reading, read } from "./formats/reading.ts";
import type { ClaimedBatch } from "./in-flight.ts";

/*
 * How events become one message. The worker claims heads of lanes and holds them here, in memory and unsettled: the
 * outbox stays the only durable thing, and whoever owns the shard next finds them there, under the same ids. A group's
 * first message goes out `wait` after the oldest event in it was committed, the next one not before `interval` after
 * the last one that was delivered; an end (recovered, reachable, removed) waits `wait` only, and takes along whatever
 * the group has. As only the head of a task's lane can be claimed, a message holds one event of a task at most, and the
 * order is kept by the outbox. At most HELD events are here, whatever happens; what is not claimed stays in the outbox.
 * When that many are here, the group that is due first goes at once, so that long intervals hold up nobody else. More
 * events than a message takes go out in several, one after the other. What was tried before has waited already. The
 * events of a message that the receiver refused for good go out singly, once each, so that one of them does not cost the
 * others; in memory alone, so that after a crash they are tried together again. The
 * time of the last message is this process's own: after a restart or a takeover a group begins with `wait` again.
 */

/** The most events that one webhook holds. */
const HELD = 1_000;

const ENDS: ReadonlySet<EventType> = new Set([
  "task.recovered",
  "instance.reachable",
  "instance.removed",
  "project.reachable",
]);

/** `lease` is the one under which it was claimed. */
export interface Buffered {
  readonly lease: Lease;
  readonly delivery: Delivery;
}

/** Events of one group that go out as one message. */
export interface AggregatedMessage {
  readonly group: string;
  /** The oldest first. */
  readonly held: readonly Buffered[];
}

interface Entry extends Buffered {
  /**
   * From when it waits: its commit, or when it came here if the clocks disagree or it was tried before, so that what
   * fails again and again takes turns with the rest. Steady epoch milliseconds.
   */
  readonly from: number;
  /** Waits for nothing: it was tried before, or did not fit into the message that it was due in. */
  atOnce: boolean;
  /** Goes out as a message of its own. */
  readonly alone: boolean;
}

/** All times are steady epoch milliseconds. */
export class Aggregator {
  readonly #settings: GroupConfig;
  readonly #maxEvents: number;
  readonly #groups = new Map<string, Entry[]>();
  /** When the last message of a group was delivered. */
  readonly #sentAt = new Map<string, number>();
  /** Groups with a message on its way. */
  readonly #busy = new Set<string>();
  readonly #keys = new Set<string>();

  constructor(settings: GroupConfig, maxEvents: number) {
    this.#settings = settings;
    this.#maxEvents = maxEvents;
  }

  /** How many more events may be claimed. */
  get room(): number {
    return HELD - this.#keys.size;
  }

  has(lease: Lease, delivery: Delivery): boolean {
    return this.#keys.has(deliveryKey(lease, delivery));
  }

  add(lease: Lease, deliveries: readonly Delivery[], now: number): void {
    for (const delivery of deliveries) {
      const key = this.#keyOf(delivery);
      const atOnce = delivery.attempts > 0;
      const from = atOnce ? now : Math.min(delivery.since, now);
      this.#add(key, { lease, delivery, from, atOnce, alone: false });
    }
  }

  /** Takes back what was refused as one message. */
  addSingly(lease: Lease, deliveries: readonly Delivery[], now: number): void {
    for (const delivery of deliveries) {
      this.#add(this.#keyOf(delivery), { lease, delivery, from: now, atOnce: true, alone: true });
    }
  }

  /** Milliseconds until a message can be taken, 0 when one can; infinite when nothing waits for a time. */
  wait(now: number): number {
    const first = this.#first();
    if (first === null) return Number.POSITIVE_INFINITY;
    return this.room <= 0 ? 0 : Math.max(0, first.dueAt - now);
  }

  /** The message that has been due the longest. Its group sends nothing else until `ended`. */
  take(now: number): AggregatedMessage | null {
    const first = this.#first();
    if (first === null || (first.dueAt > now && this.room > 0)) return null;
    const { key, entries } = first;
    const inOrder = entries.toSorted(
      (a, b) => Number(b.atOnce) - Number(a.atOnce) || a.delivery.since - b.delivery.since,
    );
    const together = inOrder.filter(({ alone }) => !alone).slice(0, this.#maxEvents);
    const held = inOrder[0]?.alone ? inOrder.slice(0, 1) : together;
    const taken = new Set(held);
    const rest = inOrder.filter((entry) => !taken.has(entry));
    for (const entry of rest) entry.atOnce = true;
    this.#keep(key, rest, held);
    this.#busy.add(key);
    return { group: key, held };
  }

  /** The message is settled, or given up. */
  ended(group: string, delivered: boolean, now: number): void {
    this.#busy.delete(group);
    if (delivered) this.#sentAt.set(group, now);
    for (const [key, at] of this.#sentAt) if (now - at >= this.#settings.interval) this.#sentAt.delete(key);
  }

  /** Everything that is held, of one shard or of all; it is not here any more. */
  release(shard: number | null): readonly Buffered[] {
    return this.#release(({ lease }) => shard === null || lease.shard === shard);
  }

  /** The same with what was put in at `until` or before. */
  releaseOld(until: number): readonly Buffered[] {
    return this.#release(({ delivery }) => delivery.since <= until);
  }

  #release(fits: (entry: Entry) => boolean): readonly Buffered[] {
    const released: Buffered[] = [];
    for (const [key, entries] of [...this.#groups]) {
      const [out, kept] = partition(entries, fits);
      released.push(...out);
      this.#keep(key, kept, out);
    }
    return released;
  }

  #first(): { readonly key: string; readonly entries: readonly Entry[]; readonly dueAt: number } | null {
    let first: { key: string; entries: readonly Entry[]; dueAt: number } | null = null;
    for (const [key, entries] of this.#groups) {
      if (this.#busy.has(key)) continue;
      let dueAt = Number.POSITIVE_INFINITY;
      for (const entry of entries) dueAt = Math.min(dueAt, this.#dueAt(key, entry));
      if (first === null || dueAt < first.dueAt) first = { key, entries, dueAt };
    }
    return first;
  }

  #dueAt(key: string, { delivery, from, atOnce }: Entry): number {
    if (atOnce) return from;
    const waited = from + this.#settings.wait;
    const sentAt = this.#sentAt.get(key);
    if (sentAt === undefined || ENDS.has(delivery.type)) return waited;
    return Math.max(waited, sentAt + this.#settings.interval);
  }

  #keyOf(delivery: Delivery): string {
    return groupKey(this.#settings.by, read({ ...delivery, id: delivery.eventId }));
  }

  #add(key: string, entry: Entry): void {
    const entries = this.#groups.get(key);
    if (entries === undefined) this.#groups.set(key, [entry]);
    else entries.push(entry);
    this.#keys.add(deliveryKey(entry.lease, entry.delivery));
  }

  #keep(key: string, kept: Entry[], gone: readonly Entry[]): void {
    for (const { lease, delivery } of gone) this.#keys.delete(deliveryKey(lease, delivery));
    if (kept.length === 0) this.#groups.delete(key);
    else this.#groups.set(key, kept);
  }
}

/** By the lease under which they were claimed, each in the order in which they are. */
export function batchesOf(held: readonly Buffered[]): readonly ClaimedBatch[] {
  const batches = new Map<Lease, Delivery[]>();
  for (const { lease, delivery } of held) {
    const deliveries = batches.get(lease);
    if (deliveries === undefined) batches.set(lease, [delivery]);
    else deliveries.push(delivery);
  }
  return [...batches].map(([lease, deliveries]) => ({ lease, deliveries }));
}

function groupKey(by: readonly GroupKey[], { project, instance, task }: Reading): string {
  const values: Readonly<Record<GroupKey, string | null>> = {
    project: project.id,
    instance: instance === null ? null : `${project.id}/${instance.id}`,
    task: task?.name ?? null,
    engine: instance?.engine ?? null,
    region: project.region,
  };
  return JSON.stringify(by.map((key) => values[key]));
}

const deliveryKey = ({ shard, fence }: Lease, { lane, eventId }: Delivery): string =>
  JSON.stringify([shard, fence, lane, eventId]);

function partition<T>(items: readonly T[], fits: (item: T) => boolean): readonly [T[], T[]] {
  const sides: [T[], T[]] = [[], []];
  for (const item of items) sides[fits(item) ? 0 : 1].push(item);
  return sides;
}
