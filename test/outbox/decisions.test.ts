import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backoff } from "../../src/core/backoff.ts";
import { type AttemptResult, classifyAnswer } from "../../src/outbox/attempt-result.ts";
import { afterFailure, CLOSED, OPENS_AFTER } from "../../src/outbox/breaker.ts";
import {
  overUntil,
  type SettlementContext,
  settlementOf,
  settlementsOf,
} from "../../src/outbox/settlement.ts";
import { redactUrl } from "../../src/util/redact-url.ts";
import { parseRetryAfter } from "../../src/util/retry-after.ts";

const HOUR = 3_600_000;
const status = (code: number) =>
  classifyAnswer({ kind: "answer", status: code, retryAfter: null, date: null, body: "" });
const named = (verdict: AttemptResult): string =>
  verdict.kind === "retry"
    ? `retry ${verdict.group} ${verdict.reason}`
    : verdict.kind === "delivered"
      ? "delivered"
      : `${verdict.kind} ${verdict.reason}`;

describe("the table of answers", () => {
  test.each([
    ["delivered", [200, 201, 202, 204, 299]],
    ["refused refused", [400, 411, 413, 414, 415, 422, 431]],
    ["disable disabled", [410]],
    ["retry refused_for refused", [300, 301, 302, 304, 307, 308, 401, 403, 404, 405]],
    ["retry for timeout", [408]],
    ["retry for throttled", [425, 429]],
    ["retry for server_error", [500, 501, 502, 503, 504, 599, 600, 999]],
    ["retry for refused", [402, 406, 409, 412, 418, 423, 451]],
  ])("%s", (verdict, codes) => {
    for (const code of codes) expect([code, named(status(code))]).toEqual([code, verdict]);
  });

  test("network errors and timeouts are retried", () => {
    for (const reason of ["network", "timeout"] as const)
      expect(named(classifyAnswer({ kind: "failed", reason, message: "" }))).toBe(`retry for ${reason}`);
  });
});

describe("Retry-After", () => {
  const now = Date.parse("2026-11-24T10:00:00Z");

  test("is read as seconds or as a date, against the answer's own clock", () => {
    expect(parseRetryAfter("120", undefined, now)).toBe(120_000);
    expect(parseRetryAfter(" 0 ", undefined, now)).toBe(0);
    expect(parseRetryAfter("Tue, 24 Nov 2026 10:00:30 GMT", undefined, now)).toBe(30_000);
    expect(parseRetryAfter("Tue, 24 Nov 2026 12:00:30 GMT", "Tue, 24 Nov 2026 12:00:00 GMT", now)).toBe(
      30_000,
    );
    expect(parseRetryAfter("Tue, 24 Nov 2026 09:00:00 GMT", undefined, now)).toBe(0);
  });

  test.each([undefined, "", "soon", "-3", "1.5", "1e3", "99999999999999999999", "2026-11-24"])(
    "that cannot be read is none: %s",
    (value) => {
      expect(parseRetryAfter(value, undefined, now)).toBeNull();
    },
  );
});

test("a wait grows from min to max and is spread over the whole range", () => {
  const range = { min: 1_000, max: 60_000 };
  expect([1, 2, 3, 10, 2000].map((attempt) => backoff(attempt, range, 1))).toEqual([
    2_000, 4_000, 8_000, 60_000, 60_000,
  ]);
  fc.assert(
    fc.property(
      fc.nat(10_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 1e9 }),
      fc.integer({ min: 1, max: 1e9 }),
      (attempt, random, min, max) => {
        const wait = backoff(attempt, { min, max }, random);
        expect(wait).toBeGreaterThanOrEqual(min);
        expect(wait).toBeLessThanOrEqual(Math.max(min, max));
      },
    ),
  );
});

describe("the breaker", () => {
  const range = { min: 1_000, max: HOUR };

  test("opens after some failures in a row, then its waits grow with each failed probe", () => {
    let breaker = CLOSED;
    for (let i = 1; i < OPENS_AFTER; i++) {
      const next = afterFailure(breaker, false, range, 0);
      expect([next.breaker.open, next.wait]).toEqual([false, 0]);
      breaker = next.breaker;
    }
    const waits: number[] = [];
    for (let probe = 0; probe < 12; probe++) {
      const next = afterFailure(breaker, probe > 0, range, 1);
      breaker = next.breaker;
      waits.push(next.wait);
    }
    expect(waits).toEqual(
      [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300].map((seconds) => seconds * 1_000),
    );
  });

  test("does not count the deliveries that were on their way when it opened as probes", () => {
    const open = { open: true, failures: 3, probes: 1 };
    expect(afterFailure(open, false, range, 1)).toEqual({ breaker: { ...open, failures: 4 }, wait: 0 });
  });

  test("never waits longer than retry.max, nor less than retry.min", () => {
    const open = { open: true, failures: 30, probes: 30 };
    expect(afterFailure(open, true, { min: 10, max: 500 }, 0.999).wait).toBeLessThanOrEqual(500);
    expect(afterFailure(open, true, { min: 20 * 60_000, max: HOUR }, 0).wait).toBe(20 * 60_000);
  });
});

describe("what becomes of a delivery", () => {
  const retry = { for: 72 * HOUR, refused_for: HOUR, min: 1_000, max: HOUR };
  const context: SettlementContext = {
    retry,
    now: 1_000 * HOUR,
    dueFrom: 1_000 * HOUR,
    lastDownAt: null,
    held: 0,
    breakerOpen: false,
    random: 0,
  };
  const aged = (age: number, attempts = 0) => ({ since: context.now - age, attempts });
  const settled = (code: number, age: number, more: Partial<SettlementContext> = {}) =>
    settlementOf(status(code), aged(age), `HTTP ${code}`, { ...context, ...more });

  test("a refusal is a dead letter at once, with the answer in its reason", () => {
    expect(settled(400, 0)).toEqual({ kind: "dead", reason: "refused: HTTP 400" });
    expect(settled(410, 0)).toEqual({ kind: "dead", reason: "disabled: HTTP 410" });
  });

  test("401, 404 and redirects are retried until refused_for, the rest until for", () => {
    expect(settled(404, HOUR - 1).kind).toBe("retry");
    expect(settled(404, HOUR)).toEqual({ kind: "dead", reason: "refused: HTTP 404, retry time ended" });
    expect(settled(503, 72 * HOUR - 1).kind).toBe("retry");
    expect(settled(503, 72 * HOUR)).toEqual({
      kind: "dead",
      reason: "server_error: HTTP 503, retry time ended",
    });
  });

  test("a receiver that answers 404 for a moment as it comes back does not cost the backlog", () => {
    expect(settled(404, 10 * HOUR, { lastDownAt: context.now - 60_000 }).kind).toBe("retry");
    expect(settled(404, 10 * HOUR, { lastDownAt: context.now - HOUR }).kind).toBe("dead");
    expect(settled(404, 72 * HOUR, { lastDownAt: context.now }).kind).toBe("dead");
  });

  test("the next attempt waits its own time or as long as the webhook is held back, whichever is longer", () => {
    expect(settled(503, 0)).toMatchObject({ kind: "retry", at: context.dueFrom + 1_000 });
    expect(settled(503, 0, { held: 30_000 })).toMatchObject({ at: context.dueFrom + 30_000 });
    expect(settled(503, 0, { breakerOpen: true, held: 500 })).toMatchObject({ at: context.dueFrom + 500 });
  });

  test("the events of one message are settled together, but for those whose time is over", () => {
    const [old, young, younger] = [aged(72 * HOUR), aged(HOUR, 2), aged(0)];
    const groups = settlementsOf(status(503), [young, old, younger], "HTTP 503", { ...context, random: 0.5 });
    expect(groups.map(({ deliveries, settlement }) => [settlement.kind, deliveries])).toEqual([
      ["retry", [young, younger]],
      ["dead", [old]],
    ]);
  });

  test("a clock that was set back ages nothing", () => {
    expect(overUntil("refused_for", context)).toBeLessThan(context.now + 5 * HOUR);
  });
});

test("a URL is shown up to its host", () => {
  expect(redactUrl("https://user:pw@hooks.example.org:8443/services/T0/B0?key=1#f")).toBe(
    "https://hooks.example.org:8443/<secret>",
  );
  expect(redactUrl("https://hooks.example.org/")).toBe("https://hooks.example.org");
  for (const odd of ["", "not a url with a token", "mailto:token@example.org", "data:,token"])
    expect(redactUrl(odd)).toBe("<secret>");
});
