import { describe, expect, it } from "vitest";
import { compileMaintenance, mutedUntil } from "../../src/core/maintenance.ts";

const weekly = (days: readonly number[], from: string, to: string, timezone: string) =>
  compileMaintenance<string>({
    kind: "weekly",
    days: new Set(days),
    from: minutes(from),
    to: minutes(to),
    timezone,
    matches: () => true,
  });

const minutes = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
const EVERY = [0, 1, 2, 3, 4, 5, 6];
const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString().replace(".000Z", "Z"));

/** The stretches, minute by minute, in which the window is open, each with the end that it announces. */
function stretches(window: ReturnType<typeof weekly>, from: string, to: string): string[] {
  const found: string[] = [];
  let open: string | null = null;
  for (let now = Date.parse(from); now <= Date.parse(to); now += 60_000) {
    const end = iso(window.end(now));
    if (end !== null && open === null) found.push(`${iso(now)} .. ${end}`);
    if (end === null && open !== null) expect(open).toBe(iso(now));
    if (end !== null && open !== null) expect(end).toBe(open);
    open = end;
  }
  return found;
}

describe("a recurring window", () => {
  const rows: readonly [string, readonly number[], string, string, string, string, string, string[]][] = [
    // Dublin: forward on 29 March 2026 at 01:00Z, back on 25 October 2026 at 01:00Z.
    [
      "an ordinary night in Dublin",
      [6],
      "01:00",
      "05:00",
      "Europe/Dublin",
      "2026-07-04T00:00Z",
      "2026-07-05T00:00Z",
      ["2026-07-04T00:00:00Z .. 2026-07-04T04:00:00Z"],
    ],
    [
      "Dublin in spring: an hour shorter",
      [0],
      "00:30",
      "05:00",
      "Europe/Dublin",
      "2026-03-28T20:00Z",
      "2026-03-29T20:00Z",
      ["2026-03-29T00:30:00Z .. 2026-03-29T04:00:00Z"],
    ],
    [
      "Dublin in spring: from the skipped hour it opens at the skip",
      [0],
      "01:30",
      "05:00",
      "Europe/Dublin",
      "2026-03-28T20:00Z",
      "2026-03-29T20:00Z",
      ["2026-03-29T01:00:00Z .. 2026-03-29T04:00:00Z"],
    ],
    [
      "Dublin in spring: up to the skipped hour it shuts at the skip",
      [0],
      "00:15",
      "01:30",
      "Europe/Dublin",
      "2026-03-28T20:00Z",
      "2026-03-29T20:00Z",
      ["2026-03-29T00:15:00Z .. 2026-03-29T01:00:00Z"],
    ],
    [
      "Dublin in spring: inside the skipped hour it does not open",
      [0],
      "01:10",
      "01:50",
      "Europe/Dublin",
      "2026-03-28T20:00Z",
      "2026-03-29T20:00Z",
      [],
    ],
    [
      "Dublin in autumn: an hour longer",
      [0],
      "00:30",
      "05:00",
      "Europe/Dublin",
      "2026-10-24T20:00Z",
      "2026-10-25T20:00Z",
      ["2026-10-24T23:30:00Z .. 2026-10-25T05:00:00Z"],
    ],
    [
      "Dublin in autumn: the repeated hour is open both times",
      [0],
      "01:00",
      "01:30",
      "Europe/Dublin",
      "2026-10-24T20:00Z",
      "2026-10-25T20:00Z",
      ["2026-10-25T00:00:00Z .. 2026-10-25T01:30:00Z"],
    ],
    // New York: forward on 8 March 2026 at 07:00Z, back on 1 November 2026 at 06:00Z.
    [
      "New York over midnight into spring",
      [6],
      "22:00",
      "04:00",
      "America/New_York",
      "2026-03-07T12:00Z",
      "2026-03-09T12:00Z",
      ["2026-03-08T03:00:00Z .. 2026-03-08T08:00:00Z"],
    ],
    [
      "New York over midnight into autumn",
      [6],
      "22:00",
      "04:00",
      "America/New_York",
      "2026-10-31T12:00Z",
      "2026-11-02T12:00Z",
      ["2026-11-01T02:00:00Z .. 2026-11-01T09:00:00Z"],
    ],
    // Lord Howe: half an hour, back on 4 April 2026 at 15:00Z, forward on 3 October 2026 at 15:30Z.
    [
      "Lord Howe in autumn",
      [0],
      "00:00",
      "03:00",
      "Australia/Lord_Howe",
      "2026-04-04T06:00Z",
      "2026-04-05T06:00Z",
      ["2026-04-04T13:00:00Z .. 2026-04-04T16:30:00Z"],
    ],
    [
      "Lord Howe in spring",
      [0],
      "00:00",
      "03:00",
      "Australia/Lord_Howe",
      "2026-10-03T06:00Z",
      "2026-10-04T06:00Z",
      ["2026-10-03T13:30:00Z .. 2026-10-03T16:00:00Z"],
    ],
    [
      "only the days that it names, over midnight",
      [1],
      "23:00",
      "01:00",
      "UTC",
      "2026-11-22T00:00Z",
      "2026-11-25T12:00Z",
      ["2026-11-23T23:00:00Z .. 2026-11-24T01:00:00Z"],
    ],
    [
      "from equal to to: a whole day",
      [2],
      "08:00",
      "08:00",
      "UTC",
      "2026-11-23T00:00Z",
      "2026-11-26T00:00Z",
      ["2026-11-24T08:00:00Z .. 2026-11-25T08:00:00Z"],
    ],
    [
      "to midnight",
      [2],
      "20:00",
      "00:00",
      "UTC",
      "2026-11-23T00:00Z",
      "2026-11-26T00:00Z",
      ["2026-11-24T20:00:00Z .. 2026-11-25T00:00:00Z"],
    ],
  ];
  for (const [what, days, from, to, zone, begin, end, expected] of rows) {
    it(what, () => expect(stretches(weekly(days, from, to, zone), begin, end)).toEqual(expected));
  }

  it("every night is open every night, over a year with both changes", () => {
    for (const zone of ["Europe/Dublin", "America/New_York", "Australia/Lord_Howe"]) {
      const window = weekly(EVERY, "23:30", "00:30", zone);
      let opened = 0;
      for (let now = Date.UTC(2026, 0, 1, 0, 5); now < Date.UTC(2027, 0, 1); now += 30 * 60_000) {
        if (window.end(now) !== null) opened += 1;
      }
      expect(opened).toBeGreaterThanOrEqual(2 * 364);
      expect(opened).toBeLessThanOrEqual(2 * 366);
    }
  });

  it("of a zone that does not exist is refused when it is made", () => {
    expect(() => weekly(EVERY, "01:00", "02:00", "Europe/Atlantis")).toThrow(RangeError);
  });
});

describe("an absolute window", () => {
  const window = compileMaintenance<string>({
    kind: "absolute",
    start: 1000,
    end: 2000,
    matches: (s) => s === "a",
  });
  it("is open from its start up to its end", () => {
    expect([999, 1000, 1999, 2000].map((now) => window.end(now))).toEqual([null, 2000, 2000, null]);
  });
});

describe("what is muted", () => {
  const window = (end: number, subject: string) =>
    compileMaintenance<string>({ kind: "absolute", start: 0, end, matches: (s) => s === subject });
  it("is so until the last of the windows that match it ends", () => {
    const windows = [window(500, "a"), window(900, "a"), window(9000, "b")];
    expect(mutedUntil(windows, "a", 100)).toBe(900);
    expect(mutedUntil(windows, "c", 100)).toBeNull();
    expect(mutedUntil(windows, "a", 900)).toBeNull();
  });
});
