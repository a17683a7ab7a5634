import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSender } from "../../src/outbox/deliver.ts";
import { webhookDispatcher } from "../../src/outbox/dispatcher.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { webhookConfig } from "./harness.ts";

let folder: string;
let server: Server;
let url: string;
let certificate: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "taskwatch-tls-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const options =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=receiver".split(" ");
  const name = ["-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", [...options, ...name, "-keyout", key, "-out", cert], { stdio: "pipe" });
  certificate = await readFile(cert, "utf8");
  server = createServer({ key: await readFile(key), cert: certificate }, (request, response) => {
    request.resume();
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/s3cr3t`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

async function send(tls: { readonly ca: string } | null) {
  const webhook = webhookConfig(url, { tls });
  const sender = createSender(webhook, webhookDispatcher(webhook), new ManualClock(), "1.2.3");
  try {
    return await sender.send({ method: "POST", url, headers: {}, body: "{}" }, new AbortController().signal);
  } finally {
    await sender.close();
  }
}

test("a receiver with a certificate of one's own authority is trusted with ca_file", async () => {
  expect(await send({ ca: certificate })).toMatchObject({ kind: "answer", status: 204 });
});

test("a receiver with a certificate that is not trusted gets nothing, and the error says why", async () => {
  const answer = await send(null);
  expect(answer).toMatchObject({ kind: "failed", reason: "network" });
  expect(answer.kind === "failed" && answer.message).toMatch(
    /^https:\/\/127\.0\.0\.1:\d+\/<secret>: DEPTH_ZERO_SELF_SIGNED_CERT$/,
  );
});
