import fc from "fast-check";
import { expect, test } from "vitest";
import { RateLimiter } from "../../src/outbox/rate-limit.ts";
import { startReceiver } from "../support/receiver.ts";
import { event } from "./formats/samples.ts";
import { Workbench, webhookConfig } from "./harness.ts";

test("no span of time has more requests than a limit allows, and what is allowed is used", () => {
  const limit = fc.record({
    requests: fc.integer({ min: 1, max: 6 }),
    per: fc.integer({ min: 100, max: 5_000 }),
  });
  const looks = fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 120 });
  fc.assert(
    fc.property(fc.array(limit, { minLength: 1, maxLength: 3 }), looks, (limits, gaps) => {
      const pace = new RateLimiter(limits);
      const sent: number[] = [];
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        const free = pace.available(now);
        expect(pace.retryAfter(now) === 0).toBe(free > 0);
        for (let n = 0; n < free; n++) {
          pace.record(now);
          sent.push(now);
        }
        expect(pace.retryAfter(now)).toBeGreaterThan(0);
        expect(pace.available(now + pace.retryAfter(now))).toBeGreaterThan(0);
      }
      for (const { requests, per } of limits)
        for (const from of sent)
          expect(sent.filter((at) => at >= from && at < from + per).length).toBeLessThanOrEqual(requests);
    }),
  );
});

test("without limits everything may go at once", () => {
  const pace = new RateLimiter([]);
  pace.record(0);
  expect([pace.available(0), pace.retryAfter(0)]).toEqual([Number.POSITIVE_INFINITY, 0]);
});

test.each([
  ["slack", 1, 1_000, '"x"'],
  ["dingtalk", 20, 60_000, '{"errcode":0}'],
  ["wecom", 20, 60_000, '{"errcode":0}'],
  ["feishu", 100, 60_000, '{"code":0}'],
] as const)(
  "%s gets at most %d requests in any %d ms, and all events, without a group too",
  async (format, most, per, body) => {
    const receiver = await startReceiver();
    const bench = new Workbench();
    try {
      const times: number[] = [];
      receiver.otherwise(() => {
        times.push(bench.clock.monotonic());
        return { status: 200, body };
      });
      const count = most * 2 + 10;
      for (let n = 0; n < count; n++)
        bench.putEvent(event("task.failed", {}, `e${n}`), { lane: `lane ${n}` });
      bench.start(webhookConfig(receiver.url, { format }));
      await bench.advanceSending(() => bench.of("delivered").length === count);
      for (const from of times)
        expect(times.filter((at) => at >= from && at < from + per).length).toBeLessThanOrEqual(most);
      // As fast as that allows, within a little.
      expect(times.at(-1)!).toBeLessThan((count / most) * per * 1.1 + 5_000);
    } finally {
      await bench[Symbol.asyncDispose]();
      await receiver.close();
    }
  },
);
