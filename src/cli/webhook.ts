import { postTest } from "../alerting/test-alert.ts";
import type { Config, WebhookConfig } from "../config/config.ts";
import { secretsOf } from "../config/secrets-of.ts";
import type { EventProject } from "../core/event.ts";
import { UsageError } from "../errors.ts";
import type { Attempt } from "../outbox/attempt.ts";
import { enableWebhook } from "../outbox/disable-switch.ts";
import { sendTest } from "../outbox/test-event.ts";
import { systemClock } from "../platform/clock.ts";
import { nearest } from "../util/nearest.ts";
import { redactUrl } from "../util/redact-url.ts";
import { VERSION } from "../version.ts";
import { printable } from "../views/printable.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { withStore } from "./store.ts";
import { cut } from "./table.ts";

/** As much of a receiver's answer as tells what is wrong. */
const ANSWER_SHOWN = 500;

/** Sends a test event, or alert, as any other is sent, and shows the answer; of several addresses one is enough. */
export async function testWebhook(name: string, args: ConfigArgs, io: Io): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  const webhook = webhookOf(config, name);
  const [first] = config.projects;
  const project = { name: first?.name ?? "", id: first?.project_id ?? "", region: first?.region ?? "" };
  const { what, attempts } =
    webhook.format === "alertmanager"
      ? {
          what: "TaskwatchTest",
          attempts: await postTest(webhook, project, systemClock, VERSION, io.signal),
        }
      : await sentEvent(webhook, project, io.signal);
  for (const [index, attempt] of attempts.entries()) {
    io.out(`sent ${what} to ${webhook.name} at ${redactUrl(webhook.urls[index]?.reveal() ?? "")}`);
    tell(attempt, name, secretsOf(config), io);
  }
  return attempts.some(({ verdict }) => verdict.kind === "delivered") ? 0 : 1;
}

async function sentEvent(webhook: WebhookConfig, project: EventProject, signal: AbortSignal) {
  const { eventId: what, ...attempt } = await sendTest(webhook, project, systemClock, VERSION, signal);
  return { what, attempts: [attempt] };
}

function tell(
  { verdict, message, body, seconds }: Attempt,
  name: string,
  secrets: readonly string[],
  io: Io,
) {
  const delivered = verdict.kind === "delivered";
  io.out(`${delivered ? "delivered" : "not delivered"}: ${message} after ${seconds.toFixed(2)} s`);
  // What a receiver writes may repeat what it was sent.
  const text = cut(printable(hide(body.trim(), secrets)), ANSWER_SHOWN);
  if (text !== "") io.out(`answer: ${text}`);
  if (verdict.kind === "disable") {
    io.err(`the daemon disables a webhook that answers so; dms-taskwatch webhook enable ${name} lifts it`);
  }
}

/** Lifts a 410; the daemon goes on delivering. */
export async function liftWebhook(name: string, args: ConfigArgs, io: Io): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  webhookOf(config, name);
  const lifted = await withStore(config, ({ notes }) => enableWebhook(notes, name));
  io.out(lifted ? `${name} is enabled again` : `${name} was not disabled`);
  return 0;
}

/** The configured webhook of this name. Throws `UsageError` with the names that there are. */
export function webhookOf({ webhooks }: Config, name: string): WebhookConfig {
  const found = webhooks.find((webhook) => webhook.name === name);
  if (found) return found;
  const names = webhooks.map((webhook) => webhook.name);
  const meant = nearest(name, names);
  const hint =
    meant === undefined
      ? `; there ${names.length === 0 ? "is none" : `are ${names.join(", ")}`}`
      : `; did you mean ${meant}?`;
  throw new UsageError(`no webhook is named ${name}${hint}`);
}

const hide = (text: string, secrets: readonly string[]): string =>
  secrets.reduce((shown, secret) => shown.replaceAll(secret, "<secret>"), text);
