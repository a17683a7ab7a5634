import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { client, lastDay, NEVER } from "./client.ts";
import { json, serve, serveTcp } from "./serve.ts";

const TASK = {
  id: "8abfa7b372160bfd0172165864064079",
  name: "modifyAutoTopic",
  status: "EXECUTING",
  created_at: "2026-11-24T09:00:00.000Z",
  updated_at: "2026-11-24T09:00:01.000Z",
};
const LIST = { task_count: "1", tasks: [TASK] };

test("a server that drips bytes is given up at the deadline for the whole answer", async () => {
  const stops: (() => void)[] = [];
  await using server = await serve((_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const drip = setInterval(() => response.write(" "), 20);
    stops.push(() => clearInterval(drip));
    response.once("close", () => clearInterval(drip));
  });
  await using cloud = client(server.url, { timeoutMs: 300 });
  const from = performance.now();
  await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({
    reason: "timeout",
    message: expect.stringContaining("within 0.3 s"),
  });
  expect(performance.now() - from).toBeLessThan(2000);
  expect(cloud.gate.outcomes).toMatchObject([
    { operation: "list_tasks", status: "error", error: { reason: "timeout" } },
  ]);
  for (const stop of stops) stop();
});

test("headers that never come are given up too, and so is a wait for a free connection", async () => {
  await using server = await serve(() => {});
  await using cloud = client(server.url, { timeoutMs: 200, connections: 1 });
  const both = [cloud.source.list("i1", lastDay(), NEVER), cloud.source.list("i2", lastDay(), NEVER)];
  for (const call of both) await expect(call).rejects.toMatchObject({ reason: "timeout" });
  expect(server.requests.length).toBe(1);
});

test("a call that was given up leaves its connection, and the next one works", async () => {
  await using server = await serve((request, response) => {
    if (server.requests.length > 1) json(response, LIST);
    else request.resume();
  });
  await using cloud = client(server.url, { timeoutMs: 1000, connections: 1 });
  await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({ reason: "timeout" });
  const listing = await cloud.source.list("i1", lastDay(), NEVER);
  expect(listing.complete).toBe(true);
});

test("an abort ends a call at once with its reason", async () => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  await using server = await serve(() => ask());
  await using cloud = client(server.url);
  const stop = new AbortController();
  const call = cloud.source.list("i1", lastDay(), stop.signal);
  await asked;
  const reason = new Error("lease lost");
  stop.abort(reason);
  await expect(call).rejects.toBe(reason);
  expect(cloud.gate.outcomes).toMatchObject([{ status: "error", error: null }]);
  expect(cloud.gate.open).toBe(0);
});

test("an answer that is larger than the cap is cut off", async () => {
  await using server = await serve((_, response) => {
    response.writeHead(200);
    const chunk = Buffer.alloc(64 * 1024, " ");
    const more = (): void => {
      if (!response.destroyed) response.write(chunk, () => setImmediate(more));
    };
    more();
  });
  await using cloud = client(server.url, { maxBytes: 200_000 });
  await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({
    reason: "bad_response",
    message: expect.stringContaining("larger than 200000 bytes"),
  });
});

test("a small answer that unpacks to a huge one is cut off, and an honest packed one is read", async () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000, " "));
  expect(bomb.length).toBeLessThan(200_000);
  await using server = await serve((_, response) => {
    const body = server.requests.length === 1 ? bomb : gzipSync(JSON.stringify(LIST));
    response.writeHead(200, { "content-encoding": "gzip", "content-length": body.length });
    response.end(body);
  });
  await using cloud = client(server.url, { maxBytes: 200_000 });
  await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({
    reason: "bad_response",
    message: expect.stringContaining("larger than"),
  });
  expect((await cloud.source.list("i1", lastDay(), NEVER)).tasks.map(({ id }) => id)).toEqual([TASK.id]);
});

test("garbled packing and an unknown packing are bad responses", async () => {
  await using server = await serve((_, response) => {
    response.writeHead(200, { "content-encoding": server.requests.length === 1 ? "gzip" : "zip7" });
    response.end("not packed at all");
  });
  await using cloud = client(server.url);
  for (let call = 0; call < 2; call++) {
    await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({ reason: "bad_response" });
  }
});

const RAW: readonly (readonly [name: string, bytes: string, reason: string])[] = [
  ["JSON that is cut off", 'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"tasks":[{"', "bad_response"],
  ["no body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "bad_response"],
  ["a page for browsers", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n<html>hello<", "bad_response"],
  ["JSON of another kind", 'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok":true}', "bad_response"],
  [
    "a content length that is too short",
    `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${JSON.stringify(LIST)}`,
    "bad_response",
  ],
  ["something that is not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "bad_response"],
  [
    "a connection that is closed in the middle",
    'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"tasks":',
    "endpoint_unreachable",
  ],
  ["a connection that is closed at once", "", "endpoint_unreachable"],
];

test.each(RAW)("%s is told apart and is no list", async (_, bytes, reason) => {
  await using server = await serveTcp((socket) => {
    socket.once("data", () => socket.end(bytes));
  });
  await using cloud = client(server.url);
  await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({ reason });
});

test("a reset, a refused connection and an unknown name say what happened", async () => {
  await using server = await serveTcp((socket) => {
    socket.once("data", () => socket.resetAndDestroy());
  });
  await using reset = client(server.url);
  await expect(reset.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({
    reason: "endpoint_unreachable",
    message: expect.stringMatching(/connection (reset|closed)/),
  });
  const gone = await serve(() => {});
  await gone[Symbol.asyncDispose]();
  await using refused = client(gone.url);
  await expect(refused.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({
    reason: "endpoint_unreachable",
    message: expect.stringContaining("connection refused"),
  });
  await using unknown = client("http://no-such-host.invalid");
  await expect(unknown.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({
    reason: "endpoint_unreachable",
    message: expect.stringMatching(/no-such-host\.invalid cannot be reached/),
  });
});

test("a redirect is an answer that is not followed", async () => {
  await using elsewhere = await serve((_, response) => json(response, LIST));
  await using server = await serve((_, response) => {
    response.writeHead(302, { location: elsewhere.url });
    response.end();
  });
  await using cloud = client(server.url);
  await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({
    reason: "bad_response",
    status: 302,
  });
  expect(elsewhere.requests.length).toBe(0);
});

test("connections are reused, also after refusals", async () => {
  await using server = await serve((_, response) => {
    if (server.requests.length === 3) json(response, { error_code: "DMS.00500000", error_msg: "no" }, 500);
    else json(response, LIST);
  });
  await using cloud = client(server.url);
  for (let call = 0; call < 8; call++) await cloud.source.list("i1", lastDay(), NEVER).catch(() => {});
  expect(server.requests.length).toBe(8);
  // The next call may begin just before the connection counts as free again.
  expect(server.connections).toBeLessThanOrEqual(2);
});

test("the cloud's clock is that of the Date header, and its distance is told", async () => {
  const ahead = new Date(Math.floor(Date.now() / 1000) * 1000 + 120_000);
  await using server = await serve((_, response) => json(response, LIST, 200, { date: ahead.toUTCString() }));
  await using cloud = client(server.url);
  expect(cloud.source.cloudOffset).toBeNull();
  const listing = await cloud.source.list("i1", lastDay(), NEVER);
  expect(listing.cloudNow).toBe(ahead.getTime());
  expect(cloud.source.cloudOffset).toBeGreaterThan(115_000);
  expect(cloud.source.cloudOffset).toBeLessThan(125_000);
});

test("without a Date header the local clock stands in", async () => {
  await using server = await serve((_, response) => {
    response.sendDate = false;
    json(response, LIST);
  });
  await using cloud = client(server.url);
  const before = Date.now();
  const { cloudNow } = await cloud.source.list("i1", lastDay(), NEVER);
  expect(cloudNow).toBeGreaterThanOrEqual(before);
  expect(cloudNow).toBeLessThanOrEqual(Date.now());
});
