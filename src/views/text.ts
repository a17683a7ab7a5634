import { iso } from "../core/data.ts";
import { humanDuration } from "../core/reason.ts";

/** RFC 3339 to the second; `-` for a time that is not known. */
export function timeText(ms: number | null): string {
  const text = iso(ms);
  return text === null ? "-" : `${text.slice(0, 19)}Z`;
}

export const secondsText = (seconds: number | null): string =>
  seconds === null ? "-" : humanDuration(seconds);

/** `1 task`, `3 tasks`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
