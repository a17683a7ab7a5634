import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Secret } from "../../src/config/secret.ts";
import { createSender, type Sender } from "../../src/outbox/deliver.ts";
import { webhookDispatcher } from "../../src/outbox/dispatcher.ts";
import type { Message } from "../../src/outbox/format.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { webhookConfig } from "./harness.ts";

const clock = new ManualClock();
const signal = new AbortController().signal;
const senders: Sender[] = [];
let receiver: Receiver;

beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  for (const sender of senders.splice(0)) await sender.close();
  await receiver.close();
});

const senderOf = (overrides: Parameters<typeof webhookConfig>[1] = {}): Sender => {
  const webhook = webhookConfig(receiver.url, overrides);
  const sender = createSender(webhook, webhookDispatcher(webhook), clock, "1.2.3");
  senders.push(sender);
  return sender;
};
const message = (url = receiver.url, body = "{}"): Message => ({
  method: "POST",
  url,
  headers: { "content-type": "application/cloudevents+json", "webhook-id": "evt_1" },
  body,
});

describe("one request", () => {
  test("carries the body as it is, the webhook's headers and who sent it", async () => {
    const body = '{"a":  1, "text":"äöü – 分"}\n';
    const sender = senderOf({
      headers: { "X-Team": new Secret("data"), "Content-Type": new Secret("text/plain") },
      auth: { kind: "bearer", token: new Secret("t0ken") },
    });
    expect(await sender.send(message(receiver.url, body), signal)).toMatchObject({
      kind: "answer",
      status: 204,
    });
    const request = await receiver.next();
    expect(request).toMatchObject({ method: "POST", path: "/hook/s3cr3t-path?token=s3cr3t-query", body });
    expect(request.headers).toMatchObject({
      "x-team": "data",
      authorization: "Bearer t0ken",
      "content-type": "application/cloudevents+json",
      "content-length": String(Buffer.byteLength(body)),
      "user-agent": "dms-taskwatch/1.2.3",
      "webhook-id": "evt_1",
    });
  });

  test("takes basic credentials from the settings, else from the URL", async () => {
    await senderOf({ auth: { kind: "basic", user: "ü", password: new Secret("p:w") } }).send(
      message(),
      signal,
    );
    await senderOf().send(message(receiver.url.replace("://", "://me:p%40ss@")), signal);
    const sent = receiver.requests.map(({ headers }) => headers.authorization?.replace("Basic ", "") ?? "");
    expect(sent.map((text) => Buffer.from(text, "base64").toString())).toEqual(["ü:p:w", "me:p@ss"]);
  });

  test("does not follow a redirect", async () => {
    receiver.script({ status: 302, headers: { location: "/elsewhere" } });
    expect(await senderOf().send(message(), signal)).toMatchObject({ status: 302 });
    expect(receiver.requests).toHaveLength(1);
  });

  test("tells the wait that the receiver asks for", async () => {
    receiver.script({ status: 429, headers: { "retry-after": "7" }, body: "slow down" });
    expect(await senderOf().send(message(), signal)).toEqual({
      kind: "answer",
      status: 429,
      date: expect.any(Number),
      retryAfter: 7_000,
      body: "slow down",
    });
  });

  test("reads no more than the beginning of a long answer", async () => {
    receiver.script({
      by: (response) => {
        response.writeHead(200);
        const more = () => {
          while (!response.destroyed && response.write("x".repeat(16_384)));
          if (!response.destroyed) response.once("drain", more);
        };
        more();
      },
    });
    const answer = await senderOf().send(message(), signal);
    expect(answer).toMatchObject({ kind: "answer", status: 200 });
    expect(answer.kind === "answer" && answer.body.length).toBe(65_536);
  });

  test("keeps the status of an answer whose body breaks off", async () => {
    receiver.script({
      by: (response) => {
        response.writeHead(200, { "content-length": "100" });
        response.write("begun", () => response.destroy());
      },
    });
    expect(await senderOf().send(message(), signal)).toMatchObject({ kind: "answer", status: 200 });
  });
});

describe("a request that fails", () => {
  test("ends at its time limit, whatever the receiver does", async () => {
    receiver.script("hang");
    const answer = senderOf({ timeout: 5_000 }).send(message(), signal);
    await receiver.next();
    await clock.advance(5_000);
    expect(await answer).toEqual({
      kind: "failed",
      reason: "timeout",
      message: `http://127.0.0.1:${receiver.port}/<secret>: no answer within 5000 ms`,
    });
  });

  test("that drips its answer ends at the same limit, with the status that is known", async () => {
    receiver.script({
      by: (response) => {
        response.writeHead(503);
        response.write("d");
      },
    });
    const headersCame = new Promise<void>((resolve) => {
      const seen = () => {
        unsubscribe("undici:request:headers", seen);
        resolve();
      };
      subscribe("undici:request:headers", seen);
    });
    const answer = senderOf({ timeout: 5_000 }).send(message(), signal);
    await headersCame;
    await clock.advance(5_000);
    expect(await answer).toEqual({
      kind: "answer",
      status: 503,
      date: expect.any(Number),
      retryAfter: null,
      body: "d",
    });
  });

  test.each(["reset", "down"] as const)(
    "names the host and the error, not the secret URL: %s",
    async (how) => {
      if (how === "reset") receiver.script("reset");
      else await receiver.close();
      const answer = await senderOf().send(message(), signal);
      expect(answer).toMatchObject({ kind: "failed", reason: "network" });
      const text = JSON.stringify(answer);
      expect(text).toContain(`http://127.0.0.1:${receiver.port}/<secret>: `);
      expect(text).not.toMatch(/s3cr3t/);
    },
  );

  test("rejects with the reason when it is aborted", async () => {
    receiver.script("hang");
    const abort = new AbortController();
    const answer = senderOf().send(message(), abort.signal);
    await receiver.next();
    abort.abort(new Error("lease lost"));
    await expect(answer).rejects.toThrow("lease lost");
    expect(clock.sleeping).toBe(0);
  });
});

test("HTTPS_PROXY and HTTP_PROXY of the environment are used, NO_PROXY honoured", async () => {
  const seen: string[] = [];
  const proxy = createServer((request, response) => {
    seen.push(request.url ?? "");
    response.writeHead(202).end();
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const before = { ...process.env };
  try {
    process.env.http_proxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    process.env.no_proxy = "127.0.0.1";
    expect(await senderOf().send(message("http://hooks.invalid/x"), signal)).toMatchObject({ status: 202 });
    expect(await senderOf().send(message(), signal)).toMatchObject({ status: 204 });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toContain("hooks.invalid");
  } finally {
    for (const name of ["http_proxy", "no_proxy"] as const) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
    for (const sender of senders.splice(0)) await sender.close();
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  }
});
