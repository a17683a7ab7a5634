import { expect, test } from "vitest";
import { tokenAuth } from "../../src/cloud/auth.ts";
import { iamTokenAuth } from "../../src/cloud/iam-token.ts";
import { metadataAuth } from "../../src/cloud/metadata.ts";
import type { Transport } from "../../src/cloud/transport.ts";
import { type SimulatorOptions, startSimulator } from "../../src/simulator/server.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { client, lastDay, NEVER } from "./client.ts";
import { json, serve } from "./serve.ts";

const PROJECT = "0605768a3300d5762fd0c002e2bbd3f9";
const USER = { name: "watcher", password: "pass-word-1", domain: "acme" };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A simulator and a client that live by the same clock, which the test moves. */
async function world(options: Partial<SimulatorOptions> = {}) {
  const clock = new ManualClock();
  const simulator = await startSimulator({
    clock: () => clock.now(),
    projects: [{ id: PROJECT, users: [USER], instances: [{ id: "i1" }] }],
    ...options,
  });
  return { clock, simulator };
}

const lifetime = new AbortController().signal;

function byPassword(url: string, password = USER.password) {
  return (transport: Transport) =>
    iamTokenAuth({
      transport,
      iamEndpoint: url,
      user: USER.name,
      password,
      domain: USER.domain,
      scope: { id: PROJECT },
      lifetime,
    });
}

test("a ready token is sent as it is", async () => {
  const { simulator, clock } = await world();
  await using _ = simulator;
  simulator.control.addToken("ready-made-token");
  await using cloud = client(simulator.url, {
    clock,
    projectId: PROJECT,
    auth: () => tokenAuth("ready-made-token"),
  });
  expect((await cloud.source.list("i1", lastDay(clock.now()), NEVER)).complete).toBe(true);
  simulator.control.expireTokens();
  await expect(cloud.source.list("i1", lastDay(clock.now()), NEVER)).rejects.toMatchObject({
    reason: "credentials_rejected",
  });
  expect(cloud.gate.outcomes.at(-1)?.error?.reason).toBe("credentials_rejected");
});

test("a password becomes a token once, however many calls begin at the same time", async () => {
  const { simulator, clock } = await world();
  await using _ = simulator;
  await using cloud = client(simulator.url, { clock, projectId: PROJECT, auth: byPassword(simulator.url) });
  await Promise.all(Array.from({ length: 5 }, () => cloud.source.list("i1", lastDay(clock.now()), NEVER)));
  expect(simulator.control.requests({ operation: "token" }).length).toBe(1);
  expect(cloud.gate.outcomes[0]).toMatchObject({ operation: "token", status: 201, error: null });
});

test("a token is renewed before its end, while the old one still serves", async () => {
  const { simulator, clock } = await world();
  await using _ = simulator;
  await using cloud = client(simulator.url, { clock, projectId: PROJECT, auth: byPassword(simulator.url) });
  const poll = () => cloud.source.list("i1", lastDay(clock.now()), NEVER);
  await poll();
  // Nobody may wait for the renewal, so it hangs at first; later tries are let through.
  simulator.control.addFault({ kind: "error", operation: "token", status: 503, times: 1 });
  for (let hour = 0; hour < 72; hour++) {
    await clock.advance(HOUR);
    await poll();
    await poll();
  }
  const tokens = simulator.control.requests({ operation: "token" });
  expect(tokens.length).toBeGreaterThanOrEqual(4);
  expect(tokens.length).toBeLessThanOrEqual(6);
  expect(
    cloud.gate.outcomes.filter(({ operation, error }) => operation === "list_tasks" && error !== null),
  ).toEqual([]);
});

test("a token that must be updated is renewed once, and the call repeated without the gate seeing a refusal", async () => {
  const { simulator, clock } = await world();
  await using _ = simulator;
  await using cloud = client(simulator.url, { clock, projectId: PROJECT, auth: byPassword(simulator.url) });
  const poll = () => cloud.source.list("i1", lastDay(clock.now()), NEVER);
  await poll();
  simulator.control.expireTokens();
  simulator.control.clearRequests();
  const listings = await Promise.all([poll(), poll(), poll()]);
  expect(listings.every(({ complete }) => complete)).toBe(true);
  expect(simulator.control.requests({ operation: "token" }).length).toBe(1);
  expect(cloud.gate.outcomes.filter(({ error }) => error !== null)).toEqual([]);
  expect(cloud.gate.open).toBe(0);
});

test("a new token that must be updated again is a refusal", async () => {
  const { simulator, clock } = await world();
  await using _ = simulator;
  await using cloud = client(simulator.url, { clock, projectId: PROJECT, auth: byPassword(simulator.url) });
  simulator.control.addFault({ kind: "error", operation: "list_tasks", status: 401, code: "APIG.0307" });
  await expect(cloud.source.list("i1", lastDay(clock.now()), NEVER)).rejects.toMatchObject({
    reason: "credentials_rejected",
    code: "APIG.0307",
  });
  expect(simulator.control.requests({ operation: "list_tasks" }).length).toBe(2);
  expect(cloud.gate.outcomes.map(({ error }) => error?.reason ?? null)).toEqual([
    null,
    null,
    null,
    "credentials_rejected",
  ]);
});

test("a wrong password is refused at the gate, and is in no message", async () => {
  const { simulator, clock } = await world();
  await using _ = simulator;
  const auth = byPassword(simulator.url, "wrong-pass-word");
  await using cloud = client(simulator.url, { clock, projectId: PROJECT, auth });
  const error: unknown = await cloud.source
    .list("i1", lastDay(clock.now()), NEVER)
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ reason: "credentials_rejected", status: 401 });
  expect(JSON.stringify(error) + String(error)).not.toContain("wrong-pass-word");
  expect(cloud.gate.outcomes).toMatchObject([
    { operation: "token", error: { reason: "credentials_rejected" } },
  ]);
});

test("an answer of IAM without a token is a bad response", async () => {
  await using server = await serve((_, response) => json(response, { token: {} }, 201));
  await using cloud = client(server.url, { auth: byPassword(server.url) });
  await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({
    reason: "bad_response",
    message: expect.stringContaining("without a token"),
  });
});

function byAgency(url: string) {
  return (transport: Transport) => metadataAuth({ transport, endpoint: url, lifetime });
}

test.each([
  ["with the token step", { require_token: true }],
  ["where there is no token step", { token_step: 404 }],
  ["where the token step is not allowed", { token_step: 405 }],
  ["where the token step is not available", { token_step: 503 }],
] as const)("keys of the agency are used %s", async (_name, metadata) => {
  const { simulator, clock } = await world({ metadata });
  await using _ = simulator;
  await using cloud = client(simulator.url, { clock, projectId: PROJECT, auth: byAgency(simulator.url) });
  expect((await cloud.source.list("i1", lastDay(clock.now()), NEVER)).complete).toBe(true);
});

test("agency keys are renewed around ten minutes before their end, and no poll fails over a day", async () => {
  const { simulator, clock } = await world({ metadata: { require_token: true } });
  await using _ = simulator;
  await using cloud = client(simulator.url, { clock, projectId: PROJECT, auth: byAgency(simulator.url) });
  for (let minute = 0; minute < 24 * 60; minute += 2) {
    const listing = await cloud.source.list("i1", lastDay(clock.now()), NEVER);
    expect(listing.complete).toBe(true);
    await clock.advance(2 * MINUTE);
  }
  const keys = new Set(simulator.control.requests({ operation: "list_tasks" }).map(({ key }) => key));
  expect(keys.size).toBeGreaterThanOrEqual(24);
  const asked = simulator.control.requests({ operation: "metadata_key" }).length;
  expect(asked).toBeLessThanOrEqual(3 * keys.size);
});

test("a metadata token that the service has forgotten is taken anew", async () => {
  const { simulator, clock } = await world({ metadata: { require_token: true, key_lifetime: "20m" } });
  await using _ = simulator;
  await using cloud = client(simulator.url, { clock, projectId: PROJECT, auth: byAgency(simulator.url) });
  const poll = () => cloud.source.list("i1", lastDay(clock.now()), NEVER);
  await poll();
  simulator.control.addFault({ kind: "error", operation: "metadata_key", status: 401, times: 1 });
  await clock.advance(30 * MINUTE);
  expect((await poll()).complete).toBe(true);
  expect(simulator.control.requests({ operation: "metadata_token" }).length).toBe(2);
});

test("a server without an agency says so", async () => {
  const { simulator, clock } = await world({ metadata: { agency: false } });
  await using _ = simulator;
  await using cloud = client(simulator.url, { clock, projectId: PROJECT, auth: byAgency(simulator.url) });
  await expect(cloud.source.list("i1", lastDay(clock.now()), NEVER)).rejects.toMatchObject({
    reason: "credentials_rejected",
    message: expect.stringContaining("no agency"),
  });
});

test("keys that make no sense are a bad response", async () => {
  for (const body of [
    {},
    { credential: {} },
    { credential: { access: "a", secret: "b", securitytoken: "c" } },
    "x",
  ]) {
    await using server = await serve((request, response) =>
      request.method === "PUT" ? json(response, "metadata-token") : json(response, body),
    );
    await using cloud = client(server.url, { auth: byAgency(server.url) });
    await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({ reason: "bad_response" });
  }
});

test("a call that is aborted while it waits for credentials ends at once, and the fetch serves the next one", async () => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: release, resolve: answer } = Promise.withResolvers<void>();
  await using server = await serve(async (request, response) => {
    if (request.method !== "POST") return json(response, { task_count: "0", tasks: [] });
    ask();
    await release;
    json(response, { token: { expires_at: new Date(Date.now() + HOUR).toISOString() } }, 201, {
      "x-subject-token": "fresh",
    });
  });
  await using cloud = client(server.url, { auth: byPassword(server.url) });
  const stop = new AbortController();
  const aborted = cloud.source.list("i1", lastDay(), stop.signal);
  await asked;
  stop.abort(new Error("stopped"));
  await expect(aborted).rejects.toThrow("stopped");
  const waiting = cloud.source.list("i1", lastDay(), NEVER);
  answer();
  expect((await waiting).complete).toBe(true);
  expect(server.requests.filter(({ method }) => method === "POST").length).toBe(1);
});
