import type { EventType } from "../../core/event.ts";
import type { StoredEvent } from "../../ports/store.ts";

/** What identifies an event within a shard. */
export const eventField = (taskId: string, eventId: string): string => JSON.stringify([taskId, eventId]);

/** The start that all fields of one task's events share. */
export const eventFieldsOf = (taskId: string): string => `[${JSON.stringify(taskId)},`;

export const encodeEvent = ({ id, type, time, body }: StoredEvent): string =>
  JSON.stringify([id, type, time, body]);

export function decodeEvent(text: string): StoredEvent {
  const [id, type, time, body] = JSON.parse(text) as [string, EventType, number, string];
  return { id, type, time, body };
}
