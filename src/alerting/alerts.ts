import type { WebhookConfig } from "../config/config.ts";
import { compileMatch } from "../config/match.ts";
import { taskUrl } from "../core/data.ts";
import type { EventProject, InstanceName } from "../core/event.ts";
import { humanDuration } from "../core/reason.ts";
import { type InstanceState, instanceKey, isMuted } from "../core/state.ts";
import { type Reading, read } from "../outbox/formats/reading.ts";
import type { StoredEvent } from "../ports/store.ts";
import { clean } from "../util/clean.ts";

/** One instance that is watched here, with what is known of it. */
export interface InstanceSnapshot {
  /** `instanceKey()` of project and instance. */
  readonly key: string;
  readonly shard: number;
  readonly project: Pick<EventProject, "name" | "region">;
  readonly instance: InstanceName;
  readonly state: Pick<InstanceState, "record" | "tasks">;
}

/** What lasts, as Alertmanager is told of it. The labels are its identity; no two of one instance have the same. */
export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** When it began: local time of the commit. */
  readonly startsAt: number;
  /** Where to look at it; null without an external URL. */
  readonly url: string | null;
}

/** The names, severities and summaries of the alert rules, and the event that each is the state of. */
const KINDS = {
  failed: {
    alertname: "DmsTaskFailed",
    severity: "warning",
    summary: "A background task of a message-queue instance failed.",
    event: "task.failed",
  },
  stuck: {
    alertname: "DmsTaskStuck",
    severity: "critical",
    summary: "A background task of a message-queue instance is stuck.",
    event: "task.stuck",
  },
  unreachable: {
    alertname: "DmsInstanceUnreachable",
    severity: "warning",
    summary: "The tasks of a message-queue instance cannot be listed.",
    event: "instance.unreachable",
  },
} as const;

const RUNBOOK = "https://github.com/dms-taskwatch/dms-taskwatch/blob/main/docs/runbook.md";
/** Of one label, in characters; nothing that the cloud sends comes near. */
const LABEL = 200;

type Kind = keyof typeof KINDS;

/** What one webhook is to be alerted of, by its `events` and `match`. */
export interface AlertMaker {
  /**
   * Open failures, stuck tasks, and that the instance cannot be reached. What begins in a maintenance window is not
   * there until the window ends. What was announced before it stays, also when a verdict changes in the window.
   */
  lasting(snapshot: InstanceSnapshot): readonly Alert[];
  /** What was over with an event; null for nothing. It begins with its end: when it did is not in the event. */
  overWith(event: StoredEvent): (Pick<InstanceSnapshot, "key"> & { readonly alert: Alert }) | null;
}

export function alertMaker(
  webhook: Pick<WebhookConfig, "events" | "match">,
  externalUrl: string,
): AlertMaker {
  const types: ReadonlySet<string> = new Set(webhook.events);
  const matches = compileMatch(webhook.match);
  const made = (kind: Kind, place: Place, task: Named | null, startsAt: number, description: string) => {
    const { project, instance } = place;
    const subject = { project: project.name, region: project.region, instance, task: task?.name ?? null };
    if (!types.has(KINDS[kind].event) || !matches(subject)) return [];
    return [alertOf(kind, place, task, startsAt, description, externalUrl)];
  };
  return {
    lasting(snapshot) {
      const { project, instance, state } = snapshot;
      const on = `instance ${instance.name} (${instance.id}) of project ${project.name}`;
      const alerts: Alert[] = [];
      for (const task of state.tasks.values()) {
        const { failedAt, verdict } = task;
        if ((failedAt === null && verdict === null) || isMuted(task)) continue;
        const what = `Task ${task.name} (${task.id}) on ${on}`;
        if (failedAt !== null) {
          const description = `${what} failed: no later task of that name succeeded and nobody acknowledged it.`;
          alerts.push(...made("failed", snapshot, task, failedAt, description));
        }
        if (verdict !== null && task.acknowledged === null) {
          const description = `${what} is stuck: ${verdict.kind}, over ${humanDuration(verdict.threshold.seconds)}.`;
          alerts.push(...made("stuck", snapshot, task, verdict.since, description));
        }
      }
      const { unreachable } = state.record;
      if (unreachable !== null && unreachable.muted === null) {
        const description = `Instance ${instance.name} (${instance.id}) of project ${project.name} could not be polled three times in a row and for two minutes: ${unreachable.cause}. Failed and stuck tasks on it are not seen.`;
        alerts.push(...made("unreachable", snapshot, null, unreachable.at, description));
      }
      return alerts;
    },
    overWith(event) {
      const reading = read(event);
      const { project, instance, task } = reading;
      const kind = endedBy(reading);
      if (kind === null || instance === null || (task === null && kind !== "unreachable")) return null;
      const about = kind === "unreachable" ? null : task;
      const [alert] = made(kind, { project, instance }, about, event.time, reading.reason);
      return alert === undefined ? null : { key: instanceKey(project.id, instance.id), alert };
    },
  };
}

/** What was never announced has no end to tell. A failure in a maintenance window ends an announced verdict all the same. */
function endedBy({ type, recoveredFrom, wasStuck, muted }: Reading): Kind | null {
  if (type === "task.failed") return wasStuck ? "stuck" : null;
  if (muted) return null;
  if (type === "task.recovered" && recoveredFrom === "failure") return "failed";
  if (type === "task.recovered" && recoveredFrom === "stuck") return "stuck";
  return type === "instance.reachable" || type === "instance.removed" ? "unreachable" : null;
}

interface Place {
  readonly project: InstanceSnapshot["project"];
  readonly instance: { readonly id: string; readonly name: string; readonly engine: string };
}

interface Named {
  readonly id: string;
  readonly name: string;
}

function alertOf(
  kind: Kind,
  { project, instance }: Place,
  task: Named | null,
  startsAt: number,
  description: string,
  externalUrl: string,
): Alert {
  const { alertname, severity, summary } = KINDS[kind];
  const labels = {
    alertname,
    severity,
    project: project.name,
    instance_id: instance.id,
    instance_name: instance.name,
    engine: instance.engine,
    ...(task === null ? {} : { task_name: task.name, task_id: task.id }),
  };
  const page = externalUrl === "" ? null : `${externalUrl}/`;
  return {
    labels: Object.fromEntries(
      Object.entries(labels).map(([name, value]) => [name, clean(value).slice(0, LABEL)]),
    ),
    annotations: {
      summary,
      description: clean(description),
      runbook_url: `${RUNBOOK}#${alertname.toLowerCase()}`,
    },
    startsAt,
    url: task === null ? page : taskUrl(externalUrl, task.id),
  };
}
