/** Where the values of a family live; its HELP says so too. */
type MetricSource =
  /** Kept in the store: survives restarts. Exposed by the owner of the shard only, unless HELP says every replica. */
  | "store"
  /** Belongs to this process: counters and histograms start at 0 with it. */
  | "process";

export interface MetricSpec {
  readonly name: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
  /** Upper bounds of a histogram, without +Inf. */
  readonly buckets?: readonly number[];
  readonly source: MetricSource;
}

const OWNER = "From the store, survives restarts, exposed by the shard's owner only; as of the last poll.";
const REPLICAS = "From the store, survives restarts, the same on every replica; as of the last poll.";
const OWNED = "From the store, survives restarts, for the shards of this process; as of the last look.";
const COUNTED = "Counted by this process from 0; as of the last poll.";
const STATE = "Of this process; as of the last poll.";

const SHORT = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * Every family of `/metrics` but the process and Node.js defaults. Public interface: alert rules, dashboards and
 * documentation are compared with it. A family with the label `instance_id` is written from memory at each scrape
 * (`instance-series.ts`), all others are kept in the registry (`metrics.ts`).
 */
export const CATALOG = [
  {
    name: "dms_instance_info",
    type: "gauge",
    labels: ["project", "instance_id", "instance_name", "engine", "cloud_region"],
    help: `Always 1; names the watched instance, and stays for 15 minutes after it was removed. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_instance_up",
    type: "gauge",
    labels: ["project", "instance_id", "instance_name"],
    help: `1 after a complete listing, 0 after a failed poll and while the project's calls are stopped. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_instance_reachable",
    type: "gauge",
    labels: ["project", "instance_id", "instance_name"],
    help: `0 from the event instance.unreachable to instance.reachable, else 1. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_instance_maintenance",
    type: "gauge",
    labels: ["project", "instance_id"],
    help: `1 while a maintenance window mutes the instance. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_instance_last_poll_timestamp_seconds",
    type: "gauge",
    labels: ["project", "instance_id"],
    help: `When the last poll ended, or the takeover if none ended since. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_instance_last_success_timestamp_seconds",
    type: "gauge",
    labels: ["project", "instance_id"],
    help: `When the last complete listing was read. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_instance_poll_interval_seconds",
    type: "gauge",
    labels: ["project", "instance_id"],
    help: `Interval of the poll schedule in force. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_tasks_open",
    type: "gauge",
    labels: ["project", "instance_id", "task_name", "status"],
    help: `Tasks in a status that is not final; 0 for 15 minutes after the last one. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_tasks_stuck",
    type: "gauge",
    labels: ["project", "instance_id", "instance_name", "task_name", "verdict"],
    help: `Tasks judged stuck, neither acknowledged nor muted by maintenance; 0 for 15 minutes after the last one. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_task_failures_open",
    type: "gauge",
    labels: ["project", "instance_id", "instance_name", "task_name"],
    help: `Failed tasks that are not resolved yet and not muted by maintenance; 0 for 15 minutes after the last one. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_tasks_muted",
    type: "gauge",
    labels: ["project", "instance_id", "instance_name", "task_name", "condition"],
    help: `Tasks whose failure or verdict maintenance holds back; 0 for 15 minutes after the last one. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_task_progress_ratio",
    type: "gauge",
    labels: ["project", "instance_id", "task_name"],
    help: `Progress of the least advanced open task, 0 to 1, where the cloud is asked for it. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_scheduled_tasks",
    type: "gauge",
    labels: ["project", "instance_id", "task_name"],
    help: `Tasks that are scheduled for later, where scheduled tasks are watched. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_scheduled_task_next_start_timestamp_seconds",
    type: "gauge",
    labels: ["project", "instance_id", "task_name"],
    help: `Planned start of the next scheduled task, where scheduled tasks are watched. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_task_oldest_open_timestamp_seconds",
    type: "gauge",
    labels: ["project", "instance_id", "task_name"],
    help: `When the oldest open task was created, by the cloud's clock. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_task_last_failure_timestamp_seconds",
    type: "gauge",
    labels: ["project", "instance_id", "task_name"],
    help: `Last update of the last task that ended FAILED, by the cloud's clock. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_task_last_success_timestamp_seconds",
    type: "gauge",
    labels: ["project", "instance_id", "task_name"],
    help: `Last update of the last task that ended SUCCESS, by the cloud's clock. ${OWNER}`,
    source: "store",
  },
  {
    name: "dms_task_transitions_total",
    type: "counter",
    labels: ["project", "task_name", "status"],
    help: `Status changes of tasks, by the status entered. ${COUNTED}`,
    source: "process",
  },
  {
    name: "dms_task_failures_total",
    type: "counter",
    labels: ["project", "instance_id"],
    help: `Tasks that turned FAILED; for every instance of this process's shards. ${COUNTED}`,
    source: "process",
  },
  {
    name: "dms_task_duration_seconds",
    type: "histogram",
    labels: ["project", "task_name", "status"],
    help: `From creation to the last update of tasks that ended, by the cloud's clock. ${COUNTED}`,
    buckets: [1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400],
    source: "process",
  },
  {
    name: "dms_task_stuck_threshold_seconds",
    type: "gauge",
    labels: ["project", "task_name", "verdict", "source"],
    help: `Age from which a task is judged stuck, project-wide, and where that limit comes from. ${REPLICAS}`,
    source: "store",
  },
  {
    name: "taskwatch_build_info",
    type: "gauge",
    labels: ["version", "revision", "node_version"],
    help: "Always 1; names the version that runs. Of this process.",
    source: "process",
  },
  {
    name: "taskwatch_instances",
    type: "gauge",
    labels: ["project"],
    help: `Instances that this process polls. ${STATE}`,
    source: "process",
  },
  {
    name: "taskwatch_polls_total",
    type: "counter",
    labels: ["project"],
    help: `Polls that ended, failed ones among them. ${COUNTED}`,
    source: "process",
  },
  {
    name: "taskwatch_poll_failures_total",
    type: "counter",
    labels: ["project", "reason"],
    help: `Polls that did not give a complete listing, by the reason. ${COUNTED}`,
    source: "process",
  },
  {
    name: "taskwatch_polls_merged_total",
    type: "counter",
    labels: ["project"],
    help: `Polls that fell due while one of the same instance was due or running, and became one with it. ${COUNTED}`,
    source: "process",
  },
  {
    name: "taskwatch_poll_duration_seconds",
    type: "histogram",
    labels: ["project"],
    help: `Duration of polls, from start to commit. ${COUNTED}`,
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    source: "process",
  },
  {
    name: "taskwatch_poll_lag_seconds",
    type: "histogram",
    labels: ["project"],
    help: `Start of a poll after its due time. ${COUNTED}`,
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900],
    source: "process",
  },
  {
    name: "taskwatch_detection_delay_seconds",
    type: "histogram",
    labels: ["project"],
    help: `Commit of a transition after the task's last update by the cloud's clock. ${COUNTED}`,
    buckets: [1, 2.5, 5, 10, 15, 30, 60, 120, 300, 900, 3600, 21600, 86400],
    source: "process",
  },
  {
    name: "taskwatch_baselines_total",
    type: "counter",
    labels: ["project"],
    help: `Instances whose first complete listing was recorded without alerts on what had ended. ${COUNTED}`,
    source: "process",
  },
  {
    name: "taskwatch_list_count_mismatches_total",
    type: "counter",
    labels: ["project"],
    help: `Complete listings whose task_count said more than they held. ${COUNTED}`,
    source: "process",
  },
  {
    name: "taskwatch_api_requests_total",
    type: "counter",
    labels: ["project", "operation", "code"],
    help: `Calls to the cloud's API, by HTTP status, or error without an answer. ${COUNTED}`,
    source: "process",
  },
  {
    name: "taskwatch_api_request_duration_seconds",
    type: "histogram",
    labels: ["project", "operation"],
    help: `Duration of calls to the cloud's API. ${COUNTED}`,
    buckets: SHORT,
    source: "process",
  },
  {
    name: "taskwatch_api_throttled_total",
    type: "counter",
    labels: ["project"],
    help: `Calls that the cloud refused because there were too many. ${COUNTED}`,
    source: "process",
  },
  {
    name: "taskwatch_api_budget_wait_seconds",
    type: "histogram",
    labels: ["project"],
    help: `Wait of calls for the project's budget of requests per second. ${COUNTED}`,
    buckets: [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    source: "process",
  },
  {
    name: "taskwatch_api_needed_requests_per_second",
    type: "gauge",
    labels: ["project"],
    help: `Calls per second that the schedules of this process's instances need. ${STATE}`,
    source: "process",
  },
  {
    name: "taskwatch_api_budget_requests_per_second",
    type: "gauge",
    labels: ["project"],
    help: `Calls per second that the project may make at present, over all replicas. ${STATE}`,
    source: "process",
  },
  {
    name: "taskwatch_credentials_valid",
    type: "gauge",
    labels: ["project"],
    help: `0 while the cloud refuses the project's credentials and its calls are stopped, else 1. ${REPLICAS}`,
    source: "store",
  },
  {
    name: "taskwatch_project_watched",
    type: "gauge",
    labels: ["project"],
    help: `1 once the project's id is known and, with discovery, its instances were listed at some time, else 0. ${REPLICAS}`,
    source: "store",
  },
  {
    name: "taskwatch_discovered_instances",
    type: "gauge",
    labels: ["project"],
    help: `Instances that discovery knows and its filters let through, before sharing them out. ${REPLICAS}`,
    source: "store",
  },
  {
    name: "taskwatch_discovery_last_success_timestamp_seconds",
    type: "gauge",
    labels: ["project"],
    help: `When discovery last succeeded. ${REPLICAS}`,
    source: "store",
  },
  {
    name: "taskwatch_discovery_interval_seconds",
    type: "gauge",
    labels: ["project"],
    help: "Configured interval of discovery. Of this process, the same on every replica.",
    source: "process",
  },
  {
    name: "taskwatch_events_total",
    type: "counter",
    labels: ["type"],
    help: `Events committed, by type. ${COUNTED}`,
    source: "process",
  },
  {
    name: "taskwatch_webhook_attempts_total",
    type: "counter",
    labels: ["webhook"],
    help: "Requests made to the webhook, failed ones among them. Counted by this process from 0.",
    source: "process",
  },
  {
    name: "taskwatch_webhook_failures_total",
    type: "counter",
    labels: ["webhook", "reason"],
    help: "Requests to the webhook that were not answered with success, by the reason. Counted by this process from 0.",
    source: "process",
  },
  {
    name: "taskwatch_webhook_delivered_total",
    type: "counter",
    labels: ["webhook"],
    help: "Events that the webhook accepted. Counted by this process from 0.",
    source: "process",
  },
  {
    name: "taskwatch_webhook_dead_letters_total",
    type: "counter",
    labels: ["webhook"],
    help: "Events given up for the webhook: refused for good, or the time for retries ran out. Counted by this process from 0.",
    source: "process",
  },
  {
    name: "taskwatch_dead_letters",
    type: "gauge",
    labels: ["webhook"],
    help: `Dead letters kept for the webhook, to list, replay or drop. ${OWNED}`,
    source: "store",
  },
  {
    name: "taskwatch_webhook_pending",
    type: "gauge",
    labels: ["webhook"],
    help: `Events that wait for delivery to the webhook; with format alertmanager, changes that no Alertmanager has taken. ${OWNED}`,
    source: "store",
  },
  {
    name: "taskwatch_webhook_oldest_pending_timestamp_seconds",
    type: "gauge",
    labels: ["webhook"],
    help: `Since when the oldest of what taskwatch_webhook_pending counts waits; absent when nothing does. ${OWNED}`,
    source: "store",
  },
  {
    name: "taskwatch_webhook_disabled",
    type: "gauge",
    labels: ["webhook"],
    help: `1 after the webhook answered 410, until it is enabled by command or changed in the configuration. ${REPLICAS}`,
    source: "store",
  },
  {
    name: "taskwatch_webhook_duration_seconds",
    type: "histogram",
    labels: ["webhook"],
    help: "Duration of requests to the webhook. Counted by this process from 0.",
    buckets: SHORT,
    source: "process",
  },
  {
    name: "taskwatch_store_up",
    type: "gauge",
    labels: [],
    help: "1 while the store answers. Of this process.",
    source: "process",
  },
  {
    name: "taskwatch_store_operation_duration_seconds",
    type: "histogram",
    labels: ["operation"],
    help: "Duration of operations on the store. Counted by this process from 0.",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    source: "process",
  },
  {
    name: "taskwatch_shards_owned",
    type: "gauge",
    labels: [],
    help: "Shards whose lease this process holds. Of this process.",
    source: "process",
  },
  {
    name: "taskwatch_shards",
    type: "gauge",
    labels: [],
    help: "Shards that there are. Of this process, the same on every replica.",
    source: "process",
  },
  {
    name: "taskwatch_unreadable_records",
    type: "gauge",
    labels: [],
    help: `Records of the store that cannot be read and were set aside. ${OWNED}`,
    source: "store",
  },
  {
    name: "taskwatch_lease_lost_total",
    type: "counter",
    labels: [],
    help: "Leases that ran out or were taken before they were given back. Counted by this process from 0.",
    source: "process",
  },
  {
    name: "taskwatch_task_names_capped",
    type: "gauge",
    labels: ["project"],
    help: "1 once the project had more than 200 task names and further ones are counted as other. Of this process.",
    source: "process",
  },
  {
    name: "taskwatch_config_last_reload_successful",
    type: "gauge",
    labels: [],
    help: "1 after a good start or reload, 0 after a reload that was refused. Of this process.",
    source: "process",
  },
  {
    name: "taskwatch_config_last_reload_success_timestamp_seconds",
    type: "gauge",
    labels: [],
    help: "When the configuration in force was loaded. Of this process.",
    source: "process",
  },
  {
    name: "taskwatch_config_hash",
    type: "gauge",
    labels: [],
    help: "Hash of the configuration in force; replicas should agree. Of this process.",
    source: "process",
  },
  {
    name: "taskwatch_http_refused_requests_total",
    type: "counter",
    labels: ["reason"],
    help: "HTTP requests refused for safety: from another origin, or a failed login. Counted by this process from 0.",
    source: "process",
  },
] as const satisfies readonly MetricSpec[];

export type MetricName = (typeof CATALOG)[number]["name"];

/** The same, for readers that treat all entries alike. */
export const metricSpecs: readonly MetricSpec[] = [...CATALOG];

/** Families of prom-client whose names `promtool check metrics` refuses. */
export const LEFT_OUT_DEFAULTS = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
  "nodejs_eventloop_utilization_histogram",
  "nodejs_eventloop_utilization_summary",
] as const;
