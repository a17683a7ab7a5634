import type { WebhookConfig } from "../../config/config.ts";
import { UsageError } from "../../errors.ts";
import type { Format } from "../format.ts";
import { cloudevents } from "./cloudevents.ts";

/** The format that a webhook is configured with. Throws `UsageError` for one that this version does not have. */
export function formatOf(webhook: WebhookConfig): Format {
  if (webhook.format === "cloudevents") return cloudevents(webhook);
  throw new UsageError(`webhook ${webhook.name}: format ${webhook.format} is not available in this version`);
}
