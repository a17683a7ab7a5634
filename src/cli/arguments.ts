import { InvalidArgumentError } from "commander";

const CLOUD = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/;
const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/i;

/** `2026-11-24`, `2026-11-24T10:00:00+01:00` or `20261124100000`, in UTC unless it says otherwise. Epoch milliseconds. */
export function parseTime(text: string): number {
  const cloud = CLOUD.exec(text);
  const [, year, month, day, hour, minute, second] = cloud ?? [];
  const written = cloud ? `${year}-${month}-${day}T${hour}:${minute}:${second}Z` : text;
  const found = ISO.exec(written);
  const zoned = found && written.includes("T") && found[1] === undefined ? `${written}Z` : written;
  const time = found ? Date.parse(zoned) : Number.NaN;
  if (Number.isNaN(time) || !isDate(written.slice(0, 10))) {
    throw new InvalidArgumentError("Allowed: 2026-11-24T10:00:00Z or 20261124100000 (UTC).");
  }
  return time;
}

/** Date.parse makes the 2nd of March of the 30th of February. */
const isDate = (day: string): boolean => new Date(`${day}T00:00:00Z`).toISOString().slice(0, 10) === day;

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
