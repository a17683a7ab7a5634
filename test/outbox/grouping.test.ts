import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GroupConfig, WebhookConfig } from "../../src/config/config.ts";
import type { EventType } from "../../src/core/event.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { event, taskNamed } from "./formats/samples.ts";
import { HOUR, lease, Workbench, webhookConfig } from "./harness.ts";

const GROUP: GroupConfig = { by: ["instance"], wait: 10_000, interval: 300_000 };
/** One line per event, so that a test can read what a message holds. */
const TEMPLATE = "{{#events}}{{id}}\n{{/events}}";

let bench: Workbench;
let receiver: Receiver;
let sentAt: number[];
let began: number;

beforeEach(async () => {
  bench = new Workbench();
  receiver = await startReceiver();
  sentAt = [];
  began = bench.clock.now();
  receiver.otherwise(() => {
    sentAt.push((bench.clock.now() - began) / 1000);
    return 204;
  });
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
  await receiver.close();
});

const grouped = (more: Partial<WebhookConfig> = {}): WebhookConfig =>
  webhookConfig(receiver.url, {
    format: "template",
    template: TEMPLATE,
    content_type: "text/plain",
    group: GROUP,
    ...more,
  });

function put(
  id: string,
  about: { instance?: string; task?: string; type?: EventType; shard?: number } = {},
): void {
  const { instance = "i1", task = id, type = "task.failed", shard = 0 } = about;
  const data = {
    ...taskNamed("restart", task),
    instance: { id: instance, name: instance, engine: "kafka" as const, status: null },
  };
  bench.putEvent(event(type, data, id), { lane: `${instance}/${task}`, shard });
}

const ids = (body: string | undefined): string[] => (body ?? "").split("\n").filter((id) => id !== "");
const messages = (): string[][] => receiver.requests.map(({ body }) => ids(body));
const delivered = (count: number) => () => bench.of("delivered").length >= count;
async function wait(ms: number): Promise<void> {
  let over = false;
  void bench.clock.sleep(ms).then(() => {
    over = true;
  });
  await bench.advanceSending(() => over);
}

describe("what belongs together", () => {
  test("is one message, `wait` after the first of it, and is settled together", async () => {
    bench.start(grouped());
    for (let n = 0; n < 19; n++) put(`e${n}`);
    await wait(9_000);
    put("e19");
    expect(receiver.requests).toEqual([]);
    await bench.advanceSending(delivered(20));
    expect(messages()).toEqual([Array.from({ length: 20 }, (_, n) => `e${n}`)]);
    expect(sentAt).toEqual([10]);
    expect(bench.outbox.rows).toEqual([]);
    expect(bench.of("attempt")).toMatchObject([{ events: 20, attempt: 1, outcome: "delivered" }]);
  });

  test("waits for `interval` after the last message, another group does not", async () => {
    bench.start(grouped());
    put("a");
    await bench.advanceSending(delivered(1));
    put("b");
    put("other", { instance: "i2" });
    await wait(100_000);
    put("c");
    await bench.advanceSending(delivered(4));
    expect(messages()).toEqual([["a"], ["other"], ["b", "c"]]);
    expect(sentAt).toEqual([10, 20, 310]);
    await wait(301_000);
    put("d");
    await bench.advanceSending(delivered(5));
    expect(sentAt[3]).toBe((bench.clock.now() - began) / 1000);
    expect(messages()[3]).toEqual(["d"]);
  });

  test("an end is never held longer than `wait`, and takes along what the group has", async () => {
    bench.start(grouped());
    put("failed", { task: "t1" });
    await bench.advanceSending(delivered(1));
    put("second", { task: "t2" });
    await wait(20_000);
    put("recovered", { task: "t1", type: "task.recovered" });
    await bench.advanceSending(delivered(3));
    expect(messages()).toEqual([["failed"], ["second", "recovered"]]);
    expect(sentAt).toEqual([10, 40]);
  });

  test("tells of one task in order, an end `wait` after its beginning went out", async () => {
    bench.start(grouped());
    put("stuck", { task: "t1", type: "task.stuck" });
    put("failed", { task: "t1" });
    put("recovered", { task: "t1", type: "task.recovered" });
    await bench.advanceSending(delivered(3));
    expect(messages()).toEqual([["stuck"], ["failed"], ["recovered"]]);
  });

  test("can be a project's, over all shards of this replica", async () => {
    bench.leases = [lease(0), lease(1), lease(2)];
    bench.start(grouped({ group: { ...GROUP, by: ["project", "task"] } }));
    for (let n = 0; n < 6; n++) put(`e${n}`, { instance: `i${n}`, shard: n % 3 });
    await bench.advanceSending(delivered(6));
    expect(messages().map((one) => one.toSorted())).toEqual([["e0", "e1", "e2", "e3", "e4", "e5"]]);
    expect(bench.outbox.rows).toEqual([]);
  });

  test("more than a message takes goes out in several, at once", async () => {
    bench.start(grouped());
    for (let n = 0; n < 120; n++) put(`e${n}`);
    await bench.advanceSending(delivered(120));
    expect(messages().map((one) => one.length)).toEqual([50, 50, 20]);
    expect(sentAt).toEqual([10, 10, 10]);
  });
});

describe("nothing is lost", () => {
  test("when the receiver fails: the same events are tried again, without another `wait`", async () => {
    receiver.script(503);
    bench.start(grouped());
    for (const id of ["a", "b", "c"]) put(id);
    await bench.advanceSending(delivered(3));
    expect(messages()).toEqual([
      ["a", "b", "c"],
      ["a", "b", "c"],
    ]);
    expect(sentAt[0]).toBeLessThan(15);
    expect(bench.outbox.rows).toEqual([]);
  });

  test("when it refuses all, together and singly: they are dead letters, and the group goes on", async () => {
    receiver.script(400, 400, 400);
    bench.start(grouped());
    for (const id of ["a", "b"]) put(id);
    await bench.advanceSending(() => bench.of("dead").length === 2);
    put("c");
    await bench.advanceSending(delivered(1));
    expect(bench.outbox.dead.map(({ eventId }) => eventId)).toEqual(["a", "b"]);
    expect(sentAt).toEqual([20]);
  });

  test("by a crash with a message on its way: it is sent again under the same ids", async () => {
    receiver.script("hang");
    const first = bench.start(grouped());
    for (const id of ["a", "b"]) put(id);
    put("later", { instance: "i2" });
    await wait(5_000);
    const arrived = receiver.next();
    await Promise.race([arrived, wait(5_000)]);
    await arrived;
    const stopped = first.stop(0);
    await bench.clock.advance(1_000);
    await stopped;
    bench.outbox.freeHolds(0);
    bench.start(grouped());
    await bench.advanceSending(delivered(3));
    expect(
      messages()
        .flat()
        .filter((id) => id === "a"),
    ).toHaveLength(2);
    expect(bench.outbox.rows).toEqual([]);
  });

  test("by a stop or a new configuration: what waits is given back at once, and the next one finds it", async () => {
    const first = bench.start(grouped({ group: { ...GROUP, wait: HOUR } }));
    for (const id of ["a", "b"]) put(id);
    await wait(5_000);
    expect(bench.outbox.held).toBe(2);
    await first.stop();
    expect(bench.outbox.held).toBe(0);
    expect(receiver.requests).toEqual([]);
    bench.start(grouped());
    await bench.advanceSending(delivered(2));
    expect(messages()).toEqual([["a", "b"]]);
  });

  test("by the loss of a shard: its events are not sent here, and the other shards' go out again", async () => {
    bench.leases = [lease(0), lease(1)];
    receiver.script("hang");
    const worker = bench.start(grouped({ group: { ...GROUP, by: [] } }));
    put("ours", { shard: 0 });
    put("theirs", { shard: 1 });
    await wait(9_000);
    const arrived = receiver.next();
    await Promise.race([arrived, wait(1_000)]);
    await arrived;
    bench.leases = [lease(0)];
    worker.lost(1);
    await bench.advanceSending(delivered(1));
    expect(messages().map((one) => one.toSorted())).toEqual([["ours", "theirs"], ["ours"]]);
    expect(bench.outbox.pending("ops")).toEqual(["theirs"]);
  });

  test("by the loss of a shard while they wait", async () => {
    bench.leases = [lease(0), lease(1)];
    const worker = bench.start(grouped({ group: { ...GROUP, by: [] } }));
    put("ours", { shard: 0 });
    put("theirs", { shard: 1 });
    await wait(5_000);
    bench.leases = [lease(0)];
    worker.lost(1);
    await bench.advanceSending(delivered(1));
    expect(messages()).toEqual([["ours"]]);
    // And when it comes back, under a new lease.
    bench.outbox.freeHolds(1);
    bench.leases = [lease(0), lease(1, 2)];
    worker.wake();
    await bench.advanceSending(delivered(2));
    expect(messages()).toEqual([["ours"], ["theirs"]]);
  });

  test("by a 410: what waits becomes dead letters", async () => {
    receiver.script(410);
    bench.start(grouped());
    put("a");
    await wait(9_000);
    put("b", { instance: "i2" });
    await bench.advanceSending(() => bench.of("dead").length === 2);
    expect(bench.outbox.rows).toEqual([]);
  });
});

describe("in a flood", () => {
  test("what is held is bounded, and a long interval holds up no other group", async () => {
    bench.start(grouped({ group: { by: ["instance"], wait: HOUR, interval: 24 * HOUR } }));
    for (let n = 0; n < 2_500; n++) put(`e${n}`, { instance: `i${n % 10}` });
    let most = 0;
    await bench.advanceSending(() => {
      most = Math.max(most, bench.outbox.held);
      return bench.of("delivered").length >= 1_500;
    });
    expect(most).toBeLessThanOrEqual(1_000 + 4 * 50);
    expect(bench.clock.now() - began).toBeLessThan(HOUR);
    await bench.advanceSending(delivered(2_500));
    expect(new Set(messages().flat()).size).toBe(2_500);
    expect(messages().flat()).toHaveLength(2_500);
  });

  test("a webhook that is down, with new groups all the time: each is tried again, and dead soon after its time", async () => {
    receiver.otherwise(503);
    const retry = { for: 2 * HOUR, refused_for: HOUR, min: 1_000, max: HOUR };
    bench.start(grouped({ retry }));
    for (let minute = 0; minute < 4 * 60; minute++) {
      for (let n = 0; n < 3; n++) put(`e${minute}-${n}`, { instance: `i${minute}-${n}` });
      const next = bench.clock.now() + 60_000;
      await bench.advanceSending(() => bench.clock.now() >= next);
      await bench.advanceSending(() =>
        bench.outbox.rows.every(({ since }) => bench.clock.now() - since < retry.for + 10_000),
      );
      const oldest = Math.min(...bench.outbox.rows.map(({ since }) => since));
      expect(bench.clock.now() - oldest).toBeLessThanOrEqual(retry.for + 10_000);
    }
    expect(bench.outbox.dead.length).toBeGreaterThan(3 * 119);
    const tried = messages().flat();
    expect(new Set(tried).size).toBeGreaterThan(20);
    expect(tried.length - new Set(tried).size).toBeGreaterThan(10);
  });

  test("a webhook that is down is probed with one message, and the rest follows", async () => {
    receiver.script(...Array.from({ length: 8 }, () => 503));
    bench.start(grouped());
    for (let n = 0; n < 40; n++) put(`e${n}`, { instance: `i${n}` });
    await bench.advanceSending(delivered(40));
    expect(receiver.requests.length).toBe(48);
    expect(bench.of("breaker_opened")).toHaveLength(1);
    expect(bench.outbox.dead).toEqual([]);
  });
});
