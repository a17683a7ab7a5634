import { CAUSES } from "../core/cause.ts";
import { EVENT_TYPES } from "../core/event.ts";
import { OPERATIONS } from "../ports/call-gate.ts";
import { REFUSAL_REASONS, STORE_OPERATIONS, WEBHOOK_REASONS } from "../ports/telemetry.ts";
import type { Metrics } from "./metrics.ts";

/** What the configuration says about label values. */
export interface Configured {
  readonly projects: readonly {
    readonly name: string;
    readonly requestsPerSecond: number;
    /** Interval of discovery, null without it. */
    readonly discoverySeconds: number | null;
  }[];
  readonly webhooks: readonly string[];
  /** Of the store: known before it has answered, so that an alert sees that none is owned. */
  readonly shards: number;
}

export interface Build {
  readonly version: string;
  /** Of the source; empty where it is not known. */
  readonly revision: string;
  readonly nodeVersion: string;
}

/**
 * At the start and after each reload: every series whose labels are known is there with its first value, so that a
 * rate finds it before it grows; what is counted already stays; series of removed projects and webhooks disappear.
 */
export function preset(metrics: Metrics, configured: Configured, build: Build): void {
  metrics.setOwners({
    projects: new Set(configured.projects.map((project) => project.name)),
    webhooks: new Set(configured.webhooks),
  });
  const { version, revision, nodeVersion } = build;
  metrics.set("taskwatch_build_info", { version, revision, node_version: nodeVersion }, 1);
  metrics.set("taskwatch_shards", {}, configured.shards);
  for (const type of EVENT_TYPES) metrics.start("taskwatch_events_total", { type });
  for (const operation of STORE_OPERATIONS) {
    metrics.start("taskwatch_store_operation_duration_seconds", { operation });
  }
  for (const reason of REFUSAL_REASONS) metrics.start("taskwatch_http_refused_requests_total", { reason });
  for (const project of configured.projects) presetProject(metrics, project);
  for (const webhook of configured.webhooks) presetWebhook(metrics, webhook);
}

function presetProject(metrics: Metrics, configured: Configured["projects"][number]): void {
  const labels = { project: configured.name };
  metrics.start("taskwatch_instances", labels);
  metrics.start("taskwatch_polls_total", labels);
  for (const reason of CAUSES) metrics.start("taskwatch_poll_failures_total", { ...labels, reason });
  metrics.start("taskwatch_polls_merged_total", labels);
  metrics.start("taskwatch_poll_duration_seconds", labels);
  metrics.start("taskwatch_poll_lag_seconds", labels);
  metrics.start("taskwatch_detection_delay_seconds", labels);
  metrics.start("taskwatch_baselines_total", labels);
  metrics.start("taskwatch_list_count_mismatches_total", labels);
  for (const operation of OPERATIONS) {
    for (const code of ["200", "error"]) {
      metrics.start("taskwatch_api_requests_total", { ...labels, operation, code });
    }
    metrics.start("taskwatch_api_request_duration_seconds", { ...labels, operation });
  }
  metrics.start("taskwatch_api_throttled_total", labels);
  metrics.start("taskwatch_api_budget_wait_seconds", labels);
  metrics.start("taskwatch_api_needed_requests_per_second", labels);
  metrics.start("taskwatch_api_budget_requests_per_second", labels, configured.requestsPerSecond);
  metrics.start("taskwatch_credentials_valid", labels, 1);
  metrics.start("taskwatch_project_watched", labels);
  metrics.start("taskwatch_task_names_capped", labels);
  if (configured.discoverySeconds === null) {
    metrics.clear("taskwatch_discovered_instances", labels);
    metrics.clear("taskwatch_discovery_last_success_timestamp_seconds", labels);
    metrics.clear("taskwatch_discovery_interval_seconds", labels);
  } else {
    metrics.start("taskwatch_discovered_instances", labels);
    metrics.set("taskwatch_discovery_interval_seconds", labels, configured.discoverySeconds);
  }
}

function presetWebhook(metrics: Metrics, webhook: string): void {
  metrics.start("taskwatch_webhook_attempts_total", { webhook });
  for (const reason of WEBHOOK_REASONS) {
    metrics.start("taskwatch_webhook_failures_total", { webhook, reason });
  }
  metrics.start("taskwatch_webhook_delivered_total", { webhook });
  metrics.start("taskwatch_webhook_dead_letters_total", { webhook });
  metrics.start("taskwatch_dead_letters", { webhook });
  metrics.start("taskwatch_webhook_pending", { webhook });
  metrics.start("taskwatch_webhook_disabled", { webhook });
  metrics.start("taskwatch_webhook_duration_seconds", { webhook });
}
