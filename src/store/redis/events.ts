import type { EventType } from "../../core/event.ts";
import type { StoredEvent } from "../../ports/store.ts";
import { MalformedText, parseList } from "../unreadable.ts";

/** What identifies an event within a shard. */
export const eventField = (taskId: string, eventId: string): string => JSON.stringify([taskId, eventId]);

/** The start that all fields of one task's events share. */
export const eventFieldsOf = (taskId: string): string => `[${JSON.stringify(taskId)},`;

export const encodeEvent = ({ id, type, time, body }: StoredEvent): string =>
  JSON.stringify([id, type, time, body]);

/** Throws where it cannot be read. Null for one that is not there. */
export function decodeEvent(text: string | null): StoredEvent {
  if (text === null) throw new MalformedText("it is not there");
  const [id, type, time, body] = parseList(text);
  if (typeof id !== "string" || typeof type !== "string" || typeof body !== "string")
    throw new MalformedText("id, type or body is not a text");
  if (typeof time !== "number") throw new MalformedText("time is not a number");
  return { id, type: type as EventType, time, body };
}
