import { createHmac } from "node:crypto";

export interface SignatureHeaders {
  readonly "webhook-id": string;
  /** Unix seconds of this attempt. */
  readonly "webhook-timestamp": string;
  /** One `v1,` entry per secret, separated by spaces. */
  readonly "webhook-signature": string;
}

/**
 * Headers of Standard Webhooks 1.0. Without secrets there is no signature, only the id and the time.
 * @param now Epoch milliseconds of this attempt.
 */
export function standardWebhookHeaders(
  id: string,
  body: string,
  secrets: readonly string[],
  now: number,
): SignatureHeaders | Omit<SignatureHeaders, "webhook-signature"> {
  const timestamp = String(Math.floor(now / 1000));
  const head = { "webhook-id": id, "webhook-timestamp": timestamp };
  if (secrets.length === 0) return head;
  const signatures = secrets.map((secret) => {
    const hmac = createHmac("sha256", signingKey(secret)).update(`${id}.${timestamp}.${body}`);
    return `v1,${hmac.digest("base64")}`;
  });
  return { ...head, "webhook-signature": signatures.join(" ") };
}

/** `whsec_` and base64 as the standard has it; any other text is taken as the key itself. */
function signingKey(secret: string): Buffer {
  const prefix = "whsec_";
  return secret.startsWith(prefix)
    ? Buffer.from(secret.slice(prefix.length), "base64")
    : Buffer.from(secret, "utf8");
}
