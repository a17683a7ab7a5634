import type { WebhookConfig } from "../../config/config.ts";
import { compileTemplate, TEMPLATE_TYPE } from "../../config/template.ts";
import type { Format } from "../format.ts";
import { standardWebhookHeaders } from "../sign.ts";

/** The operator's own body, signed like a CloudEvent. Throws `TemplateError` for a template that no check has seen. */
export function template(
  webhook: Pick<WebhookConfig, "urls" | "secrets" | "template" | "content_type" | "group">,
): Format {
  const url = webhook.urls[0].reveal();
  const secrets = webhook.secrets.map((secret) => secret.reveal());
  const type = webhook.content_type ?? TEMPLATE_TYPE;
  const { maxEvents, render } = compileTemplate({
    template: webhook.template ?? "",
    content_type: type,
    grouped: webhook.group !== null,
  });
  return {
    maxEvents,
    render(events, now) {
      const [first] = events;
      if (first === undefined) throw new Error("nothing to render");
      const body = render(events.map((event) => event.body));
      const headers = standardWebhookHeaders(first.id, body, secrets, now);
      return { method: "POST", url, headers: { "content-type": type, ...headers }, body };
    },
  };
}
