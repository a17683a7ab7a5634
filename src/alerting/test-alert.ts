import type { WebhookConfig } from "../config/config.ts";
import type { EventProject } from "../core/event.ts";
import { type Attempt, exchange } from "../outbox/attempt.ts";
import { createSender } from "../outbox/deliver.ts";
import { webhookDispatcher } from "../outbox/dispatcher.ts";
import type { Clock } from "../ports/clock.ts";
import { apiAddress } from "./alertmanager-client.ts";

/** Long enough for any sensible `group_wait`, so that somebody is told. */
const LASTS_MS = 5 * 60_000;

/**
 * Posts an alert that is marked as a test, and ends by itself, to each address of a webhook of format alertmanager, as
 * any other alert is posted. In the order of `urls`.
 */
export async function postTest(
  webhook: WebhookConfig,
  project: Pick<EventProject, "name">,
  clock: Clock,
  version: string,
  signal: AbortSignal,
): Promise<readonly Attempt[]> {
  const sender = createSender(webhook, webhookDispatcher(webhook), clock, version);
  const now = clock.now();
  const alert = {
    labels: { alertname: "TaskwatchTest", severity: "info", project: project.name, webhook: webhook.name },
    annotations: {
      summary: `Test of webhook ${webhook.name}.`,
      description: "Nothing happened, nothing is to be done. This alert ends by itself within five minutes.",
    },
    startsAt: new Date(now).toISOString(),
    endsAt: new Date(now + LASTS_MS).toISOString(),
  };
  try {
    return await Promise.all(
      webhook.urls.map((url) =>
        exchange(
          sender,
          {
            method: "POST",
            url: apiAddress(url.reveal()),
            headers: { "content-type": "application/json" },
            body: JSON.stringify([alert]),
          },
          clock,
          signal,
        ),
      ),
    );
  } finally {
    await sender.close();
  }
}
