import fc from "fast-check";
import { expect, test } from "vitest";
import type { Delivery, Lease, Store } from "../../../src/ports/store.ts";
import { event, leaseOf, put, T0 } from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

const WEBHOOKS = ["ops", "chat"];
const LANES = ["lane-a", "lane-b", "lane-c"];

type Step =
  | { readonly kind: "commit"; readonly lane: string; readonly webhooks: readonly string[] }
  | { readonly kind: "claim"; readonly webhook: string; readonly limit: number }
  | {
      readonly kind: "settle";
      readonly pick: number;
      readonly as: "delivered" | "retry" | "dead";
      readonly wait: number;
    }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "replay" | "crash" | "prune" };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("commit" as const),
        lane: fc.constantFrom(...LANES),
        webhooks: fc.subarray(WEBHOOKS),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("claim" as const),
        webhook: fc.constantFrom(...WEBHOOKS),
        limit: fc.integer({ min: 0, max: 3 }),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("settle" as const),
        pick: fc.nat(),
        as: fc.constantFrom("delivered" as const, "retry" as const, "dead" as const),
        wait: fc.integer({ min: 0, max: 100 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 60 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constantFrom("replay" as const, "crash" as const, "prune" as const) }),
    },
  ),
  { maxLength: 60 },
);

interface Pending {
  readonly id: string;
  attempts: number;
  notBefore: number;
}

/** The outbox of one webhook as it should be: lanes by name, replayed ones beside them, and dead letters. */
class Model {
  readonly lanes = new Map<string, Pending[]>();
  readonly dead: { readonly id: string; readonly lane: string; readonly order: number }[] = [];
  readonly held = new Map<string, Delivery>();

  lane(name: string): Pending[] {
    const found = this.lanes.get(name) ?? [];
    this.lanes.set(name, found);
    return found;
  }

  dueHeads(now: number): Pending[] {
    return [...this.lanes.entries()].flatMap(([, [head]]) =>
      head !== undefined && !this.held.has(head.id) && head.notBefore <= now ? [head] : [],
    );
  }

  laneOf(id: string): [string, Pending[]] {
    for (const entry of this.lanes) if (entry[1].some((one) => one.id === id)) return entry;
    throw new Error(`${id} was handed out, and nobody is waiting for it`);
  }
}

/** Runs the steps on the store and on the model side by side, and compares them after each. */
class Run {
  readonly #reopen: () => Promise<Store>;
  #store: Store;
  #lease: Lease;
  #now = T0;
  #written = 0;
  readonly #order = new Map<string, number>();
  readonly #models = new Map(WEBHOOKS.map((webhook) => [webhook, new Model()]));
  readonly sent = new Map(WEBHOOKS.map((webhook) => [webhook, new Set<string>()]));
  readonly wanted = new Map(WEBHOOKS.map((webhook) => [webhook, new Set<string>()]));

  constructor(store: Store, lease: Lease, reopen: () => Promise<Store>) {
    this.#store = store;
    this.#lease = lease;
    this.#reopen = reopen;
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case "commit":
        return this.#commit(step.lane, step.webhooks);
      case "claim":
        return this.#claim(step.webhook, step.limit);
      case "settle":
        return this.#settle(step.pick, step.as, step.wait);
      case "pass":
        this.#now += step.ms;
        return;
      case "replay":
        return this.#replay();
      case "prune":
        await this.#store.outbox.prune(this.#lease, this.#now + 1, new Map(), 0);
        return;
      case "crash":
        this.#store = await this.#reopen();
        this.#lease = await leaseOf(this.#store);
        for (const model of this.#models.values()) model.held.clear();
    }
  }

  /** Delivers all that is left: after this, everything that was wanted was sent. */
  async drain(): Promise<void> {
    await this.step({ kind: "crash" });
    await this.step({ kind: "replay" });
    this.#now += 1000;
    for (const webhook of WEBHOOKS) {
      for (let left = this.#written * 2 + 1; left > 0; left--) {
        await this.#claim(webhook, 10);
        const model = this.#model(webhook);
        if (model.held.size === 0) break;
        for (const delivery of [...model.held.values()])
          await this.#settleOne(model, delivery, "delivered", 0);
      }
    }
    expect(await this.#store.outbox.counts(1)).toEqual([]);
    expect(this.sent).toEqual(this.wanted);
    await this.#store.outbox.prune(this.#lease, this.#now, new Map(), 0);
    expect((await this.#store.reader.events({ limit: 10 })).events).toEqual([]);
  }

  #model(webhook: string): Model {
    return this.#models.get(webhook)!;
  }

  async #commit(lane: string, webhooks: readonly string[]): Promise<void> {
    const id = `evt_${this.#written++}`;
    this.#order.set(id, this.#written);
    expect(await put(this.#store, this.#lease, event(id, { lane, webhooks, time: this.#now }))).toMatchObject(
      {
        kind: "ok",
      },
    );
    for (const webhook of webhooks) {
      this.wanted.get(webhook)!.add(id);
      this.#model(webhook).lane(lane).push({ id, attempts: 0, notBefore: 0 });
    }
  }

  async #claim(webhook: string, limit: number): Promise<void> {
    const model = this.#model(webhook);
    const due = model.dueHeads(this.#now);
    const claim = await this.#store.outbox.claim(this.#lease, webhook, limit, this.#now);
    if (claim === "fenced") throw new Error("fenced");
    expect(claim.deliveries).toHaveLength(Math.min(limit, due.length));
    for (const delivery of claim.deliveries) {
      const head = due.find(({ id }) => id === delivery.eventId);
      expect(head, `${delivery.eventId} is not a head that is due`).toBeDefined();
      expect(delivery.attempts).toBe(head!.attempts);
      expect(delivery.body).toBe(JSON.stringify({ id: delivery.eventId }));
      model.held.set(delivery.eventId, delivery);
      this.sent.get(webhook)!.add(delivery.eventId);
    }
    const waiting = [...model.lanes.values()].flatMap(([head]) =>
      head !== undefined && !model.held.has(head.id) ? [head.notBefore] : [],
    );
    const next = waiting.length === 0 ? null : Math.min(...waiting);
    if (next === null || next > this.#now) expect(claim.nextDueAt).toBe(next);
    else expect(claim.nextDueAt).toBeLessThanOrEqual(this.#now);
  }

  async #settle(pick: number, as: "delivered" | "retry" | "dead", wait: number): Promise<void> {
    const all = [...this.#models.values()].flatMap((model) =>
      [...model.held.values()].map((delivery) => ({ model, delivery })),
    );
    const chosen = all[pick % Math.max(1, all.length)];
    if (chosen !== undefined) await this.#settleOne(chosen.model, chosen.delivery, as, wait);
  }

  async #settleOne(
    model: Model,
    delivery: Delivery,
    as: "delivered" | "retry" | "dead",
    wait: number,
  ): Promise<void> {
    const settlement =
      as === "delivered"
        ? ({ kind: as } as const)
        : as === "dead"
          ? ({ kind: as, reason: "refused" } as const)
          : ({ kind: as, at: this.#now + wait, reason: "timeout" } as const);
    const { webhook, eventId } = delivery;
    expect(await this.#store.outbox.settle(this.#lease, webhook, [delivery], settlement, this.#now)).toBe(
      "ok",
    );
    const [name, lane] = model.laneOf(eventId);
    model.held.delete(eventId);
    const head = lane[0]!;
    if (as === "retry") {
      head.attempts += 1;
      head.notBefore = this.#now + wait;
      return;
    }
    lane.shift();
    const order = this.#order.get(eventId)!;
    if (as === "dead") model.dead.push({ id: eventId, lane: name.replace("beside ", ""), order });
  }

  async #replay(): Promise<void> {
    const dead = [...this.#models.values()].flatMap((model) => model.dead.map(({ id }) => id));
    expect(new Set(await this.#store.outbox.replay(null, this.#now))).toEqual(new Set(dead));
    for (const model of this.#models.values()) {
      for (const { id, lane } of model.dead.sort((a, b) => a.order - b.order)) {
        const beside = model.lane(`beside ${lane}`);
        beside.push({ id, attempts: 0, notBefore: 0 });
        // Those that wait behind the head stand in the order of their commits.
        const [head, ...rest] = beside;
        rest.sort((a, b) => this.#order.get(a.id)! - this.#order.get(b.id)!);
        beside.splice(0, beside.length, head!, ...rest);
      }
      model.dead.length = 0;
    }
  }
}

export function modelContract(use: UseStore): void {
  test("whatever is committed, claimed, settled, replayed and crashed: sent at least once, in order per lane", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const opened = await use();
        const run = new Run(opened.store, await leaseOf(opened.store), opened.reopen);
        for (const step of sequence) await run.step(step);
        await run.drain();
        await opened.dispose();
      }),
      { numRuns: Number(process.env.FC_RUNS ?? 60) },
    );
  });
}
