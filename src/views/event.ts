import type { PrivacyConfig } from "../config/config.ts";
import { iso, NOTHING } from "../core/data.ts";
import type { EventData, EventType } from "../core/event.ts";
import { isHidden, shownTaskFields } from "../core/task-fields.ts";
import { privacyOf } from "./task.ts";

/** A stored event as the HTTP API and the page show it: the CloudEvent, its type without the prefix. Public interface. */
export interface EventJson {
  readonly id: string;
  readonly type: EventType;
  readonly time: string | null;
  readonly source: string;
  /** The task's id; null where the event is about no task. */
  readonly subject: string | null;
  readonly data: EventData;
}

interface Stored {
  readonly id: string;
  readonly type: EventType;
  readonly time: number;
  readonly body: string;
}

/**
 * What was told when privacy ruled less strictly is hidden now. What was never told cannot be shown. An event that an
 * earlier version stored lacks the newer keys: they are null.
 */
export function eventJson({ id, type, time, body }: Stored, privacy: PrivacyConfig): EventJson {
  const { source, subject = null, data } = JSON.parse(body) as EventJson;
  const settings = privacyOf(privacy);
  const instance = data.instance && { ...data.instance, status: data.instance.status ?? null };
  const task = data.task && {
    ...data.task,
    ...shownTaskFields((field) => (isHidden(field, settings) ? null : (data.task?.[field.key] ?? null))),
  };
  return { id, type, time: iso(time), source, subject, data: { ...NOTHING, ...data, instance, task } };
}
