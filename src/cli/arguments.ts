import { InvalidArgumentError } from "commander";
import { parseInstant } from "../config/instant.ts";

const CLOUD = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/;
const DAY = /^\d{4}-\d\d-\d\d$/;
const ZONE = /(?:Z|[+-]\d\d:?\d\d)$/i;

/** `2026-11-24`, `2026-11-24T10:00:00+01:00` or `20261124100000`, in UTC unless it says otherwise. Epoch milliseconds. */
export function parseTime(text: string): number {
  const time = parseInstant(zoned(text));
  if (typeof time === "number") return time;
  const form = "Allowed: 2026-11-24T10:00:00Z or 20261124100000 (UTC).";
  throw new InvalidArgumentError(
    time === "impossible" ? `There is no such date or time of day. ${form}` : form,
  );
}

/** The time as the configuration writes it: `2026-11-24T10:00:00Z` or with `+01:00`. */
function zoned(text: string): string {
  if (DAY.test(text)) return `${text}T00:00Z`;
  const [, year, month, day, hour, minute, second] = CLOUD.exec(text) ?? [];
  if (year !== undefined) return `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
  const upper = text.toUpperCase();
  return ZONE.test(upper.slice(10)) ? upper.replace(/([+-]\d\d)(\d\d)$/, "$1:$2") : `${upper}Z`;
}

/** A whole number, at least `least`. */
export const parseCount =
  (least: number) =>
  (text: string): number => {
    const count = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < least) {
      throw new InvalidArgumentError(`Allowed: a whole number, ${least} or more.`);
    }
    return count;
  };

/** A number, zero or more. */
export function parseRate(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError("Allowed: a number, 0 or more.");
  return Number(text);
}

/** Text of at most so many characters. */
export const parseText =
  (most: number) =>
  (text: string): string => {
    if (text.trim() === "" || text.length > most) {
      throw new InvalidArgumentError(`Allowed: 1 to ${most} characters.`);
    }
    return text;
  };
