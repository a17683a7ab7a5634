import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { standardWebhookHeaders } from "../../src/outbox/sign.ts";

const WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PLAIN = "a plain secret, ünïcode too";
const BODY = '{"id":"evt_1","text":"äöü – 分布式"}';
const NOW = Date.now();

const signature = (secrets: readonly string[]): string => {
  const headers = standardWebhookHeaders("evt_1", BODY, secrets, NOW);
  if (!("webhook-signature" in headers)) throw new Error("no signature");
  return headers["webhook-signature"];
};

describe("a signature of Standard Webhooks", () => {
  test("is the one that the reference library makes, for a whsec_ secret", () => {
    expect(signature([WHSEC])).toBe(new Webhook(WHSEC).sign("evt_1", new Date(NOW), BODY));
  });

  test("takes a plain secret as the key itself", () => {
    const raw = new Webhook(new TextEncoder().encode(PLAIN), { format: "raw" });
    expect(signature([PLAIN])).toBe(raw.sign("evt_1", new Date(NOW), BODY));
  });

  test("verifies with each secret while rotating", () => {
    const headers = { ...standardWebhookHeaders("evt_1", BODY, [WHSEC, PLAIN], NOW) };
    expect(headers).toMatchObject({
      "webhook-id": "evt_1",
      "webhook-timestamp": String(Math.floor(NOW / 1000)),
    });
    new Webhook(WHSEC).verify(BODY, headers);
    new Webhook(new TextEncoder().encode(PLAIN), { format: "raw" }).verify(BODY, headers);
    expect(() => new Webhook("whsec_b3RoZXJvdGhlcm90aGVyb3RoZXI=").verify(BODY, headers)).toThrow();
  });

  test("is absent without a secret, the id and time are not", () => {
    expect(Object.keys(standardWebhookHeaders("evt_1", BODY, [], NOW))).toEqual([
      "webhook-id",
      "webhook-timestamp",
    ]);
  });
});
