import type { EventData, EventInstance, EventProject, EventTask } from "./event.ts";
import type { Rules } from "./rules.ts";
import type { TaskState } from "./state.ts";
import { isFinal, type ObservedTask } from "./task.ts";
import { isHidden, type Privacy, shownTaskFields } from "./task-fields.ts";

/** Last millisecond of the year 9999: what comes later has no RFC 3339 form. */
const LAST_ISO = 253_402_300_799_999;

/** RFC 3339 in UTC; null for a time that is missing or has no such form. */
export function iso(ms: number | null): string | null {
  if (ms === null || !(ms >= 0 && ms <= LAST_ISO)) return null;
  return new Date(ms).toISOString();
}

/**
 * Seconds from creation to the last update of a task that ended, the age of one that is open. Null where a date
 * is missing or the result is negative.
 */
export function durationSeconds(
  task: Pick<TaskState, "status" | "createdAt" | "updatedAt">,
  cloudNow: number,
): number | null {
  if (task.createdAt === null) return null;
  const end = isFinal(task.status) ? task.updatedAt : cloudNow;
  if (end === null || end < task.createdAt) return null;
  return (end - task.createdAt) / 1000;
}

/** What an event adds to the facts about its task, instance or project. */
export type EventDetail = Partial<
  Omit<EventData, "project" | "instance" | "task" | "sequence" | "reason">
> & {
  readonly reason: string;
};

/** What an event tells beside its reason and its subject, where it tells nothing of it. In the order of the documented example. */
export const NOTHING = {
  previous_status: null,
  sequence: null,
  duration_seconds: null,
  verdict: null,
  previous_verdict: null,
  threshold: null,
  was_stuck: false,
  recovered_from: null,
  resolution: null,
  resolved_by: null,
  progress_ratio: null,
  cause: null,
  error_code: null,
  request_id: null,
  since: null,
  muted: false,
  muted_until: null,
  silence: null,
  diagnosis: null,
  url: null,
} as const;

/** Every key in the order of the documented example, because a body is read by people too. */
function complete(
  subject: {
    readonly project: EventProject;
    readonly instance: EventInstance | null;
    readonly task: EventTask | null;
  },
  detail: EventDetail & { readonly sequence?: number },
): EventData {
  const { reason, ...rest } = detail;
  return { reason, ...subject, ...NOTHING, ...rest };
}

const projectOf = ({ project }: Pick<Rules, "project">): EventProject => ({
  name: project.name,
  id: project.id,
  region: project.region,
});

const instanceOf = ({ instance }: Rules): EventInstance => ({
  id: instance.id,
  name: instance.name,
  engine: instance.engine,
  status: null,
});

/** The task as events, the log and the API may show it: privacy applied. */
export function visibleTask(task: ObservedTask, privacy: Privacy): EventTask {
  const { id, name, status } = task;
  const shown = shownTaskFields((field) => {
    const value = isHidden(field, privacy) ? null : task[field.name];
    return typeof value === "number" ? iso(value) : value;
  });
  return { id, name, status, ...shown };
}

/** Link to the task on the status page, null without an external URL. */
export const taskUrl = (externalUrl: string, taskId: string): string | null =>
  externalUrl === "" ? null : `${externalUrl}/#/tasks/${encodeURIComponent(taskId.toWellFormed())}`;

export function taskData(
  rules: Rules,
  task: TaskState,
  sequence: number,
  cloudNow: number,
  detail: EventDetail,
): EventData {
  return complete(
    { project: projectOf(rules), instance: instanceOf(rules), task: visibleTask(task, rules.privacy) },
    {
      sequence,
      duration_seconds: durationSeconds(task, cloudNow),
      progress_ratio: task.progress?.ratio ?? null,
      url: taskUrl(rules.externalUrl, task.id),
      ...detail,
    },
  );
}

export function instanceData(rules: Rules, detail: EventDetail): EventData {
  return complete(
    { project: projectOf(rules), instance: instanceOf(rules), task: null },
    { url: rules.externalUrl === "" ? null : `${rules.externalUrl}/`, ...detail },
  );
}

export function projectData(rules: Pick<Rules, "project" | "externalUrl">, detail: EventDetail): EventData {
  return complete(
    { project: projectOf(rules), instance: null, task: null },
    { url: rules.externalUrl === "" ? null : `${rules.externalUrl}/`, ...detail },
  );
}
