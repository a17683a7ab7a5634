import { beforeEach, expect, test } from "vitest";
import type { WebhookConfig } from "../../src/config/config.ts";
import { OutboxHousekeeping } from "../../src/outbox/housekeeping.ts";
import type { Lease } from "../../src/ports/store.ts";
import type { DeliveryFact, OutboxEvent } from "../../src/ports/telemetry.ts";
import { polledAgain, sceneOf, shows } from "../app/scene.ts";
import { runCli } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryOutbox } from "../support/memory-outbox.ts";
import { webhookOf } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";
import { lease, webhookConfig } from "./harness.ts";

const MINUTE = 60_000;
const REASON = "the webhook is not configured any more";

let clock: ManualClock;
let outbox: MemoryOutbox;
let leases: Lease[];
let told: OutboxEvent[];
let housekeeping: OutboxHousekeeping;

beforeEach(() => {
  clock = new ManualClock();
  outbox = new MemoryOutbox();
  leases = [lease(0), lease(1)];
  told = [];
  housekeeping = new OutboxHousekeeping({
    outbox,
    clock,
    leases: () => leases,
    emit: (event) => told.push(event),
    untaken: () => new Map(),
  });
  housekeeping.apply([named("ops")]);
});

const named = (name: string, over: Partial<WebhookConfig> = {}) =>
  webhookConfig("https://h.example.org/", { name, ...over });
function put(webhook: string, count: number, shard = 0): void {
  for (let n = 0; n < count; n++)
    outbox.put(shard, [webhook], { lane: `lane ${n % 7}`, body: `${webhook} ${shard} ${n}` }, clock.now());
}
const facts = (): DeliveryFact[] => told.flatMap((event) => (event.kind === "outbox" ? [event.fact] : []));
/** Looks once a minute, as the daemon does more often. */
async function pass(minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    await housekeeping.count();
    await clock.advance(MINUTE);
  }
  await housekeeping.count();
}

test("what waits for a webhook that is not configured any more is kept for an hour, then it is dead letters", async () => {
  put("gone", 250);
  put("gone", 3, 1);
  put("ops", 2);
  await pass(59);
  expect(facts()).toEqual([{ kind: "orphaned", webhook: "gone", events: 253, graceSeconds: 3600 }]);
  expect(outbox.dead).toEqual([]);
  await pass(1);
  expect(outbox.dead).toHaveLength(253);
  expect(new Set(outbox.dead.map(({ reason }) => reason))).toEqual(new Set([REASON]));
  expect(outbox.pending("ops")).toHaveLength(2);
  expect(outbox.held).toBe(0);
  await pass(120);
  expect(facts()).toEqual([
    { kind: "orphaned", webhook: "gone", events: 253, graceSeconds: 3600 },
    { kind: "dead_lettered", webhook: "gone", events: 253 },
  ]);
});

test("what the store did not settle is settled at the next look, and held from nobody", async () => {
  put("gone", 3);
  await pass(59);
  outbox.fail("settle", "throw");
  await clock.advance(MINUTE);
  await expect(housekeeping.count()).rejects.toThrow();
  await housekeeping.count();
  expect(outbox.dead).toHaveLength(3);
  expect(outbox.held).toBe(0);
});

test("one that is put back within the hour finds all that waited", async () => {
  put("gone", 3);
  await pass(50);
  housekeeping.apply([named("ops"), named("gone")]);
  await pass(60);
  expect(outbox.pending("gone")).toHaveLength(3);
  housekeeping.apply([named("ops")]);
  await pass(59);
  expect(outbox.dead).toEqual([]);
});

test("one that became an Alertmanager's delivers nothing, so what waited is an orphan too", async () => {
  put("ops", 1);
  housekeeping.apply([named("ops", { format: "alertmanager" })]);
  await pass(60);
  expect(outbox.dead.map(({ reason }) => reason)).toEqual([REASON]);
});

test("a shard of another replica is left to it", async () => {
  put("gone", 1);
  put("gone", 1, 1);
  leases = [lease(1)];
  await pass(60);
  expect(outbox.dead.map(({ eventId }) => eventId)).toEqual(["gone 1 0"]);
});

test("counts are told under the old name until nothing is left, then once more", async () => {
  leases = [lease(0)];
  const since = clock.now();
  put("gone", 2);
  const counts = async () => {
    told = [];
    await housekeeping.count();
    return told.flatMap((event) =>
      event.kind === "outbox.counts" && event.webhook === "gone" ? [event] : [],
    );
  };
  const gone = { kind: "outbox.counts", webhook: "gone", configured: false };
  expect(await counts()).toEqual([{ ...gone, pending: 2, oldestAt: since, dead: 0 }]);
  await pass(60);
  expect(await counts()).toEqual([{ ...gone, pending: 0, oldestAt: null, dead: 2 }]);
  await outbox.drop(null);
  expect(await counts()).toEqual([{ ...gone, pending: 0, oldestAt: null, dead: 0 }]);
  expect(await counts()).toEqual([]);
});

test("dead letters of webhooks that are not configured go by a time too", async () => {
  leases = [lease(0)];
  put("gone", 1);
  await pass(60);
  await housekeeping.count();
  await housekeeping.prune(0);
  const now = clock.now();
  expect(outbox.prunings).toEqual([
    [
      ["gone", now - 30 * 24 * 60 * MINUTE],
      ["ops", now - 30 * 24 * 60 * MINUTE],
    ],
  ]);
});

test("a removal is known as long as anything of before it may be left to deliver or to replay", async () => {
  const DAY = 24 * 60 * MINUTE;
  const now = clock.now();
  const retry = { for: 3 * DAY, refused_for: 1, min: 1, max: 1 };
  const forgotten = async (dead_letters: number, keepEvents: number) => {
    housekeeping.apply([named("ops", { retry, dead_letters })]);
    await housekeeping.prune(now - keepEvents);
    return (now - (outbox.removalsForgotten.at(-1) ?? 0)) / DAY;
  };
  expect(await forgotten(DAY, DAY)).toBe(33);
  expect(await forgotten(60 * DAY, DAY)).toBe(63);
  expect(await forgotten(60 * DAY, 90 * DAY)).toBe(93);
  housekeeping.apply([]);
  await housekeeping.prune(now);
  expect(outbox.removalsForgotten.at(-1)).toBe(now - 30 * DAY);
});

test("in the daemon: said in the log once, listed, and delivered after a replay when the webhook is back", {
  timeout: 90_000,
}, async () => {
  await using inbox = await Inbox.start();
  inbox.answer = () => 503;
  const scene = await sceneOf({ webhooks: [webhookOf(inbox, { name: "renamed" })] });
  const { config, clock: time, create } = scene;
  const app = await scene.start();
  await polledAgain(app);
  create({ name: "modifyAutoTopic", ends: "FAILED", runs_for: 0 });
  await inbox.until(() => inbox.letters.length > 0);
  await app.reload({ ...config, webhooks: [] });
  const warning = /^webhook is not configured any more/;
  await app.log.until(({ msg }) => warning.test(String(msg)));
  await shows(app, "taskwatch_webhook_pending", { webhook: "renamed" }, 1);
  const oldest = "taskwatch_webhook_oldest_pending_timestamp_seconds";
  expect((await app.scrape()).value(oldest, { webhook: "renamed" })).toBeGreaterThan(0);
  const api = await (await fetch(`${app.url}/api/v1/webhooks`)).json();
  expect(api).toMatchObject({
    webhooks: [{ name: "renamed", format: null, state: "not_configured", pending: 1, dead_letters: 0 }],
  });
  // In steps that keep the shards.
  for (let minutes = 0; minutes < 65; minutes += 5) {
    time.advance(5 * MINUTE);
    await polledAgain(app);
  }
  await app.log.until("webhook is not configured: what waited is dead letters now");
  await shows(app, "taskwatch_dead_letters", { webhook: "renamed" }, 1);
  expect(app.log.lines.filter(({ msg }) => warning.test(String(msg)))).toMatchObject([
    { webhook: "renamed", events: 1 },
  ]);
  await using folder = await Folder.create();
  const path = await folder.write("taskwatch.yaml", config);
  const listed = await runCli(["dead-letters", "list", "--json", "--config", path]);
  expect(JSON.parse(listed.stdout)).toMatchObject({
    dead_letters: [{ webhook: "renamed", type: "task.failed", reason: REASON }],
  });

  // Put back while it is not there, they wait again.
  const without = await folder.write("without.yaml", { ...config, webhooks: [] });
  const early = await runCli(["dead-letters", "replay", "--config", without]);
  expect(early).toMatchObject({
    code: 0,
    stdout: "1 event put back for delivery\n",
    stderr: expect.stringMatching(/^webhook renamed is not configured: /),
  });
  inbox.answer = () => 204;
  await app.reload(config);
  const event = await inbox.event("task.failed");
  expect(event.id).toBe(inbox.letters[0]?.id);
});
