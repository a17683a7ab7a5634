import { expect, test } from "vitest";
import { FairQueue } from "../../src/poll/fair-queue.ts";

test("a later tick merges into the poll that waits, and its time stays that of the first", () => {
  const queue = new FairQueue();
  expect(queue.add("a", 100, false)).toBe(true);
  expect(queue.add("a", 200, true)).toBe(false);
  expect(queue.take()).toEqual({ key: "a", dueAt: 100 });
  expect(queue.take()).toBeNull();
});

test("instances with open tasks get at most half of the calls while others are due", () => {
  const queue = new FairQueue();
  for (let n = 0; n < 100; n++) queue.add(`busy-${n}`, n, true);
  for (let n = 0; n < 40; n++) queue.add(`idle-${n}`, n, false);
  const calls = { busy: 0, idle: 0 };
  while (calls.idle < 40) {
    const next = queue.take();
    const busy = next?.key.startsWith("busy") ?? false;
    // A poll of a busy instance costs three calls.
    calls[busy ? "busy" : "idle"] += busy ? 3 : 1;
    if (busy) queue.spentMore(true, 2);
    expect(calls.busy).toBeLessThanOrEqual(calls.idle + 3);
  }
});

test("nobody is passed over: each class is served in the order in which it came due", () => {
  const queue = new FairQueue();
  for (const key of ["b1", "b2", "b3"]) queue.add(key, 0, true);
  for (const key of ["i1", "i2", "i3"]) queue.add(key, 0, false);
  const order: string[] = [];
  for (let next = queue.take(); next; next = queue.take()) order.push(next.key);
  expect(order).toEqual(["b1", "i1", "b2", "i2", "b3", "i3"]);
});
