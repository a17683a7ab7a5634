import type {
  DeadLetter,
  DeadLetterPage,
  Delivery,
  EventWrite,
  Lease,
  Outbox,
  OutboxCount,
  ReplayRoute,
  Settlement,
  SharedDocuments,
} from "../../src/ports/store.ts";

interface Row extends Delivery {
  attempts: number;
  /** Null before the first attempt: due whatever the clock says. */
  due: number | null;
  held: boolean;
}

/** What is to happen to the next calls of one operation. */
export type Fault = "throw" | "throw after" | "fenced";

/**
 * The outbox's contract in memory, with faults on demand, for tests of what stands above it. One process, no durability.
 * What the stores promise of claims and settlements holds here too, by the same contract.
 */
export class MemoryOutbox implements Outbox {
  rows: Row[] = [];
  dead: DeadLetter[] = [];
  readonly delivered: string[] = [];
  readonly claims: { readonly shard: number; readonly webhook: string; readonly limit: number }[] = [];
  /** Holds back the answers to claims, which have taken effect, until it resolves. */
  claimGate: Promise<void> | null = null;
  readonly #fences = new Map<number, number>();
  readonly #faults: Record<"claim" | "settle", Fault[]> = { claim: [], settle: [] };
  #watchers: (() => void)[] = [];

  put(
    shard: number,
    webhooks: readonly string[],
    write: Pick<EventWrite, "lane" | "body"> & Partial<{ id: string; type: Delivery["type"] }>,
    now: number,
  ): void {
    const { lane, body, id = body, type = "task.failed" } = write;
    for (const webhook of webhooks) {
      this.rows.push({
        shard,
        webhook,
        lane,
        eventId: id,
        type,
        body,
        attempts: 0,
        since: now,
        due: null,
        held: false,
      });
    }
  }

  fail(operation: "claim" | "settle", ...faults: readonly Fault[]): void {
    this.#faults[operation].push(...faults);
  }

  /** Claimed and not settled. */
  get held(): number {
    return this.rows.filter((row) => row.held).length;
  }

  pending(webhook: string): readonly string[] {
    return this.rows.filter((row) => row.webhook === webhook).map((row) => row.eventId);
  }

  /** The lease ended: its holds are void. */
  freeHolds(shard: number): void {
    for (const row of this.rows) if (row.shard === shard) row.held = false;
  }

  /** A new lease of the shard: the one before it is refused from now on. */
  acquire(shard: number, owner: string): Lease {
    const fence = (this.#fences.get(shard) ?? 0) + 1;
    this.#fences.set(shard, fence);
    this.freeHolds(shard);
    return { shard, owner, fence };
  }

  /** Resolves at the next settlement. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }

  async claim(lease: Lease, webhook: string, limit: number, now: number) {
    const fault = this.#faults.claim.shift();
    if (fault === "throw") throw new Error("claim failed");
    if (fault === "fenced" || this.#isOver(lease)) return "fenced" as const;
    this.claims.push({ shard: lease.shard, webhook, limit });
    const since = (row: Row) => row.due ?? row.since;
    const due = this.#heads(lease.shard, webhook)
      .filter((row) => (row.due ?? 0) <= now)
      .sort((a, b) => since(a) - since(b));
    const deliveries = this.#hold(due.slice(0, limit));
    const rest = this.#heads(lease.shard, webhook).map((row) => row.due ?? 0);
    const answer = { deliveries, nextDueAt: rest.length === 0 ? null : Math.min(...rest) };
    await this.claimGate;
    return answer;
  }

  async claimOld(lease: Lease, webhook: string, limit: number, until: number) {
    if (this.#isOver(lease)) return "fenced" as const;
    const old = this.#heads(lease.shard, webhook)
      .filter((row) => row.since <= until)
      .sort((a, b) => a.since - b.since);
    return this.#hold(old.slice(0, limit));
  }

  async settle(
    lease: Lease,
    webhook: string,
    deliveries: readonly Pick<Delivery, "eventId" | "lane">[],
    settlement: Settlement,
    now: number,
  ): Promise<"ok" | "fenced"> {
    const fault = this.#faults.settle.shift();
    if (fault === "throw") throw new Error("settle failed");
    if (fault === "fenced" || this.#isOver(lease)) return "fenced";
    for (const { eventId, lane } of deliveries) {
      const row = this.rows.find(
        (one) =>
          one.held &&
          one.webhook === webhook &&
          one.shard === lease.shard &&
          one.lane === lane &&
          one.eventId === eventId,
      );
      if (row === undefined) continue;
      row.held = false;
      row.attempts++;
      if (settlement.kind === "retry") row.due = settlement.at;
      else this.rows = this.rows.filter((one) => one !== row);
      if (settlement.kind === "delivered") this.delivered.push(eventId);
      if (settlement.kind === "dead") {
        const { type, since, attempts, body } = row;
        this.dead.push({ webhook, eventId, type, at: now, since, attempts, reason: settlement.reason, body });
      }
    }
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
    if (fault === "throw after") throw new Error("settle got no answer");
    return "ok";
  }

  async counts(shard: number): Promise<readonly OutboxCount[]> {
    const names = new Set([...this.rows, ...this.dead].map(({ webhook }) => webhook));
    const counts = [...names].map((webhook) => {
      const rows = this.rows.filter((row) => row.webhook === webhook && row.shard === shard);
      return {
        webhook,
        pending: rows.length,
        oldestAt: rows.length === 0 ? null : Math.min(...rows.map(({ since }) => since)),
        dead: this.dead.filter((letter) => letter.webhook === webhook).length,
      };
    });
    return counts.filter(({ pending, dead }) => pending + dead > 0);
  }

  async deadLetters(): Promise<DeadLetterPage> {
    return { letters: [...this.dead], next: null };
  }

  async replay(
    ids: readonly string[] | null,
    now: number,
    { from, to }: ReplayRoute = {},
  ): Promise<readonly string[]> {
    const found = this.dead.filter(
      ({ eventId, webhook }) =>
        (ids === null || ids.includes(eventId)) && (from === undefined || webhook === from),
    );
    this.dead = this.dead.filter((letter) => !found.includes(letter));
    for (const { webhook, eventId, type, body } of found)
      this.put(0, [to ?? webhook], { lane: eventId, id: eventId, type, body }, now);
    return found.map(({ eventId }) => eventId);
  }

  async drop(ids: readonly string[] | null): Promise<readonly string[]> {
    const found = this.dead.filter(({ eventId }) => ids === null || ids.includes(eventId));
    this.dead = this.dead.filter((letter) => !found.includes(letter));
    return found.map(({ eventId }) => eventId);
  }

  /** When each webhook's dead letters were asked to go, call by call. */
  readonly prunings: (readonly (readonly [webhook: string, before: number])[])[] = [];
  /** Before when removals were asked to go, call by call. */
  readonly removalsForgotten: number[] = [];

  async prune(
    _lease: Lease,
    _eventsBefore: number,
    deadBefore: ReadonlyMap<string, number>,
    removedBefore: number,
  ): Promise<"ok" | "fenced"> {
    this.prunings.push([...deadBefore]);
    this.removalsForgotten.push(removedBefore);
    return "ok";
  }

  #isOver({ shard, fence }: Lease): boolean {
    return fence < (this.#fences.get(shard) ?? 0);
  }

  #hold(rows: readonly Row[]): readonly Delivery[] {
    return rows.map((row) => {
      row.held = true;
      const { due: _due, held: _held, ...delivery } = row;
      return delivery;
    });
  }

  /** Those that nobody holds. */
  #heads(shard: number, webhook: string): readonly Row[] {
    const heads = new Map<string, Row>();
    for (const row of this.rows)
      if (row.shard === shard && row.webhook === webhook && !heads.has(row.lane)) heads.set(row.lane, row);
    return [...heads.values()].filter((row) => !row.held);
  }
}

export class MemoryNotes implements SharedDocuments {
  readonly #notes = new Map<string, { value: string; version: number }>();
  /** Calls that are to throw. */
  failures = 0;

  async read(name: string) {
    this.#mayFail();
    return this.#notes.get(name) ?? null;
  }

  async write(name: string, value: string | null, expectVersion: number): Promise<boolean> {
    this.#mayFail();
    const version = this.#notes.get(name)?.version ?? 0;
    if (version !== expectVersion) return false;
    if (value === null) this.#notes.delete(name);
    else this.#notes.set(name, { value, version: version + 1 });
    return true;
  }

  async list(prefix: string) {
    return [...this.#notes]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, { value }]) => ({ name, value }));
  }

  async setAside(name: string, expectVersion: number): Promise<boolean> {
    return await this.write(name, null, expectVersion);
  }

  #mayFail(): void {
    if (this.failures === 0) return;
    this.failures--;
    throw new Error("notes failed");
  }
}
