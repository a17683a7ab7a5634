import { createHash } from "node:crypto";
import type { WebhookConfig } from "../config/config.ts";
import { Secret } from "../config/secret.ts";

/** Changes with every setting of the webhook, secrets included, and shows none of them. */
export function fingerprint(webhook: WebhookConfig): string {
  const content = JSON.stringify(webhook, function (this: Record<string, unknown>, key, value: unknown) {
    // `value` has gone through toJSON already, which hides the secret.
    const original = this[key];
    return original instanceof Secret ? original.reveal() : value;
  });
  return createHash("sha256").update(content).digest("hex").slice(0, 32);
}
