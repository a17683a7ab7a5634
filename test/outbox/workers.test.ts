import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { WebhookConfig } from "../../src/config/config.ts";
import { sendTest } from "../../src/outbox/test-event.ts";
import { WebhookWorkers } from "../../src/outbox/workers.ts";
import type { DeliveryFact } from "../../src/ports/telemetry.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryNotes, MemoryOutbox } from "../support/memory-outbox.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { lease, webhookConfig } from "./harness.ts";

let clock: ManualClock;
let outbox: MemoryOutbox;
let facts: DeliveryFact[];
let workers: WebhookWorkers;
let one: Receiver;
let two: Receiver;

beforeEach(async () => {
  clock = new ManualClock();
  outbox = new MemoryOutbox();
  facts = [];
  workers = new WebhookWorkers({
    version: "1.2.3",
    outbox,
    notes: new MemoryNotes(),
    clock,
    random: () => 0.5,
    leases: () => [lease(0)],
    stillMine: () => true,
    emit: (fact) => facts.push(fact),
  });
  [one, two] = await Promise.all([startReceiver(), startReceiver()]);
});
afterEach(async () => {
  await workers.stop(0);
  await Promise.all([one.close(), two.close()]);
});

const named = (name: string, receiver: Receiver, more: Partial<WebhookConfig> = {}): WebhookConfig =>
  webhookConfig(receiver.url, { name, ...more });

function put(body: string, ...webhooks: string[]): void {
  outbox.put(0, webhooks, { lane: body, body }, clock.now());
  workers.wake(0, webhooks);
}

describe("the webhooks of a new configuration", () => {
  test("are delivered to, those that are gone are not", async () => {
    workers.apply([named("a", one), named("b", two)]);
    put("first", "a", "b");
    await Promise.all([one.next(), two.next()]);
    workers.apply([named("b", two)]);
    put("second", "a", "b");
    expect((await two.next()).body).toBe("second");
    expect(one.requests.map(({ body }) => body)).toEqual(["first"]);
    expect(workers.status().map(({ name }) => name)).toEqual(["b"]);
  });

  test("that did not change keep what they know", async () => {
    workers.apply([named("a", one)]);
    put("first", "a");
    await one.next();
    await outbox.changed();
    workers.apply([named("a", one), named("b", two)]);
    expect(workers.status()[0]?.recent).toHaveLength(1);
    workers.apply([named("a", one, { timeout: 1_000 }), named("b", two)]);
    expect(workers.status()[0]?.recent).toEqual([]);
  });

  test("begin when the one that they replace has nothing in flight, so that concurrency holds and order too", async () => {
    const answer = Promise.withResolvers<number>();
    one.script(answer.promise);
    workers.apply([named("a", one, { concurrency: 1 })]);
    outbox.put(0, ["a"], { lane: "lane", body: "first" }, clock.now());
    outbox.put(0, ["a"], { lane: "lane", body: "second" }, clock.now());
    outbox.put(0, ["a"], { lane: "other", body: "third" }, clock.now());
    workers.wake();
    await one.next();
    workers.apply([named("a", two, { concurrency: 1 })]);
    await clock.advance(5_000);
    expect(two.requests).toEqual([]);
    answer.resolve(204);
    const bodies = [(await two.next()).body, (await two.next()).body];
    expect(bodies.toSorted()).toEqual(["second", "third"]);
  });

  test("are refused as a whole when one cannot be", async () => {
    workers.apply([named("a", one)]);
    expect(() =>
      workers.apply([named("a", two), named("b", two, { format: "template", template: "{{tsk}}" })]),
    ).toThrow("found tsk");
    put("first", "a");
    expect((await one.next()).body).toBe("first");
  });
});

test("a stop reaches the replaced ones too, and all end in time", async () => {
  one.otherwise("hang");
  workers.apply([named("a", one)]);
  put("first", "a");
  await one.next();
  workers.apply([named("a", two)]);
  const stopped = workers.stop(3_000);
  await clock.advance(3_000);
  await stopped;
  expect(outbox.pending("a")).toEqual(["first"]);
  expect(two.requests).toEqual([]);
});

describe("webhook test", () => {
  const project = { name: "prod", id: "0605", region: "eu-west-101" };
  const signal = new AbortController().signal;

  test("sends a marked event, signed and with the headers of any other, and gives the answer", async () => {
    one.script({ status: 401, body: "who are you?" });
    const answer = await sendTest(named("a", one), project, clock, "1.2.3", signal);
    expect(answer).toMatchObject({ status: 401, message: "HTTP 401", body: "who are you?" });
    const request = await one.next();
    expect(request.headers).toMatchObject({
      "content-type": "application/cloudevents+json",
      "webhook-id": answer.eventId,
    });
    const event = JSON.parse(request.body);
    expect(event).toMatchObject({
      specversion: "1.0",
      id: answer.eventId,
      type: "taskwatch.test",
      source: "/projects/0605",
      data: { project, instance: null, task: null, sequence: null },
    });
    expect(event).not.toHaveProperty("subject");
  });

  test("says what broke, without the secret part of the URL", async () => {
    one.script("reset");
    const answer = await sendTest(named("a", one), project, clock, "1.2.3", signal);
    expect(answer).toMatchObject({ status: null, verdict: { kind: "retry", reason: "network" } });
    expect(JSON.stringify(answer)).not.toMatch(/s3cr3t/);
  });
});
