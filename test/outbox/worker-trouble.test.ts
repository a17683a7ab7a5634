import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { lease, Workbench, webhookConfig } from "./harness.ts";

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

describe("a store in trouble", () => {
  test("costs nothing and is not asked in a busy loop: claims that fail are repeated with waits", async () => {
    bench.outbox.fail("claim", ...Array.from({ length: 10 }, () => "throw" as const));
    bench.put("a", "a1");
    bench.start(webhookConfig(receiver.url));
    const began = bench.clock.now();
    await bench.advanceUntil(() => bench.of("delivered").length === 1);
    expect(bench.clock.now() - began).toBeGreaterThan(5_000);
    expect(bench.of("store_failed")).toHaveLength(1);
  });

  test("a settlement without an answer is repeated, not the delivery", async () => {
    bench.outbox.fail("settle", "throw", "throw after", "throw");
    bench.put("a", "a1");
    bench.put("a", "a2");
    bench.start(webhookConfig(receiver.url));
    while (bench.of("delivered").length < 2) {
      await bench.clock.untilSleeping();
      await bench.clock.advance(100);
    }
    expect(receiver.requests.map(({ body }) => body)).toEqual(["a1", "a2"]);
    expect(bench.outbox.rows).toEqual([]);
  });

  test("a delivery whose settlement has no answer yet is not begun again when it falls due meanwhile", async () => {
    receiver.script(503);
    bench.outbox.fail("settle", "throw after", ...Array.from({ length: 6 }, () => "throw" as const));
    bench.put("a", "a1");
    const worker = bench.start(webhookConfig(receiver.url));
    await bench.until(() => bench.of("store_failed").length === 1);
    await bench.clock.advance(2_500);
    worker.wake();
    await bench.clock.advance(0);
    expect(bench.outbox.held).toBe(1);
    expect(receiver.requests).toHaveLength(1);
    while (bench.of("delivered").length === 0) await bench.clock.advance(100);
    expect(receiver.requests).toHaveLength(2);
  });

  test("what is committed while a claim is answered is delivered at once", async () => {
    const gate = Promise.withResolvers<void>();
    bench.outbox.claimGate = gate.promise;
    bench.start(webhookConfig(receiver.url));
    await bench.clock.advance(0);
    bench.put("a", "a1");
    bench.outbox.claimGate = null;
    gate.resolve();
    await bench.until(() => bench.of("delivered").length === 1);
    expect(receiver.requests.map(({ body }) => body)).toEqual(["a1"]);
  });

  test("notes that cannot be read hold the deliveries back until they can: the webhook may be disabled", async () => {
    bench.notes.failures = 3;
    bench.put("a", "a1");
    bench.start(webhookConfig(receiver.url));
    await bench.until(() => bench.of("store_failed").length === 1);
    expect(receiver.requests).toEqual([]);
    await bench.advanceUntil(() => bench.of("delivered").length === 1);
  });

  test("a lease that the store refuses is not used again, the next one is", async () => {
    bench.outbox.fail("claim", "fenced");
    bench.put("a", "a1");
    const worker = bench.start(webhookConfig(receiver.url));
    await bench.clock.advance(60_000);
    expect(receiver.requests).toEqual([]);
    bench.leases = [lease(0, 2)];
    worker.wake();
    await bench.until(() => bench.of("delivered").length === 1);
  });

  test("a settlement that the store refuses tells of no delivery and aborts what else is in flight of the shard", async () => {
    const second = Promise.withResolvers<number>();
    receiver.script(204, second.promise);
    bench.outbox.fail("settle", "fenced");
    bench.put("a", "a1");
    bench.put("b", "b1");
    const worker = bench.start(webhookConfig(receiver.url));
    bench.leases = [];
    await worker.idle(0);
    second.resolve(204);
    expect(bench.of("delivered")).toEqual([]);
    expect(bench.outbox.rows).toHaveLength(2);
  });
});

describe("a lease", () => {
  test("that is lost ends its deliveries at once and leaves them unsettled to the next owner", async () => {
    bench.leases = [lease(0), lease(1)];
    receiver.otherwise(({ body }) => (body === "b1" ? 204 : "hang"));
    const worker = bench.start(webhookConfig(receiver.url));
    bench.put("a", "a1", { shard: 0 });
    await receiver.next();
    bench.leases = [lease(1)];
    worker.lost(0);
    await worker.idle(0);
    bench.put("b", "b1", { shard: 1 });
    await bench.until(() => bench.of("delivered").length === 1);
    expect(bench.of("attempt").map(({ eventId }) => eventId)).toEqual(["b1"]);
    expect(bench.outbox.pending("ops")).toEqual(["a1"]);
  });

  test("whose local deadline has passed sends nothing until it is renewed", async () => {
    bench.doubtful.add(0);
    bench.put("a", "a1");
    bench.start(webhookConfig(receiver.url));
    await bench.clock.advance(3_000);
    expect(bench.outbox.held).toBe(1);
    expect(receiver.requests).toEqual([]);
    bench.doubtful.delete(0);
    await bench.clock.advance(100);
    await bench.until(() => bench.of("delivered").length === 1);
  });

  test("whose deadline has passed and that is another's by then sends nothing at all", async () => {
    bench.doubtful.add(0);
    bench.put("a", "a1");
    const worker = bench.start(webhookConfig(receiver.url));
    await bench.clock.advance(1_000);
    bench.leases = [];
    await bench.clock.advance(100);
    await worker.idle(0);
    expect(receiver.requests).toEqual([]);
    expect(bench.of("attempt")).toEqual([]);
  });

  test("that is to be given back is not idle while a claim of it is under way", async () => {
    const gate = Promise.withResolvers<void>();
    bench.outbox.claimGate = gate.promise;
    bench.put("a", "a1");
    const worker = bench.start(webhookConfig(receiver.url));
    await bench.clock.advance(0);
    bench.leases = [];
    let idle = false;
    const waited = worker.idle(0).then(() => {
      idle = true;
    });
    await bench.clock.advance(0);
    expect(idle).toBe(false);
    gate.resolve();
    await waited;
    expect(receiver.requests).toEqual([]);
  });

  test("that is to be given back is idle as soon as nothing of it is in flight", async () => {
    const answer = Promise.withResolvers<number>();
    receiver.script(answer.promise);
    bench.put("a", "a1");
    bench.put("a", "a2");
    const worker = bench.start(webhookConfig(receiver.url));
    await receiver.next();
    bench.leases = [];
    let idle = false;
    const waited = worker.idle(0).then(() => {
      idle = true;
    });
    await bench.clock.advance(1);
    expect(idle).toBe(false);
    answer.resolve(204);
    await waited;
    expect(bench.outbox.delivered).toEqual(["a1"]);
    expect(receiver.requests).toHaveLength(1);
  });
});

describe("a stop", () => {
  test("lets what is in flight end, and claims nothing more", async () => {
    const answer = Promise.withResolvers<number>();
    receiver.script(answer.promise);
    bench.put("a", "a1");
    bench.put("a", "a2");
    const worker = bench.start(webhookConfig(receiver.url));
    await receiver.next();
    const stopped = worker.stop(8_000);
    bench.put("b", "b1");
    answer.resolve(204);
    await stopped;
    expect(bench.outbox.delivered).toEqual(["a1"]);
    expect(receiver.requests).toHaveLength(1);
  });

  test("ends in time though a receiver hangs, and what hung is not settled", async () => {
    receiver.otherwise("hang");
    for (const lane of ["a", "b", "c"]) bench.put(lane, `${lane}1`);
    const worker = bench.start(webhookConfig(receiver.url));
    for (let n = 0; n < 3; n++) await receiver.next();
    const stopped = worker.stop(8_000);
    await bench.clock.advance(8_000);
    await stopped;
    expect(bench.outbox.pending("ops")).toHaveLength(3);
    expect(bench.of("attempt")).toEqual([]);
  });

  test("ends in time though the store does not answer a settlement", async () => {
    bench.outbox.fail("settle", ...Array.from({ length: 100 }, () => "throw" as const));
    bench.put("a", "a1");
    const worker = bench.start(webhookConfig(receiver.url));
    await receiver.next();
    const stopped = worker.stop(8_000);
    await bench.clock.advance(8_000);
    await stopped;
    expect(bench.outbox.pending("ops")).toEqual(["a1"]);
  });

  test("ends in time though the store does not answer a claim, and nothing comes of the answer", async () => {
    const gate = Promise.withResolvers<void>();
    bench.outbox.claimGate = gate.promise;
    bench.put("a", "a1");
    const worker = bench.start(webhookConfig(receiver.url));
    await bench.clock.advance(0);
    const stopped = worker.stop(1_000);
    await bench.clock.advance(2_000);
    await stopped;
    gate.resolve();
    await bench.clock.advance(1_000);
    expect(bench.of("attempt")).toEqual([]);
  });

  test("during which a receiver answers 410 still tells the other replicas", async () => {
    const answer = Promise.withResolvers<number>();
    receiver.script(answer.promise);
    bench.put("a", "a1");
    const worker = bench.start(webhookConfig(receiver.url));
    await receiver.next();
    const stopped = worker.stop();
    answer.resolve(410);
    await stopped;
    expect(await bench.notes.list("webhook/ops")).toHaveLength(1);
  });

  test("of one that waits for a receiver that is down is immediate", async () => {
    receiver.otherwise(503);
    bench.put("a", "a1");
    const worker = bench.start(webhookConfig(receiver.url));
    await bench.advanceUntil(() => bench.of("attempt").length === 5);
    await worker.stop();
    expect(bench.clock.sleeping).toBe(0);
  });
});
