import type { Config, WebhookConfig } from "../config/config.ts";
import { secretsOf } from "../config/secrets-of.ts";
import { UsageError } from "../errors.ts";
import { enableWebhook } from "../outbox/disable-switch.ts";
import { sendTest } from "../outbox/test-event.ts";
import { systemClock } from "../platform/clock.ts";
import { nearest } from "../util/nearest.ts";
import { redactUrl } from "../util/redact-url.ts";
import { VERSION } from "../version.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { printable } from "./printable.ts";
import { withStore } from "./store.ts";
import { cut } from "./table.ts";

/** As much of a receiver's answer as tells what is wrong. */
const ANSWER_SHOWN = 500;

/** Sends a test event as any other event is sent, and shows the answer. */
export async function testWebhook(name: string, args: ConfigArgs, io: Io): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  const webhook = webhookOf(config, name);
  const [first] = config.projects;
  const project = { name: first?.name ?? "", id: first?.project_id ?? "", region: first?.region ?? "" };
  const { eventId, verdict, message, body, seconds } = await sendTest(
    webhook,
    project,
    systemClock,
    VERSION,
    io.signal,
  );
  io.out(
    `sent ${eventId} to ${webhook.name} at ${webhook.urls.map((url) => redactUrl(url.reveal())).join(", ")}`,
  );
  const delivered = verdict.kind === "delivered";
  io.out(`${delivered ? "delivered" : "not delivered"}: ${message} after ${seconds.toFixed(2)} s`);
  // What a receiver writes may repeat what it was sent.
  const text = cut(printable(hide(body.trim(), secretsOf(config))), ANSWER_SHOWN);
  if (text !== "") io.out(`answer: ${text}`);
  if (verdict.kind === "disable") {
    io.err(`the daemon disables a webhook that answers so; dms-taskwatch webhook enable ${name} lifts it`);
  }
  return delivered ? 0 : 1;
}

/** Lifts a 410; the daemon goes on delivering. */
export async function liftWebhook(name: string, args: ConfigArgs, io: Io): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  webhookOf(config, name);
  const lifted = await withStore(config, ({ notes }) => enableWebhook(notes, name));
  io.out(lifted ? `${name} is enabled again` : `${name} was not disabled`);
  return 0;
}

function webhookOf({ webhooks }: Config, name: string): WebhookConfig {
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
