import type { WebhookConfig } from "../../config/config.ts";
import { UsageError } from "../../errors.ts";
import type { Format } from "../format.ts";
import { cloudevents } from "./cloudevents.ts";
import { dingtalk } from "./dingtalk.ts";
import { feishu } from "./feishu.ts";
import { pagerduty } from "./pagerduty.ts";
import { slack } from "./slack.ts";
import { teams } from "./teams.ts";
import { template } from "./template.ts";
import { wecom } from "./wecom.ts";

const FORMATS: Readonly<
  Record<Exclude<WebhookConfig["format"], "alertmanager">, (webhook: WebhookConfig) => Format>
> = { cloudevents, slack, teams, pagerduty, feishu, dingtalk, wecom, template };

/**
 * The format that a webhook is configured with. Throws `UsageError` for `alertmanager`, which takes no events.
 */
export function formatOf(webhook: WebhookConfig): Format {
  if (webhook.format === "alertmanager")
    throw new UsageError(`webhook ${webhook.name}: format alertmanager takes state, not events`);
  return FORMATS[webhook.format](webhook);
}
