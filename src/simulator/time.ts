import { z } from "zod";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `500ms`, `30s`, `1h30m`, `7d`, or of a number of milliseconds; undefined when it is none. */
export function parseDuration(text: string | number): number | undefined {
  if (typeof text === "number") return Number.isFinite(text) && text >= 0 ? text : undefined;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const part of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(part[1]) * (UNITS[part[2] ?? ""] ?? 0);
  }
  return total;
}

/** A duration in a scenario or a control call: a number of milliseconds or `1h30m`. Parsed to milliseconds. */
export const duration = z.union([z.number(), z.string()]).transform((value, context) => {
  const ms = parseDuration(value);
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
