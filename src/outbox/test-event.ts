import type { WebhookConfig } from "../config/config.ts";
import { cloudEvent } from "../core/cloudevent.ts";
import { NOTHING } from "../core/data.ts";
import { type EventProject, eventId, type TaskwatchEvent } from "../core/event.ts";
import type { Clock } from "../ports/clock.ts";
import { type Attempt, attempt } from "./attempt.ts";
import { createSender } from "./deliver.ts";
import { webhookDispatcher } from "./dispatcher.ts";
import { formatOf } from "./formats/index.ts";

/**
 * An event that is marked as a test by its type and reason, and is about no instance and no task. Each has its
 * own id, so that a receiver that drops known ids shows every one.
 * @param now Epoch milliseconds.
 */
export function testEvent(webhook: string, project: EventProject, now: number): TaskwatchEvent {
  return {
    id: eventId(project.id, "", "", `test ${webhook} ${now}`, 1, 0),
    type: "test",
    time: now,
    webhooks: [webhook],
    data: {
      reason: `test of webhook ${webhook}: nothing happened, nothing is to be done`,
      project,
      instance: null,
      task: null,
      ...NOTHING,
    },
  };
}

/** One attempt to send a test event, with the same format, signature, connection and reading of the answer as any other. */
export async function sendTest(
  webhook: WebhookConfig,
  project: EventProject,
  clock: Clock,
  version: string,
  signal: AbortSignal,
): Promise<Attempt & { readonly eventId: string }> {
  const event = testEvent(webhook.name, project, clock.now());
  const format = formatOf(webhook);
  const sender = createSender(webhook, webhookDispatcher(webhook), clock, version);
  try {
    const events = [{ id: event.id, type: event.type, body: cloudEvent(event) }];
    return { eventId: event.id, ...(await attempt(format, sender, events, clock, signal)) };
  } finally {
    await sender.close();
  }
}
