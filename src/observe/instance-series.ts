import { CATALOG, type MetricName, type MetricSpec } from "./catalog.ts";
import type { Figures } from "./figures.ts";
import { type Counts, SHOWN_AFTER_MS } from "./recent.ts";
import { escapeLabel } from "./text-format.ts";

/** A family whose samples are written from memory at each scrape. */
export interface InstanceFamily {
  readonly spec: MetricSpec;
  /** Whole lines, each with its end; none where the instance has nothing to show. */
  readonly lines: (figures: Figures) => string;
}

type Lines = InstanceFamily["lines"];
type Labels = "plain" | "named";

/** One sample per instance; null where there is none. A removed instance has none. */
const one =
  (name: MetricName, labels: Labels, value: (figures: Figures) => number | null): Lines =>
  (figures) => {
    if (figures.view.removedAt !== null) return "";
    const shown = value(figures);
    return shown === null ? "" : `${name}{${figures[labels]}} ${shown}\n`;
  };

/** One sample per task name and what goes with it. */
const each =
  (name: MetricName, labels: Labels, values: (figures: Figures) => Counts, unit = 1): Lines =>
  (figures) => {
    const shown = values(figures);
    if (shown === null) return "";
    const before = `${name}{${figures[labels]},`;
    let lines = "";
    for (const [rest, value] of shown) lines += `${before}${rest}} ${value / unit}\n`;
    return lines;
  };

/** As `each`, for what does not outlive the instance. */
const eachWatched = (name: MetricName, values: (figures: Figures) => Counts, unit = 1): Lines => {
  const lines = each(name, "plain", values, unit);
  return (figures) => (figures.view.removedAt === null ? lines(figures) : "");
};

const MS = 1000;
const bit = (value: boolean | null): number | null => (value === null ? null : value ? 1 : 0);
const seconds = (ms: number | null): number | null => (ms === null ? null : ms / MS);

const LINES: Readonly<Record<string, Lines>> = {
  dms_instance_info: ({ named, view }) =>
    `dms_instance_info{${named},engine="${escapeLabel(view.record.engine)}",cloud_region="${escapeLabel(view.project.region)}"} 1\n`,
  dms_instance_up: one("dms_instance_up", "named", ({ view }) => bit(view.up)),
  dms_instance_reachable: one("dms_instance_reachable", "named", ({ view }) =>
    bit(view.record.unreachable === null),
  ),
  dms_instance_maintenance: one("dms_instance_maintenance", "plain", ({ view }) => bit(view.maintenance)),
  dms_instance_last_poll_timestamp_seconds: one(
    "dms_instance_last_poll_timestamp_seconds",
    "plain",
    ({ view }) => seconds(view.lastPollAt),
  ),
  dms_instance_last_success_timestamp_seconds: one(
    "dms_instance_last_success_timestamp_seconds",
    "plain",
    ({ view }) => seconds(view.lastCompleteAt),
  ),
  dms_instance_poll_interval_seconds: one(
    "dms_instance_poll_interval_seconds",
    "plain",
    ({ view }) => view.intervalSeconds,
  ),
  dms_tasks_open: each("dms_tasks_open", "plain", (figures) => figures.open),
  dms_tasks_stuck: each("dms_tasks_stuck", "named", (figures) => figures.stuck),
  dms_task_failures_open: each("dms_task_failures_open", "named", (figures) => figures.failures),
  dms_tasks_muted: each("dms_tasks_muted", "named", (figures) => figures.muted),
  dms_task_progress_ratio: eachWatched("dms_task_progress_ratio", (figures) => figures.progress),
  dms_scheduled_tasks: eachWatched("dms_scheduled_tasks", (figures) => figures.scheduled),
  dms_scheduled_task_next_start_timestamp_seconds: eachWatched(
    "dms_scheduled_task_next_start_timestamp_seconds",
    (figures) => figures.nextStart,
    MS,
  ),
  dms_task_oldest_open_timestamp_seconds: eachWatched(
    "dms_task_oldest_open_timestamp_seconds",
    (figures) => figures.oldestOpen,
    MS,
  ),
  dms_task_last_failure_timestamp_seconds: eachWatched(
    "dms_task_last_failure_timestamp_seconds",
    (figures) => figures.lastFailure,
    MS,
  ),
  dms_task_last_success_timestamp_seconds: eachWatched(
    "dms_task_last_success_timestamp_seconds",
    (figures) => figures.lastSuccess,
    MS,
  ),
  dms_task_failures_total: one("dms_task_failures_total", "plain", ({ view }) => view.failures),
};

/** In the order of the catalogue. A family that nobody writes is noticed by the test that compares both. */
export const INSTANCE_FAMILIES: readonly InstanceFamily[] = CATALOG.flatMap((spec) => {
  const lines = LINES[spec.name];
  return lines === undefined ? [] : [{ spec, lines }];
});

/** Is there anything to show: an instance, and one that is watched or left less than 15 minutes ago? */
export const isShown = (
  view: { readonly record: { readonly instanceId: string }; readonly removedAt: number | null },
  now: number,
): boolean =>
  view.record.instanceId !== "" && (view.removedAt === null || now - view.removedAt < SHOWN_AFTER_MS);
