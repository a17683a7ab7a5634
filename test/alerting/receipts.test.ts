import { expect, test } from "vitest";
import type { Entry } from "../../src/alerting/alert-store.ts";
import { REFRESH_MS, Receipts } from "../../src/alerting/receipts.ts";

const T0 = Date.UTC(2026, 10, 24, 10);
const SECOND = 1_000;

const entry = (changedAt: number, endedAt: number | null = null): Entry => ({
  alert: { labels: {}, annotations: {}, startsAt: changedAt, url: null },
  shard: 1,
  endedAt,
  changedAt,
});
const at = (ms: number) => ({ now: T0 + ms, monotonic: ms });
const NONE = { pending: 0, oldestAt: null };

test("a change that was not posted yet is on its way, unless every address failed", () => {
  const receipts = new Receipts();
  const news = [["a", entry(T0)]] as const;
  expect(receipts.untaken(news, false, at(0))).toEqual(NONE);
  expect(receipts.untaken(news, true, at(0))).toEqual({ pending: 1, oldestAt: T0 });
});

test("a change waits from when it happened until an address takes it", () => {
  const receipts = new Receipts();
  const news = [
    ["a", entry(T0 + 1)],
    ["b", entry(T0 + 2)],
  ] as const;
  receipts.posted(news, false, 5);
  expect(receipts.untaken(news, false, at(9))).toEqual({ pending: 2, oldestAt: T0 + 1 });
  receipts.posted([news[0]], true, 10);
  expect(receipts.untaken(news, false, at(11))).toEqual({ pending: 1, oldestAt: T0 + 2 });
  receipts.posted([news[1]], true, 12);
  expect(receipts.untaken(news, false, at(13))).toEqual(NONE);
});

test("what changes again before anybody took it waits since its first change", () => {
  const receipts = new Receipts();
  const first = [["a", entry(T0)]] as const;
  receipts.posted(first, false, 1);
  receipts.untaken(first, true, at(2));
  const ended = [["a", entry(T0 + 60 * SECOND, T0 + 60 * SECOND)]] as const;
  expect(receipts.untaken(ended, true, at(60 * SECOND))).toEqual({ pending: 1, oldestAt: T0 });
  receipts.posted(ended, true, 61 * SECOND);
  expect(receipts.untaken(ended, false, at(62 * SECOND))).toEqual(NONE);
  const again = [["a", entry(T0 + 90 * SECOND)]] as const;
  expect(receipts.untaken(again, true, at(91 * SECOND))).toEqual({ pending: 1, oldestAt: T0 + 90 * SECOND });
});

test("an alert that lasts waits again from when it should have been posted again; one that is over does not", () => {
  const receipts = new Receipts();
  const both = [
    ["lasts", entry(T0)],
    ["over", entry(T0, T0)],
  ] as const;
  receipts.posted(both, true, 0);
  expect(receipts.untaken(both, true, at(2 * REFRESH_MS))).toEqual(NONE);
  const overdue = { pending: 1, oldestAt: T0 + REFRESH_MS };
  expect(receipts.untaken(both, true, at(3 * REFRESH_MS))).toEqual(overdue);
  expect(receipts.untaken(both, true, at(20 * REFRESH_MS))).toEqual(overdue);
  receipts.posted([both[0]], true, 21 * REFRESH_MS);
  expect(receipts.untaken(both, false, at(21 * REFRESH_MS))).toEqual(NONE);
});
