import { z } from "zod";

const SHAPE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/;
const REAL = z.iso.datetime({ offset: true });

/**
 * Returns epoch milliseconds of `2026-12-01T22:00:00Z`; seconds may be missing.
 * Returns "impossible" for a date or time of day that does not exist: `Date.parse` reads 30 February as 2 March.
 * Returns undefined for any other text.
 */
export function parseInstant(text: string): number | "impossible" | undefined {
  const [, minutes, seconds = ":00", zone] = SHAPE.exec(text) ?? [];
  if (minutes === undefined) return undefined;
  const whole = `${minutes}${seconds}${zone}`;
  return REAL.safeParse(whole).success ? Date.parse(whole) : "impossible";
}
