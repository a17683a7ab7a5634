import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { InstanceRecord } from "../../src/core/state.ts";
import { WebhookWorkers } from "../../src/outbox/workers.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { Lease, Store } from "../../src/ports/store.ts";
import type { DeliveryFact } from "../../src/ports/telemetry.ts";
import { openStore } from "../../src/store/open.ts";
import { type Receiver, type Reply, startReceiver } from "../support/receiver.ts";
import { HOUR, webhookConfig } from "./harness.ts";

const LANES = 8;
const PER_LANE = 25;
const CONCURRENCY = 4;
const CRASHES = 6;

let folder: string;
let receiver: Receiver;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "taskwatch-outbox-"));
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver.close();
  await rm(folder, { recursive: true, force: true });
});

const record: InstanceRecord = {
  projectId: "p1",
  instanceId: "i1",
  name: "orders",
  engine: "kafka",
  discovered: false,
  baselineAt: null,
  lastCompleteAt: null,
  lastSweepAt: null,
  prunedBefore: null,
  removals: 0,
  unreachable: null,
  counts: {},
  ended: [],
  scheduled: [],
  leftOutSince: null,
};

class Daemon {
  readonly #store: Store;
  readonly lease: Lease;
  readonly workers: WebhookWorkers;
  readonly #delivered = new Set<string>();
  #enough: { readonly count: number; readonly resolve: () => void } | null = null;

  static async start(): Promise<Daemon> {
    const settings = { url: `sqlite:${join(folder, "store.db")}`, keyPrefix: "t", shards: 1 };
    const store = await openStore(settings, { exclusive: true, clock: systemClock });
    const lease = await store.leases.acquire(0, "me", HOUR);
    if (lease === null) throw new Error("no lease");
    return new Daemon(store, lease);
  }

  private constructor(store: Store, lease: Lease) {
    this.#store = store;
    this.lease = lease;
    this.workers = new WebhookWorkers({
      version: "1.2.3",
      outbox: store.outbox,
      notes: store.notes,
      clock: systemClock,
      random: Math.random,
      leases: () => [lease],
      stillMine: () => true,
      emit: (fact) => this.#heard(fact),
    });
    const retry = { for: HOUR, refused_for: HOUR, min: 1, max: 5 };
    this.workers.apply([webhookConfig(receiver.url, { concurrency: CONCURRENCY, retry })]);
  }

  async commitAll(): Promise<void> {
    const events = Array.from({ length: LANES * PER_LANE }, (_, n) => {
      const [lane, step] = [`lane ${n % LANES}`, Math.floor(n / LANES)];
      const data = { id: `${lane} ${step}`, type: "task.failed" as const, time: systemClock.now() };
      // The store reads of an event what the outbox needs; the rest is in the body.
      const event = { ...data, webhooks: ["ops"], data: {} as never };
      return { event, body: JSON.stringify({ id: data.id, lane, step }), lane };
    });
    const batch = {
      shard: 0,
      key: "p1/i1",
      expectRevision: 0,
      record,
      upserts: [],
      removals: [],
      events,
      names: [],
    };
    expect((await this.#store.state.commit(this.lease, batch)).kind).toBe("ok");
    this.workers.wake(0, ["ops"]);
  }

  async delivered(count: number): Promise<void> {
    if (this.#delivered.size < count)
      await new Promise<void>((resolve) => {
        this.#enough = { count, resolve };
      });
  }

  async drained(): Promise<void> {
    for (;;) {
      const before = this.#delivered.size;
      const counts = await this.#store.outbox.counts(0);
      if (counts.every(({ pending }) => pending === 0)) return;
      await this.delivered(before + 1);
    }
  }

  /** As a crash leaves it: nothing in flight is settled. */
  async crash(): Promise<void> {
    await this.workers.stop(0);
    await this.#store.close();
  }

  #heard(fact: DeliveryFact): void {
    if (fact.kind === "delivered") this.#delivered.add(fact.eventId);
    if (this.#enough !== null && this.#delivered.size >= this.#enough.count) this.#enough.resolve();
  }
}

test("on the embedded store, over a bad receiver and crashes, every event arrives, in order, hardly ever twice", async () => {
  const odd: readonly Reply[] = ["reset", 500, { status: 429, headers: { "retry-after": "0" } }, 404, 302];
  const arrived: string[] = [];
  let n = 0;
  receiver.otherwise(({ body }) => {
    n++;
    if (n % 7 < 2) return odd[n % odd.length] ?? 500;
    arrived.push(JSON.parse(body).id);
    return 204;
  });

  let daemon = await Daemon.start();
  await daemon.commitAll();
  for (let crash = 0; crash < CRASHES; crash++) {
    await daemon.delivered(10);
    await daemon.crash();
    daemon = await Daemon.start();
  }
  await daemon.drained();
  await daemon.crash();

  const first = [...new Set(arrived)];
  for (let lane = 0; lane < LANES; lane++) {
    const steps = first.filter((id) => id.startsWith(`lane ${lane} `)).map((id) => Number(id.split(" ")[2]));
    expect(steps).toEqual(Array.from({ length: PER_LANE }, (_, step) => step));
  }
  expect(arrived.length - first.length).toBeLessThanOrEqual(CRASHES * CONCURRENCY);
});
