import { afterEach, beforeEach, expect, test } from "vitest";
import type { EventType } from "../../src/core/event.ts";
import { type Receiver, type Reply, startReceiver } from "../support/receiver.ts";
import { event, taskNamed } from "./formats/samples.ts";
import { lease, Workbench, webhookConfig } from "./harness.ts";

/* A receiver that refuses a message of several events because of one of them. */

let bench: Workbench;
let receiver: Receiver;

beforeEach(async () => {
  bench = new Workbench();
  receiver = await startReceiver();
  refusing(() => 204);
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
  await receiver.close();
});

/** Every message with an event whose id begins with "bad" is refused; of the others, `reply` decides. */
const refusing = (reply: (ids: readonly string[]) => Reply) =>
  receiver.otherwise(({ body }) => (body.includes("bad") ? 400 : reply(ids(body))));

const start = () =>
  bench.start(
    webhookConfig(receiver.url, {
      format: "template",
      template: "{{#events}}{{id}}\n{{/events}}",
      content_type: "text/plain",
      group: { by: [], wait: 10_000, interval: 300_000 },
    }),
  );

function put(id: string, task = id, type: EventType = "task.failed", shard = 0): void {
  bench.putEvent(event(type, taskNamed("restart", task), id), { lane: task, shard });
}

const ids = (body: string): string[] => body.split("\n").filter((id) => id !== "");
const messages = () => receiver.requests.map(({ body }) => ids(body).join(" "));
const settled = (count: number) => () => bench.of("delivered").length + bench.of("dead").length >= count;

test("its events go out singly, and only the ones refused singly become dead letters", async () => {
  start();
  for (const id of ["a", "bad", "c", "d"]) put(id);
  await bench.advanceSending(settled(4));
  expect(messages()).toEqual(["a bad c d", "a", "bad", "c", "d"]);
  expect(bench.outbox.dead.map(({ eventId }) => eventId)).toEqual(["bad"]);
  expect(bench.outbox.rows).toEqual([]);
});

test("they go out once each, over all shards, and what comes after them is one message again", async () => {
  bench.leases = [lease(0), lease(1)];
  start();
  for (const [n, id] of ["a", "bad1", "c", "bad2"].entries()) put(id, id, "task.failed", n % 2);
  await bench.advanceSending(settled(4));
  for (const id of ["e", "f"]) put(id);
  await bench.advanceSending(settled(6));
  expect(messages().slice(1, 5).toSorted()).toEqual(["a", "bad1", "bad2", "c"]);
  expect(messages().slice(5)).toEqual(["e f"]);
  expect(bench.outbox.dead.map(({ eventId }) => eventId).toSorted()).toEqual(["bad1", "bad2"]);
});

test("the events of one task keep their order", async () => {
  start();
  put("stuck", "t1", "task.stuck");
  put("bad", "t2");
  put("failed", "t1");
  put("recovered", "t1", "task.recovered");
  await bench.advanceSending(settled(4));
  const told = messages().filter((ids) => !ids.includes("bad"));
  expect(told).toEqual(["stuck", "failed", "recovered"]);
});

test("one that the receiver has no time for is tried again, and the others do not wait for it", async () => {
  let first = true;
  refusing((ids) => {
    const late = first && ids.join() === "a";
    if (late) first = false;
    return late ? 503 : 204;
  });
  start();
  for (const id of ["a", "bad", "c"]) put(id);
  await bench.advanceSending(settled(3));
  expect(messages()).toEqual(["a bad c", "a", "bad", "c", "a"]);
  expect(bench.outbox.dead.map(({ eventId }) => eventId)).toEqual(["bad"]);
});

test("after a crash in the middle, what was delivered singly is not sent again, and the rest is told", async () => {
  let reached = () => {};
  const arrived = new Promise<void>((resolve) => {
    reached = resolve;
  });
  refusing((ids) => {
    if (ids.join() !== "c") return 204;
    reached();
    return "hang";
  });
  const worker = start();
  for (const id of ["a", "bad", "c", "d"]) put(id);
  await Promise.race([arrived, bench.advanceSending(settled(4))]);
  await Promise.all([worker.stop(0), bench.clock.advance(1_000)]);
  expect(bench.outbox.pending("ops")).toEqual(["c", "d"]);
  bench.outbox.freeHolds(0);
  refusing(() => 204);
  start();
  await bench.advanceSending(settled(4));
  expect(messages().slice(4)).toEqual([expect.stringMatching(/^(c d|d c)$/)]);
  expect(bench.outbox.dead.map(({ eventId }) => eventId)).toEqual(["bad"]);
});

test("a stop in the middle gives back what was not sent singly yet", async () => {
  let answer: (reply: Reply) => void = () => undefined;
  receiver.script(new Promise<Reply>((resolve) => (answer = resolve)));
  const worker = start();
  for (const id of ["a", "bad"]) put(id);
  await bench.advanceSending(() => receiver.requests.length === 1 || bench.outbox.rows.length === 0);
  const stopped = worker.stop();
  answer(400);
  await stopped;
  expect(bench.outbox.held).toBe(0);
  expect(bench.outbox.pending("ops")).toEqual(["a", "bad"]);
});
