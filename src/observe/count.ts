import type { Fact } from "../core/decision.ts";
import { statusLabel } from "../core/task.ts";
import type { DeliveryFact, KnownThreshold } from "../ports/telemetry.ts";
import { type Handlers, nothing } from "./handlers.ts";
import type { LabelsOf, Metrics } from "./metrics.ts";

/** What runtime events are to the metrics. */
export const counting = (metrics: Metrics): Handlers => ({
  "poll.finished": ({ project, seconds, lagSeconds, complete, cause, countedMore }) => {
    metrics.inc("taskwatch_polls_total", { project });
    metrics.observe("taskwatch_poll_duration_seconds", { project }, seconds);
    metrics.observe("taskwatch_poll_lag_seconds", { project }, lagSeconds);
    if (countedMore) metrics.inc("taskwatch_list_count_mismatches_total", { project });
    if (complete) return;
    metrics.inc("taskwatch_poll_failures_total", { project, reason: cause ?? "bad_response" });
  },
  "poll.merged": ({ project }) => metrics.inc("taskwatch_polls_merged_total", { project }),
  fact: ({ project, fact }) => countFact(metrics, project, fact),
  "event.committed": ({ type }) => metrics.inc("taskwatch_events_total", { type }),
  "project.load": ({ project, instances, neededPerSecond }) => {
    metrics.set("taskwatch_instances", { project }, instances);
    metrics.set("taskwatch_api_needed_requests_per_second", { project }, neededPerSecond);
  },
  "thresholds.known": ({ project, thresholds }) =>
    metrics.replace("dms_task_stuck_threshold_seconds", project, rowsOf(metrics, project, thresholds)),
  "api.request": ({ project, operation, code, seconds }) => {
    metrics.inc("taskwatch_api_requests_total", { project, operation, code: String(code) });
    metrics.observe("taskwatch_api_request_duration_seconds", { project, operation }, seconds);
  },
  "api.throttled": ({ project }) => metrics.inc("taskwatch_api_throttled_total", { project }),
  "api.budget_wait": ({ project, seconds }) =>
    metrics.observe("taskwatch_api_budget_wait_seconds", { project }, seconds),
  "api.budget": ({ project, perSecond }) =>
    metrics.set("taskwatch_api_budget_requests_per_second", { project }, perSecond),
  "credentials.refused": ({ project }) => metrics.set("taskwatch_credentials_valid", { project }, 0),
  "credentials.accepted": ({ project }) => metrics.set("taskwatch_credentials_valid", { project }, 1),
  "credentials.untried": ({ project }) => metrics.set("taskwatch_credentials_valid", { project }, 1),
  "project.watch": ({ project, unwatched, discovered }) => {
    metrics.set("taskwatch_project_watched", { project }, unwatched === null ? 1 : 0);
    if (discovered === null) return;
    const { found, listedAt } = discovered;
    metrics.set("taskwatch_discovered_instances", { project }, found);
    metrics.set("taskwatch_discovery_last_success_timestamp_seconds", { project }, listedAt / 1000);
  },
  outbox: ({ fact }) => countDelivery(metrics, fact),
  "outbox.counts": ({ webhook, configured, pending, oldestAt, dead }) => {
    metrics.setFormer(webhook, !configured && pending + dead > 0);
    metrics.set("taskwatch_webhook_pending", { webhook }, pending);
    metrics.set("taskwatch_dead_letters", { webhook }, dead);
    const oldest = "taskwatch_webhook_oldest_pending_timestamp_seconds";
    if (oldestAt === null) metrics.clear(oldest, { webhook });
    else metrics.set(oldest, { webhook }, oldestAt / 1000);
  },
  "store.operation": ({ operation, seconds }) =>
    metrics.observe("taskwatch_store_operation_duration_seconds", { operation }, seconds),
  "store.down": () => metrics.set("taskwatch_store_up", {}, 0),
  "store.up": () => metrics.set("taskwatch_store_up", {}, 1),
  "lease.lost": () => metrics.inc("taskwatch_lease_lost_total", {}),
  "leases.held": ({ owned }) => metrics.set("taskwatch_shards_owned", {}, owned),
  "records.unreadable": ({ records }) => metrics.set("taskwatch_unreadable_records", {}, records.length),
  "config.loaded": ({ at, hash }) => {
    metrics.set("taskwatch_config_last_reload_successful", {}, 1);
    metrics.set("taskwatch_config_last_reload_success_timestamp_seconds", {}, at / 1000);
    metrics.set("taskwatch_config_hash", {}, hash);
  },
  "reload.failed": () => metrics.set("taskwatch_config_last_reload_successful", {}, 0),
  "http.refused": ({ reason }) => metrics.inc("taskwatch_http_refused_requests_total", { reason }),
  // Shown by the instances' own series, from memory, or by nothing but the log.
  "instance.down": nothing,
  "instance.up": nothing,
  "instance.removed": nothing,
  "instances.leaving": nothing,
  "project.down": nothing,
  "project.up": nothing,
  "discovery.finished": nothing,
  "discovery.failed": nothing,
  "ask.failed": nothing,
  "ask.answered": nothing,
  "maintenance.opened": nothing,
  "maintenance.closed": nothing,
  "store.forgot": nothing,
  "shard.failed": nothing,
  "lease.acquired": nothing,
  "lease.released": nothing,
  acknowledged: nothing,
});

function countFact(metrics: Metrics, project: string, fact: Fact): void {
  if (fact.kind === "baseline") metrics.inc("taskwatch_baselines_total", { project });
  if (fact.kind !== "transition") return;
  const labels = {
    project,
    task_name: metrics.taskNames.label(project, fact.taskName),
    status: statusLabel(fact.status),
  };
  metrics.inc("dms_task_transitions_total", labels);
  if (fact.durationSeconds !== null) {
    metrics.observe("dms_task_duration_seconds", labels, fact.durationSeconds);
  }
  if (fact.delaySeconds !== null) {
    metrics.observe("taskwatch_detection_delay_seconds", { project }, fact.delaySeconds);
  }
}

function countDelivery(metrics: Metrics, fact: DeliveryFact): void {
  const { kind, webhook } = fact;
  if (kind === "attempt") {
    metrics.inc("taskwatch_webhook_attempts_total", { webhook });
    metrics.observe("taskwatch_webhook_duration_seconds", { webhook }, fact.seconds);
    const { reason } = fact;
    if (reason !== null) metrics.inc("taskwatch_webhook_failures_total", { webhook, reason });
  } else if (kind === "delivered" || kind === "posted")
    metrics.inc("taskwatch_webhook_delivered_total", { webhook });
  else if (kind === "dead") metrics.inc("taskwatch_webhook_dead_letters_total", { webhook });
  else if (kind === "disabled") metrics.set("taskwatch_webhook_disabled", { webhook }, 1);
  else if (kind === "enabled") metrics.set("taskwatch_webhook_disabled", { webhook }, 0);
}

type ThresholdRow = {
  readonly labels: LabelsOf<"dms_task_stuck_threshold_seconds">;
  readonly value: number;
};

/** Names that are one as a label show the lower limit: that is when the first of them is judged. */
function rowsOf(
  metrics: Metrics,
  project: string,
  thresholds: readonly KnownThreshold[],
): readonly ThresholdRow[] {
  const rows = new Map<string, ThresholdRow>();
  for (const { taskName, verdict, source, seconds } of thresholds) {
    const task_name = metrics.taskNames.label(project, taskName);
    const key = `${verdict} ${task_name}`;
    const known = rows.get(key);
    if (known !== undefined && known.value <= seconds) continue;
    rows.set(key, { labels: { project, task_name, verdict, source }, value: seconds });
  }
  return [...rows.values()];
}
