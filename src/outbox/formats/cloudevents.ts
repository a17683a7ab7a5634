import type { WebhookConfig } from "../../config/config.ts";
import type { Format } from "../format.ts";
import { standardWebhookHeaders } from "../sign.ts";

/** The stored CloudEvent as it is, signed as Standard Webhooks 1.0. */
export function cloudevents(webhook: Pick<WebhookConfig, "urls" | "secrets">): Format {
  const url = webhook.urls[0].reveal();
  const secrets = webhook.secrets.map((secret) => secret.reveal());
  return {
    maxEvents: 1,
    render([event], now) {
      if (event === undefined) throw new Error("nothing to render");
      return {
        method: "POST",
        url,
        headers: {
          "content-type": "application/cloudevents+json",
          ...standardWebhookHeaders(event.id, event.body, secrets, now),
        },
        body: event.body,
      };
    },
  };
}
