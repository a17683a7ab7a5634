import { expect, test } from "vitest";
import { listRange } from "../../src/cli/poll-range.ts";
import type { Listing, ObservedTask, Window } from "../../src/core/task.ts";
import { NO_FIELDS } from "../../src/core/task-fields.ts";
import { CloudError } from "../../src/errors.ts";

const HOUR = 3_600_000;

const task = (createdAt: number): ObservedTask => ({
  id: `t${createdAt}`,
  name: "restartInstance",
  status: "SUCCESS",
  ...NO_FIELDS,
  createdAt,
  updatedAt: createdAt,
});

/** A list of one task a minute that shows at most `cap` tasks of a window. */
function capped(cap: number, asked: Window[] = []) {
  return async (window: Window): Promise<Listing> => {
    asked.push(window);
    const tasks: ObservedTask[] = [];
    for (let at = Math.ceil(window.from / 60_000) * 60_000; at <= window.to; at += 60_000)
      tasks.push(task(at));
    const complete = tasks.length <= cap;
    return {
      tasks: tasks.slice(0, cap),
      malformed: [],
      complete,
      gap: complete ? null : `the list was not read to its end`,
      cause: complete ? null : "bad_response",
      answer: null,
      countedMore: false,
      window,
      cloudNow: window.to,
    };
  };
}

test("a range that fits is asked for once", async () => {
  const asked: Window[] = [];
  const { tasks, complete } = await listRange(capped(100, asked), { from: 0, to: HOUR });
  expect({ tasks: tasks.length, complete, asked: asked.length }).toEqual({
    tasks: 61,
    complete: true,
    asked: 1,
  });
});

test("a range that hits a cap is read in halves until each fits, each task once", async () => {
  const asked: Window[] = [];
  const { tasks, complete } = await listRange(capped(50, asked), { from: 0, to: 24 * HOUR });
  expect(complete).toBe(true);
  expect(new Set(tasks.map(({ id }) => id)).size).toBe(24 * 60 + 1);
  expect(tasks).toHaveLength(24 * 60 + 1);
  expect(asked.length).toBeLessThan(130);
});

test("halves that show no more than the whole are not halved again", async () => {
  let calls = 0;
  const listing = await listRange(
    async (window) => {
      calls += 1;
      return { ...(await capped(2)({ from: 0, to: HOUR })), window };
    },
    { from: 0, to: 30 * 24 * HOUR },
  );
  expect(calls).toBe(3);
  expect(listing).toMatchObject({ complete: false, gap: "the list was not read to its end" });
});

test("a failing call is no reason to ask in halves", async () => {
  let calls = 0;
  const { complete } = await listRange(
    async (window) => {
      calls += 1;
      return { ...(await capped(2)(window)), cause: "timeout" };
    },
    { from: 0, to: 24 * HOUR },
  );
  expect({ calls, complete }).toEqual({ calls: 1, complete: false });
});

test("what was read before a half failed is kept, and said to be incomplete", async () => {
  let calls = 0;
  const listing = await listRange(
    async (window) => {
      calls += 1;
      if (calls === 3) throw new CloudError("throttled", "too many");
      return await capped(20)(window);
    },
    { from: 0, to: 2 * HOUR },
  );
  expect(listing).toMatchObject({ complete: false, gap: "too many", cause: "throttled" });
  expect(listing.tasks.length).toBeGreaterThanOrEqual(20);
});

test("an error of the first call is the caller's", async () => {
  const list = () => Promise.reject(new CloudError("not_found", "gone"));
  await expect(listRange(list, { from: 0, to: HOUR })).rejects.toThrow("gone");
});
