import type { TaskwatchEvent } from "./event.ts";

/**
 * The event as a CloudEvent 1.0 in JSON, in the one form in which it is stored, signed, sent and replayed. The
 * keys stand in the documented order. `subject` is the task's id; events about no task have none.
 */
export function cloudEvent(event: TaskwatchEvent): string {
  const { data } = event;
  const source =
    data.instance === null
      ? `/projects/${segment(data.project.id)}`
      : instanceSource(data.project.id, data.instance.id);
  return JSON.stringify({
    specversion: "1.0",
    id: event.id,
    source,
    type: `taskwatch.${event.type}`,
    ...(data.task === null ? {} : { subject: data.task.id }),
    time: new Date(event.time).toISOString(),
    datacontenttype: "application/json",
    data,
  });
}

/** `source` of the events of an instance and its tasks. */
export const instanceSource = (projectId: string, instanceId: string): string =>
  `/projects/${segment(projectId)}/instances/${segment(instanceId)}`;

const segment = (text: string): string => encodeURIComponent(text.toWellFormed());
