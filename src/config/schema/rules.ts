import { z } from "zod";
import { duration, flag, number, off, oneOf } from "./scalars.ts";
import { mapOf, object } from "./shapes.ts";
import { cron, timezone, utcOffset } from "./times.ts";

const orOff = <T extends z.ZodType>(value: T) => z.union([off(), value]);

const pollKeys = {
  schedule: cron(),
  active_schedule: orOff(cron()),
  timezone: timezone(),
  timeout: duration({ max: 600_000 }),
};

export const poll = object({
  schedule: pollKeys.schedule.prefault("0 * * * * *"),
  active_schedule: pollKeys.active_schedule.prefault("*/15 * * * * *"),
  timezone: pollKeys.timezone.prefault("UTC"),
  timeout: pollKeys.timeout.prefault("10s"),
  concurrency: number({ min: 1, max: 10_000, integer: true }).prefault("64"),
});

/** What an instance may override: all but the concurrency, which is one for all. */
export const instancePoll = object(pollKeys).partial();

const windowKeys = {
  lookback: duration({ min: 1000 }),
  overlap: duration({ min: 0 }),
  max_lookback: duration({ min: 1000 }),
  sweep: orOff(duration({ min: 1000 })),
  utc_offset: utcOffset(),
  first_poll: oneOf(["baseline", "emit"]),
};

export const window = object({
  lookback: windowKeys.lookback.prefault("24h"),
  overlap: windowKeys.overlap.prefault("2m"),
  max_lookback: windowKeys.max_lookback.prefault("30d"),
  sweep: windowKeys.sweep.prefault("6h"),
  utc_offset: windowKeys.utc_offset.prefault("+00:00"),
  first_poll: windowKeys.first_poll.prefault("baseline"),
});

export const instanceWindow = object(windowKeys).partial();

const learnKeys = {
  enabled: flag(),
  quantile: number({ min: 0, above: true, max: 1 }),
  factor: number({ min: 0, above: true, max: 1000 }),
  min_samples: number({ min: 1, max: 1_000_000, integer: true }),
  floor: duration(),
  ceiling: duration(),
};

export const learn = object({
  enabled: learnKeys.enabled.prefault("true"),
  quantile: learnKeys.quantile.prefault("0.99"),
  factor: learnKeys.factor.prefault("3"),
  min_samples: learnKeys.min_samples.prefault("20"),
  floor: learnKeys.floor.prefault("30m"),
  ceiling: learnKeys.ceiling.prefault("24h"),
});

const stuckKeys = {
  queued_after: duration(),
  running_after: duration(),
  by_task: mapOf(
    duration(),
    "a map from task name to duration, such as { restartInstance: 20m }",
    () => undefined,
  ),
  no_progress_after: orOff(duration()),
  repeat: orOff(duration({ min: 1000 })),
};

export const stuck = object({
  queued_after: stuckKeys.queued_after.prefault("15m"),
  running_after: stuckKeys.running_after.prefault("1h"),
  by_task: stuckKeys.by_task.prefault({}),
  no_progress_after: stuckKeys.no_progress_after.prefault("off"),
  learn: learn.prefault({}),
  repeat: stuckKeys.repeat.prefault("off"),
});

export const instanceStuck = object({ ...stuckKeys, learn: object(learnKeys).partial() }).partial();

export const failures = object({ keep_open: orOff(duration({ min: 1000 })).prefault("7d") });
