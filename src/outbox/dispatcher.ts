import { type Dispatcher, EnvHttpProxyAgent } from "undici";
import type { WebhookConfig } from "../config/config.ts";

/**
 * Connections of one webhook, none of them shared with another's. HTTP_PROXY, HTTPS_PROXY and NO_PROXY apply.
 * The waits are the sender's affair, so undici's own are off.
 */
export function webhookDispatcher(
  webhook: Pick<WebhookConfig, "tls" | "timeout" | "concurrency">,
): Dispatcher {
  const connect = { timeout: webhook.timeout, ...(webhook.tls === null ? {} : { ca: webhook.tls.ca }) };
  return new EnvHttpProxyAgent({
    connections: webhook.concurrency,
    // With HTTP/2 `connections` would be no limit.
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect,
    requestTls: connect,
  });
}
