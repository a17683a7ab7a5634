import type { ThresholdSource } from "./state.ts";

const UNITS = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
] as const;

/** Seconds for people: the two greatest units, `1h 20m`. */
export function humanDuration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount > 0) parts.push(`${amount}${unit}`);
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? "0s" : parts.join(" ");
}

/** Where a limit stands in the configuration, as its reader knows it. */
export const SOURCE_TEXT: Readonly<Record<ThresholdSource, string>> = {
  instance_by_task: "by_task of the instance",
  instance_running_after: "running_after of the instance",
  by_task: "by_task",
  running_after: "running_after",
  queued_after: "queued_after",
  no_progress_after: "no_progress_after",
  not_started: "queued_after, from the planned start",
  learned: "learned from earlier runs",
};
