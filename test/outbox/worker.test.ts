import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Secret } from "../../src/config/secret.ts";
import { enableWebhook } from "../../src/outbox/disable-switch.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { HOUR, lease, Workbench, webhookConfig } from "./harness.ts";

let bench: Workbench;
let receiver: Receiver;

beforeEach(async () => {
  bench = new Workbench();
  receiver = await startReceiver();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
  await receiver.close();
});

const bodies = () => receiver.requests.map(({ body }) => body);
const delivered = (count: number) => () => bench.of("delivered").length >= count;

describe("everything is delivered", () => {
  test("by a receiver that is down, then fails, then asks to wait, then is fine; in order, with few attempts", async () => {
    const { port } = receiver;
    await receiver.close();
    for (const lane of ["a", "b", "c"]) for (const n of [1, 2, 3, 4]) bench.put(lane, `${lane}${n}`);
    bench.start(webhookConfig(receiver.url));
    await bench.advanceUntil(() => bench.of("attempt").length >= 5);
    receiver = await startReceiver({ port });
    receiver.script(500, 500, { status: 429, headers: { "retry-after": "120" } });
    await bench.advanceUntil(() => bench.of("attempt").some(({ status }) => status === 429));
    const askedAwayAt = bench.clock.now();
    await bench.advanceUntil(() => receiver.requests.length > 3);
    expect(bench.clock.now() - askedAwayAt).toBeGreaterThanOrEqual(120_000);
    await bench.advanceUntil(delivered(12));

    for (const lane of ["a", "b", "c"])
      expect(bench.outbox.delivered.filter((id) => id.startsWith(lane))).toEqual(
        [1, 2, 3, 4].map((n) => `${lane}${n}`),
      );
    expect(bench.outbox.rows).toEqual([]);
    expect(bench.outbox.dead).toEqual([]);
    expect(bench.of("attempt").length).toBeLessThan(12 + 10);
    expect(bench.of("breaker_opened")).toHaveLength(1);
    expect(bench.of("breaker_closed")).toHaveLength(1);
  });

  test("each attempt carries the same id and the same bytes, with a signature of its own time", async () => {
    const secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "plain"];
    receiver.script(503, 503);
    bench.put("a", '{"id": "x",  "ü":1}');
    bench.start(webhookConfig(receiver.url, { secrets: secrets.map((secret) => new Secret(secret)) }));
    await bench.advanceUntil(delivered(1));
    expect(new Set(bodies()).size).toBe(1);
    expect(new Set(receiver.requests.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(new Set(receiver.requests.map(({ headers }) => headers["webhook-timestamp"])).size).toBe(3);
    for (const { headers, body } of receiver.requests) {
      const at = new Date(Number(headers["webhook-timestamp"]) * 1000);
      const [first, second] = String(headers["webhook-signature"]).split(" ");
      expect(first).toBe(new Webhook(secrets[0]!).sign(String(headers["webhook-id"]), at, body));
      const raw = new Webhook(new TextEncoder().encode("plain"), { format: "raw" });
      expect(second).toBe(raw.sign(String(headers["webhook-id"]), at, body));
    }
  });

  test("an event waits behind the earlier ones of its lane, and nothing else waits for it", async () => {
    receiver.otherwise(({ body }) => (body === "a1" && receiver.requests.length < 8 ? 503 : 204));
    for (const body of ["a1", "a2", "b1", "b2", "b3", "c1"]) bench.put(body[0]!, body);
    bench.start(webhookConfig(receiver.url));
    await bench.until(delivered(4));
    expect(bench.outbox.delivered.toSorted()).toEqual(["b1", "b2", "b3", "c1"]);
    await bench.advanceUntil(delivered(6));
    expect(bench.outbox.delivered.slice(-2)).toEqual(["a1", "a2"]);
  });

  test("from all shards that are owned, and from one that is acquired later", async () => {
    bench.leases = [lease(0), lease(1)];
    const worker = bench.start(webhookConfig(receiver.url));
    for (const shard of [0, 1, 2]) bench.put(`lane ${shard}`, `of shard ${shard}`, { shard });
    await bench.until(delivered(2));
    expect(bodies().toSorted()).toEqual(["of shard 0", "of shard 1"]);
    bench.leases = [...bench.leases, lease(2)];
    worker.wake();
    await bench.until(delivered(3));
    expect(bodies()[2]).toBe("of shard 2");
  });

  test("a dead letter that a command put back is noticed within five seconds", async () => {
    receiver.script(400);
    bench.put("a", "a1");
    bench.start(webhookConfig(receiver.url));
    await bench.until(() => bench.of("dead").length === 1);
    await bench.outbox.replay(null, bench.clock.now());
    const at = bench.clock.now();
    await bench.advanceUntil(delivered(1));
    expect(bench.clock.now() - at).toBeLessThan(5_000);
    expect(new Set(bodies())).toEqual(new Set(["a1"]));
  });

  test("after the wall clock was set back by hours", async () => {
    receiver.script(503);
    bench.put("a", "a1");
    bench.start(webhookConfig(receiver.url));
    await bench.until(() => bench.of("attempt").length === 1);
    bench.clock.jump(-3 * HOUR);
    const at = bench.clock.monotonic();
    await bench.advanceUntil(delivered(1));
    expect(bench.clock.monotonic() - at).toBeLessThan(10_000);
  });
});

describe("what cannot be delivered", () => {
  test("is a dead letter at once when it is refused, and the next of its lane goes out", async () => {
    receiver.script(400);
    bench.put("a", "a1");
    bench.put("a", "a2");
    bench.start(webhookConfig(receiver.url));
    await bench.until(delivered(1));
    expect(bodies()).toEqual(["a1", "a2"]);
    expect(bench.outbox.dead).toMatchObject([{ eventId: "a1", reason: "refused: HTTP 400", attempts: 1 }]);
    expect(bench.of("dead")).toMatchObject([{ eventId: "a1", attempts: 1, reason: "refused: HTTP 400" }]);
  });

  test("is a dead letter after refused_for where a person could have mended it", async () => {
    receiver.otherwise(401);
    bench.put("a", "a1");
    const began = bench.clock.now();
    bench.start(webhookConfig(receiver.url));
    await bench.advanceUntil(() => bench.of("dead").length === 1);
    expect(bench.clock.now() - began).toBeGreaterThanOrEqual(HOUR);
    expect(bench.clock.now() - began).toBeLessThan(2 * HOUR);
    expect(bench.outbox.dead[0]?.reason).toBe("refused: HTTP 401, retry time ended");
  });

  test("is a dead letter after `for`, the whole backlog of a webhook that stays down, without hammering it", async () => {
    receiver.otherwise("reset");
    const retry = { for: 2 * HOUR, refused_for: HOUR, min: 1_000, max: HOUR };
    for (let n = 0; n < 200; n++) bench.put(`lane ${n}`, `event ${n}`);
    bench.start(webhookConfig(receiver.url, { retry }));
    await bench.advanceUntil(() => bench.of("dead").length === 200);
    expect(receiver.requests.length).toBeLessThan(80);
    expect(bench.outbox.rows).toEqual([]);
    expect(bench.clock.now() - Date.parse("2026-11-24T10:00:00Z")).toBeLessThan(3 * HOUR);
  });
});

describe("a webhook that is down", () => {
  test("is probed by one delivery at a time, and the other rows are not touched", async () => {
    receiver.otherwise(503);
    for (let n = 0; n < 20; n++) bench.put(`lane ${n}`, `event ${n}`);
    const worker = bench.start(webhookConfig(receiver.url));
    await bench.until(() => bench.of("attempt").length === 4);
    expect(worker.down).toBe(true);
    await bench.advanceUntil(() => bench.of("attempt").length === 10);
    expect(bench.of("breaker_opened")).toMatchObject([{ reason: "server_error" }]);
    expect(bench.outbox.rows.filter(({ attempts }) => attempts > 0).length).toBeLessThanOrEqual(10);
    expect(bench.outbox.claims.slice(4).every(({ limit }) => limit === 1)).toBe(true);
    const times = bench.clock.now();
    receiver.otherwise(204);
    await bench.advanceUntil(delivered(20));
    expect(worker.down).toBe(false);
    expect(bench.clock.now() - times).toBeLessThan(6 * 60_000);
    expect(bench.of("breaker_closed")).toHaveLength(1);
  });

  test("whatever comes in meanwhile, every event is a dead letter soon after its retry time, in any lane", async () => {
    receiver.otherwise(503);
    const retry = { for: 2 * HOUR, refused_for: HOUR, min: 1_000, max: HOUR };
    bench.start(webhookConfig(receiver.url, { retry }));
    const late = 10_000;
    for (let minute = 0; minute < 6 * 60; minute++) {
      // Three new lanes each minute, and one that grows: many more than the probes, one in five minutes.
      for (let n = 0; n < 3; n++) bench.put(`lane ${minute} ${n}`, `event ${minute} ${n}`);
      bench.put("steady", `steady ${minute}`);
      const next = bench.clock.now() + 60_000;
      await bench.advanceUntil(() => bench.clock.now() >= next);
      await bench.advanceUntil(() => bench.outbox.held === 0);
      const oldest = Math.min(...bench.outbox.rows.map(({ since }) => since));
      expect(bench.clock.now() - oldest).toBeLessThanOrEqual(retry.for + late);
    }
    expect(bench.outbox.dead.length).toBeGreaterThan(4 * 239);
    expect(receiver.requests.length).toBeLessThan(200);
    const steady = bench.of("dead").filter(({ eventId }) => eventId.startsWith("steady"));
    expect(steady.map(({ eventId }) => eventId)).toEqual(steady.map((_, n) => `steady ${n}`));
    receiver.otherwise(204);
    await bench.advanceUntil(() => bench.outbox.rows.length === 0);
    expect(bench.outbox.dead.length + bench.outbox.delivered.length).toBe(4 * 6 * 60);
  });

  test("is probed with what has been due the longest, not with what came last", async () => {
    receiver.otherwise(503);
    bench.start(webhookConfig(receiver.url));
    for (let n = 0; n < 4; n++) bench.put(`lane ${n}`, `event ${n}`);
    await bench.advanceUntil(() => bench.of("attempt").length === 4);
    for (let n = 4; bench.of("attempt").length < 40; n++) {
      bench.put(`lane ${n}`, `event ${n}`);
      const { length } = bench.of("attempt");
      await bench.advanceUntil(() => bench.of("attempt").length > length);
    }
    const tried = bodies().slice(4);
    expect(tried.filter((body) => Number(body.split(" ")[1]) < 4).length).toBeGreaterThanOrEqual(4);
    expect(new Set(tried).size).toBeGreaterThan(10);
  });

  test("does not need a request or a probe's wait for each of many whose time has ended", async () => {
    receiver.otherwise("reset");
    const retry = { for: HOUR, refused_for: HOUR, min: 1_000, max: HOUR };
    bench.start(webhookConfig(receiver.url, { retry }));
    bench.leases = [lease(0), lease(1)];
    const began = bench.clock.now();
    for (let n = 0; n < 3_000; n++)
      bench.outbox.put(n % 2, ["ops"], { lane: `lane ${n}`, body: `event ${n}` }, began);
    await bench.advanceUntil(() => bench.of("dead").length === 3_000);
    expect(bench.clock.now() - began).toBeLessThanOrEqual(HOUR + 10_000);
    expect(receiver.requests.length).toBeLessThan(60);
    expect(bench.outbox.claims.length).toBeLessThan(200);
  });

  test("is not taken for down any more when one that was on its way is answered", async () => {
    const late = Promise.withResolvers<number>();
    receiver.script(late.promise, 503, 503, 503);
    for (let n = 0; n < 8; n++) bench.put(`lane ${n}`, `event ${n}`);
    const worker = bench.start(webhookConfig(receiver.url));
    await bench.until(() => bench.of("breaker_opened").length === 1);
    expect(worker.down).toBe(true);
    late.resolve(204);
    await bench.until(delivered(5));
  });

  test("and answers 404 for a moment as it comes back, does not lose the backlog", async () => {
    receiver.otherwise("reset");
    for (let n = 0; n < 5; n++) bench.put(`lane ${n}`, `event ${n}`);
    const began = bench.clock.now();
    bench.start(webhookConfig(receiver.url));
    await bench.advanceUntil(() => bench.clock.now() - began > 3 * HOUR && bench.outbox.held === 0);
    receiver.script(404, 404, 404);
    receiver.otherwise(204);
    await bench.advanceUntil(delivered(5));
    expect(bench.outbox.dead).toEqual([]);
  });

  test("does not delay another webhook, nor does one that hangs", async () => {
    const other = await startReceiver();
    try {
      receiver.otherwise("hang");
      bench.start(webhookConfig(receiver.url));
      bench.start(webhookConfig(other.url, { name: "audit" }));
      for (const body of ["a1", "a2", "b1"]) bench.put(body[0]!, body, { webhooks: ["ops", "audit"] });
      await bench.until(delivered(3));
      expect(other.requests.map(({ body }) => body).toSorted()).toEqual(["a1", "a2", "b1"]);
      expect(bench.of("delivered").every(({ webhook }) => webhook === "audit")).toBe(true);
    } finally {
      await other.close();
    }
  });

  test("that asks to wait is left alone by all of its deliveries, also those that are new", async () => {
    receiver.script({ status: 503, headers: { "retry-after": "300" } });
    bench.put("a", "a1");
    bench.start(webhookConfig(receiver.url));
    await bench.until(() => bench.of("attempt").length === 1);
    bench.put("b", "b1");
    await bench.clock.advance(299_000);
    expect(receiver.requests).toHaveLength(1);
    await bench.advanceUntil(delivered(2));
    expect(receiver.requests).toHaveLength(3);
  });

  test("that asks to wait for years is tried again within the hour", async () => {
    receiver.script({ status: 503, headers: { "retry-after": "999999999" } });
    bench.put("a", "a1");
    bench.start(webhookConfig(receiver.url));
    const began = bench.clock.now();
    await bench.advanceUntil(delivered(1));
    expect(bench.clock.now() - began).toBe(HOUR);
  });
});

describe("410", () => {
  test("disables the webhook on every replica, and its events become dead letters", async () => {
    receiver.script(503, 410);
    const webhook = webhookConfig(receiver.url, { concurrency: 1 });
    const one = bench.start(webhook, () => [lease(0)]);
    const other = bench.start(webhook, () => [lease(1)]);
    for (const body of ["a1", "a2", "b1", "c1", "c2"]) bench.put(body[0]!, body, { shard: 0 });
    await bench.advanceUntil(() => bench.of("dead").length === 5);
    const at = bench.clock.now();
    await bench.advanceUntil(() => one.disabled && other.disabled);
    expect(bench.clock.now() - at).toBeLessThan(5_000);
    bench.put("d", "d1", { shard: 1 });
    await bench.until(() => bench.of("dead").length === 6);
    expect(receiver.requests).toHaveLength(2);
    expect(bench.outbox.dead.every(({ reason }) => reason.startsWith("disabled: "))).toBe(true);
    expect(bench.of("disabled")).toHaveLength(2);
  });

  test("holds after a restart, until the command lifts it", async () => {
    receiver.script(410);
    bench.put("a", "a1");
    const first = bench.start(webhookConfig(receiver.url));
    await bench.advanceUntil(() => bench.of("dead").length === 1 && bench.of("disabled").length === 1);
    await first.stop();

    const second = bench.start(webhookConfig(receiver.url));
    bench.put("a", "a2");
    await bench.advanceUntil(() => bench.of("dead").length === 2);
    expect(second.disabled).toBe(true);
    expect(await enableWebhook(bench.notes, "ops")).toBe(true);
    expect(await enableWebhook(bench.notes, "ops")).toBe(false);
    await bench.clock.advance(5_000);
    expect(second.disabled).toBe(false);
    expect(bench.of("enabled")).toHaveLength(1);
    bench.put("a", "a3");
    await bench.until(delivered(1));
    expect(bodies()).toEqual(["a1", "a3"]);
  });

  test("is void under a changed configuration", async () => {
    receiver.script(410);
    bench.put("a", "a1");
    const first = bench.start(webhookConfig(receiver.url));
    await bench.advanceUntil(() => bench.of("disabled").length === 1);
    await first.stop();
    expect(await bench.notes.list("webhook/")).toHaveLength(1);

    bench.start(webhookConfig(`${receiver.url}&v=2`));
    bench.put("a", "a2");
    await bench.until(delivered(1));
    expect(await bench.notes.list("webhook/")).toEqual([]);
  });
});

test("concurrency is never exceeded, over all shards, and is used", async () => {
  bench.leases = [0, 1, 2, 3].map((shard) => lease(shard));
  let held: (() => void)[] = [];
  receiver.otherwise(() => new Promise((resolve) => held.push(() => resolve(204))));
  for (let n = 0; n < 40; n++) bench.put(`lane ${n}`, `event ${n}`, { shard: n % 4 });
  bench.start(webhookConfig(receiver.url, { concurrency: 3 }));
  for (let n = 0; n < 40; n++) {
    await receiver.next();
    if (held.length === 3 || n >= 37) {
      expect(bench.outbox.held).toBeLessThanOrEqual(3);
      const release = held;
      held = [];
      for (const one of release) one();
    }
  }
  await bench.until(delivered(40));
  expect(receiver.mostOpen).toBe(3);
});

test("no fact and no recent attempt shows the secret part of a URL, a signing secret or a header", async () => {
  const secrets = [new Secret("s3cr3t-key")];
  const headers = { "x-key": new Secret("s3cr3t-header") };
  receiver.script("reset", 400, 503, 410);
  for (const body of ["a1", "b1", "c1", "d1"]) bench.put(body[0]!, body);
  const worker = bench.start(webhookConfig(receiver.url, { secrets, headers, concurrency: 1 }));
  await bench.advanceUntil(() => bench.of("dead").length >= 3);
  expect(worker.recent()).toHaveLength(4);
  expect(worker.recent()).toMatchObject([
    { status: null, reason: "network", eventId: "a1" },
    { status: 400 },
    { status: 503 },
    { status: 410 },
  ]);
  expect(
    JSON.stringify([bench.facts, worker.recent(), bench.outbox.dead, await bench.notes.list("")]),
  ).not.toMatch(/s3cr3t/);
});

test("the last twenty attempts are kept", async () => {
  for (let n = 0; n < 30; n++) bench.put("a", `event ${n}`);
  const worker = bench.start(webhookConfig(receiver.url));
  await bench.until(delivered(30));
  expect(worker.recent().map(({ eventId }) => eventId)).toEqual(
    Array.from({ length: 20 }, (_, n) => `event ${n + 10}`),
  );
});
