import type { WebhookConfig } from "../config/config.ts";
import { compileMatch } from "../config/match.ts";
import { taskUrl } from "../core/data.ts";
import type { EventInstance, EventProject } from "../core/event.ts";
import { spell } from "../core/reason.ts";
import type { InstanceState, TaskState } from "../core/state.ts";
import { clean } from "../util/clean.ts";

/** One instance that is watched here, with what is known of it. */
export interface Sight {
  /** `instanceKey()` of project and instance. */
  readonly key: string;
  readonly shard: number;
  readonly project: Pick<EventProject, "name" | "region">;
  readonly instance: EventInstance;
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

/**
 * Everything on the instance that is to alert one webhook: open failures, stuck tasks, and that it cannot be reached,
 * by the webhook's `events` and `match`. What maintenance holds back is not there until its window ends.
 */
export function alertsFor(
  webhook: Pick<WebhookConfig, "events" | "match">,
  externalUrl: string,
): (sight: Sight) => readonly Alert[] {
  const types: ReadonlySet<string> = new Set(webhook.events);
  const matches = compileMatch(webhook.match);
  return (sight) => {
    const { project, instance, state } = sight;
    const alerts: Alert[] = [];
    const add = (kind: keyof typeof KINDS, task: TaskState | null, startsAt: number, description: string) => {
      const subject = { ...own, instance, task: task?.name ?? null };
      if (!types.has(KINDS[kind].event) || !matches(subject)) return;
      alerts.push(alertOf(kind, sight, task, startsAt, description, externalUrl));
    };
    const own = { project: project.name, region: project.region };
    const place = `instance ${instance.name} (${instance.id}) of project ${project.name}`;
    for (const task of state.tasks.values()) {
      const { failedAt, verdict } = task;
      if (task.muted !== null) continue;
      const what = `Task ${task.name} (${task.id}) on ${place}`;
      if (failedAt !== null)
        add(
          "failed",
          task,
          failedAt,
          `${what} failed: no later task of that name succeeded and nobody acknowledged it.`,
        );
      if (verdict !== null && task.acknowledged === null)
        add(
          "stuck",
          task,
          verdict.since,
          `${what} is stuck: ${verdict.kind}, over ${spell(verdict.threshold.seconds)}.`,
        );
    }
    const { unreachable } = state.record;
    if (unreachable !== null && unreachable.muted === null)
      add(
        "unreachable",
        null,
        unreachable.at,
        `Instance ${instance.name} (${instance.id}) of project ${project.name} could not be polled three times in a row and for two minutes: ${unreachable.cause}. Failed and stuck tasks on it are not seen.`,
      );
    return alerts;
  };
}

function alertOf(
  kind: keyof typeof KINDS,
  { project, instance }: Sight,
  task: TaskState | null,
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
