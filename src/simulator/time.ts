import { z } from "zod";
import { parseDuration } from "../util/duration.ts";

/** Milliseconds of `500ms`, `30s`, `1h30m`, `7d`, or of a number of milliseconds; undefined when it is none. */
export function milliseconds(value: string | number): number | undefined {
  if (typeof value === "string") return parseDuration(value);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** A duration in a scenario or a control call: a number of milliseconds or `1h30m`. Parsed to milliseconds. */
export const duration = z.union([z.number(), z.string()]).transform((value, context) => {
  const ms = milliseconds(value);
  if (ms !== undefined) return ms;
  context.addIssue(
    `not a duration: ${JSON.stringify(value)}; allowed: 500ms, 30s, 1h30m, 7d, or milliseconds`,
  );
  return z.NEVER;
});

/** A point in time: epoch milliseconds or an ISO 8601 text. Parsed to epoch milliseconds. */
export const instant = z.union([z.number(), z.string()]).transform((value, context) => {
  const time = typeof value === "number" ? value : Date.parse(value);
  if (Number.isFinite(time)) return time;
  context.addIssue(
    `not a time: ${JSON.stringify(value)}; allowed: 2026-01-31T10:00:00Z or epoch milliseconds`,
  );
  return z.NEVER;
});

/** Milliseconds east of UTC of `+08:00`; undefined when it is none. */
export function parseOffset(text: string): number | undefined {
  const match = /^([+-])(\d\d):(\d\d)$/.exec(text);
  if (!match) return undefined;
  const ms = Number(match[2]) * 3_600_000 + Number(match[3]) * 60_000;
  return match[1] === "-" ? -ms : ms;
}

/** Epoch milliseconds of `YYYYMMDDHHmmss` in a zone that is `offset` ms east of UTC; undefined when it is none. */
export function parseCompactTime(text: string, offset: number): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text);
  if (!match) return undefined;
  const time = Date.parse(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}Z`);
  return Number.isNaN(time) ? undefined : time - offset;
}
