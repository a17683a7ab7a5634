import type { Fact } from "../../src/core/decision.ts";
import type { EventType } from "../../src/core/event.ts";
import { Exposition } from "../../src/observe/exposition.ts";
import { createLog } from "../../src/observe/logger.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import { type Build, type Configured, preset } from "../../src/observe/preset.ts";
import { createRecorder } from "../../src/observe/record.ts";
import type { Format } from "../../src/observe/text-format.ts";
import type { InstanceView } from "../../src/observe/view.ts";
import type { RuntimeEvent } from "../../src/ports/telemetry.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { record, T0, task, view } from "./views.ts";

export const BUILD: Build = { version: "0.1.0", revision: "abc1234", nodeVersion: "v24.21.0" };
export const CONFIGURED: Configured = {
  projects: [{ name: "prod", requestsPerSecond: 5, discoverySeconds: 300 }],
  webhooks: ["ops"],
  shards: 16,
};

/** Metrics, recorder and exposition as the program wires them, over instances that the test gives. */
export function scene(configured: Configured = CONFIGURED) {
  const clock = new ManualClock(T0);
  const metrics = new Metrics();
  preset(metrics, configured, BUILD);
  const lines: string[] = [];
  const log = createLog("debug", { write: (line) => void lines.push(line) });
  const recorder = createRecorder(metrics, log);
  const shown: { instances: readonly InstanceView[] } = { instances: [] };
  const exposition = new Exposition({
    metrics,
    instances: () => shown.instances,
    keepEndsMs: () => 7 * 86_400_000,
    clock,
  });
  return {
    clock,
    metrics,
    log,
    recorder,
    exposition,
    show: (...instances: readonly InstanceView[]): void => {
      shown.instances = instances;
    },
    lines: (): readonly Record<string, unknown>[] =>
      lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    text: async (format: Format = "text"): Promise<string> =>
      Buffer.concat([...(await exposition.render(format))]).toString("utf8"),
  };
}

/** Sample lines of one family, in any order. */
export const samplesOf = (text: string, name: string): readonly string[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .sort();

const INSTANCE = { project: "prod", instanceId: "6ec6", instanceName: "orders" };

export const transition = (over: Partial<Extract<Fact, { kind: "transition" }>> = {}): Fact => ({
  kind: "transition",
  taskId: "8abf",
  taskName: "modifyAutoTopic",
  from: "EXECUTING",
  status: "FAILED",
  reason: "status EXECUTING -> FAILED",
  delaySeconds: 2.5,
  durationSeconds: 312.4,
  ...over,
});

export const factOf = (fact: Fact): RuntimeEvent => ({ kind: "fact", ...INSTANCE, fact });

/** One of every kind of event. */
export const EVERY_EVENT: readonly RuntimeEvent[] = [
  {
    kind: "poll.finished",
    ...INSTANCE,
    seconds: 0.2,
    lagSeconds: 0.01,
    complete: true,
    cause: null,
    error: null,
    calls: 1,
    countedMore: true,
  },
  {
    kind: "poll.finished",
    ...INSTANCE,
    seconds: 10,
    lagSeconds: 0.01,
    complete: false,
    cause: "timeout",
    error: null,
    calls: 1,
    countedMore: false,
  },
  { kind: "poll.merged", ...INSTANCE },
  { kind: "ask.failed", ...INSTANCE, operation: "show_task", error: new Error("no answer") },
  { kind: "ask.answered", ...INSTANCE, operation: "show_task" },
  { kind: "credentials.untried", project: "prod" },
  { kind: "instances.leaving", names: ["orders"], graceSeconds: 600 },
  {
    kind: "records.unreadable",
    records: [{ shard: 1, kind: "task", key: "p1/i1", at: null, why: "no JSON" }],
    at: T0,
  },
  { kind: "shard.failed", shard: 1, error: new Error("no answer"), at: T0 },
  factOf(transition()),
  factOf({ kind: "verdict", taskId: "t", taskName: "n", verdict: "running_too_long", reason: "too long" }),
  factOf({ kind: "recovered", taskId: "t", taskName: "n", resolution: "ended", reason: "ended" }),
  factOf({ kind: "baseline", tasks: 3, open: 1 }),
  factOf({ kind: "unknown_status", taskId: "t", status: "PAUSED" }),
  factOf({ kind: "malformed", taskId: null, problem: "no id" }),
  factOf({ kind: "outage", from: T0 - 40 * 86_400_000, to: T0 }),
  factOf({ kind: "stale_sighting", taskId: "t", reason: "updated earlier" }),
  factOf({ kind: "too_many_open", cap: 5000 }),
  { kind: "event.committed", type: "task.failed" satisfies EventType, id: "evt_1" },
  { kind: "project.load", project: "prod", instances: 1, neededPerSecond: 0.5 },
  {
    kind: "thresholds.known",
    project: "prod",
    thresholds: [
      { taskName: "restartInstance", verdict: "running_too_long", source: "by_task", seconds: 1200 },
    ],
  },
  { kind: "api.request", project: "prod", operation: "list_tasks", code: 200, seconds: 0.1 },
  { kind: "api.request", project: "prod", operation: "list_tasks", code: "error", seconds: 10 },
  { kind: "api.throttled", project: "prod" },
  { kind: "api.budget_wait", project: "prod", seconds: 0.2 },
  { kind: "api.budget", project: "prod", perSecond: 2.5, configuredPerSecond: 5 },
  { kind: "credentials.refused", project: "prod", error: new Error("401"), retryAt: T0 + 300_000 },
  { kind: "credentials.accepted", project: "prod" },
  {
    kind: "discovery.finished",
    project: "prod",
    seconds: 0.4,
    found: 3,
    added: ["orders"],
    missing: [],
  },
  { kind: "discovery.failed", project: "prod", known: true, error: new Error("500") },
  {
    kind: "project.watch",
    project: "prod",
    at: T0,
    unwatched: null,
    unconfirmed: null,
    discovered: { found: 3, listedAt: T0 },
  },
  { kind: "instance.down", ...INSTANCE, cause: "timeout", error: new Error("slow"), failedPolls: 3 },
  { kind: "instance.up", ...INSTANCE, downSeconds: 180 },
  { kind: "instance.removed", ...INSTANCE, reason: "answered 404 on two polls" },
  { kind: "project.down", project: "prod", cause: "timeout", instances: 12 },
  { kind: "project.up", project: "prod", downSeconds: 60 },
  { kind: "maintenance.opened", window: "maintenance[0]", until: T0 + 3_600_000 },
  { kind: "maintenance.closed", window: "maintenance[0]" },
  {
    kind: "outbox",
    fact: {
      kind: "attempt",
      webhook: "ops",
      outcome: "retry",
      reason: "server_error",
      status: 503,
      message: "HTTP 503",
      seconds: 0.3,
      attempt: 1,
      eventId: "evt_1",
      events: 1,
    },
  },
  {
    kind: "outbox",
    fact: {
      kind: "delivered",
      webhook: "ops",
      eventId: "evt_1",
      type: "task.failed",
      attempts: 2,
      seconds: 1,
    },
  },
  {
    kind: "outbox",
    fact: {
      kind: "dead",
      webhook: "ops",
      eventId: "evt_2",
      type: "task.failed",
      attempts: 1,
      reason: "HTTP 400",
    },
  },
  { kind: "outbox", fact: { kind: "disabled", webhook: "ops" } },
  { kind: "outbox", fact: { kind: "enabled", webhook: "ops" } },
  { kind: "outbox", fact: { kind: "breaker_opened", webhook: "ops", reason: "network" } },
  { kind: "outbox", fact: { kind: "breaker_closed", webhook: "ops" } },
  {
    kind: "outbox",
    fact: { kind: "store_failed", webhook: "ops", operation: "claim", message: "no answer" },
  },
  { kind: "outbox.counts", webhook: "ops", configured: true, pending: 2, oldestAt: T0 - 5000, dead: 1 },
  { kind: "store.operation", operation: "commit", seconds: 0.002 },
  { kind: "store.down", error: new Error("no answer") },
  { kind: "store.up", downSeconds: 4 },
  { kind: "store.forgot", shard: 3 },
  { kind: "lease.acquired", shard: 3, fence: 7 },
  { kind: "lease.lost", shard: 3 },
  { kind: "lease.released", shard: 3 },
  { kind: "leases.held", owned: 15, shards: 16, replicas: 1 },
  { kind: "config.loaded", at: T0, hash: 123456789, reload: true, changed: ["poll.schedule"] },
  { kind: "reload.failed", error: new Error("poll.schedule: not a schedule") },
  { kind: "http.refused", at: T0, reason: "wrong_credentials", client: "10.0.0.66" },
  { kind: "acknowledged", by: "ana", tasks: ["8abf"], reason: "known" },
];

/** An instance that shows something in every family. */
export const fullView = (over: Partial<InstanceView> = {}): InstanceView =>
  view({
    record: record({
      ended: [{ name: "modifyAutoTopic", successAt: T0 - 4_000_000, failureAt: T0 - 5_000_000 }],
    }),
    tasks: [
      task({ progress: { ratio: 0.25, since: T0 } }),
      task({ id: "b", verdict: stuckVerdict() }),
      task({
        id: "m",
        verdict: stuckVerdict(),
        muted: { eventId: "e", sequence: 2, until: T0, announced: null },
      }),
      task({ id: "c", status: "FAILED", failedAt: T0 - 1000 }),
    ],
    failures: 1,
    scheduled: [
      { id: "s1", name: "upgrade", status: "PENDING", scheduleAt: T0 + 7_200_000, createdAt: T0 },
      { id: "s2", name: "upgrade", status: "PENDING", scheduleAt: T0 + 3_600_000, createdAt: T0 },
    ],
    ...over,
  });

export const stuckVerdict = (): NonNullable<ReturnType<typeof task>["verdict"]> => ({
  kind: "running_too_long",
  since: T0,
  threshold: { seconds: 3600, source: "running_after", samples: 0 },
  announcedAt: T0,
});
