import { once } from "node:events";
import { Agent, get, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { expect, test } from "vitest";
import type { AuthConfig } from "../../src/config/config.ts";
import { Secret } from "../../src/config/secret.ts";
import { UsageError } from "../../src/errors.ts";
import { HTTP_SETTINGS, httpServer } from "../support/http-server.ts";

const BEARER: AuthConfig = { kind: "bearer", token: new Secret("s3cret-token") };
const BASIC: AuthConfig = { kind: "basic", user: "ana", password: new Secret("pass:wörd") };
const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

test("metrics come in the text format, and as OpenMetrics to whoever prefers it", async () => {
  const { app } = await httpServer();
  const plain = await app.inject("/metrics");
  expect(plain.statusCode).toBe(200);
  expect(plain.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(plain.headers["content-length"]).toBe(String(plain.body.length));
  expect(plain.body).toBe("# text\nup 1\n");
  const accept =
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
  const openMetrics = await app.inject({ url: "/metrics", headers: { accept } });
  expect(openMetrics.headers["content-type"]).toBe(
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  expect(openMetrics.body).toBe("# openmetrics\nup 1\n");
});

test("healthz is 200 while the event loop turns; readyz tells why it is not ready", async () => {
  let readiness: { readonly ok: boolean; readonly reasons: readonly string[] } = { ok: true, reasons: [] };
  const { app } = await httpServer({}, { ready: () => readiness });
  expect((await app.inject("/healthz")).json()).toEqual({ status: "ok" });
  const ready = await app.inject("/readyz");
  expect([ready.statusCode, ready.json()]).toEqual([200, { status: "ready", reasons: [] }]);
  readiness = { ok: false, reasons: ["the store does not answer", "stopping"] };
  const not = await app.inject("/readyz");
  expect([not.statusCode, not.json()]).toEqual([
    503,
    { status: "not ready", reasons: ["the store does not answer", "stopping"] },
  ]);
  expect((await app.inject("/healthz")).statusCode).toBe(200);
});

test.each<[string, AuthConfig, string, readonly (string | undefined)[]]>([
  [
    "bearer",
    BEARER,
    "Bearer s3cret-token",
    [
      undefined,
      "",
      "Bearer",
      "Bearer s3cret-toke",
      "Bearer S3cret-token",
      "Basic s3cret-token",
      basic("s3cret-token"),
      basic("s3cret-token:"),
      basic("s3cret-token:s3cret"),
    ],
  ],
  [
    "basic",
    BASIC,
    basic("ana:pass:wörd"),
    [undefined, basic("ana:"), basic("bob:pass:wörd"), "Basic ===", "Bearer pass:wörd", "ana:pass"],
  ],
])("%s: everything but health and readiness wants the right credentials", async (_name, auth, good, bad) => {
  const { app } = await httpServer({ auth, reload: true });
  // Each try comes from an address of its own, so that none is limited.
  let tries = 0;
  for (const [method, url] of [
    ["GET", "/metrics"],
    ["GET", "/"],
    ["POST", "/-/reload"],
    ["GET", "/no/such/page"],
  ] as const) {
    for (const authorization of bad) {
      const refused = await app.inject({
        method,
        url,
        remoteAddress: `10.0.0.${++tries}`,
        headers: authorization === undefined ? {} : { authorization },
      });
      expect([url, authorization, refused.statusCode]).toEqual([url, authorization, 401]);
      const challenges = [refused.headers["www-authenticate"]].flat().map((text) => text?.split(" ")[0]);
      expect(challenges).toEqual(auth.kind === "bearer" ? ["Bearer", "Basic"] : ["Basic"]);
      expect(refused.json()).toEqual({ error: "unauthorized" });
    }
    const accepted = await app.inject({ method, url, headers: { authorization: good } });
    expect(accepted.statusCode).toBe(url === "/no/such/page" ? 404 : 200);
  }
  expect((await app.inject("/healthz")).statusCode).toBe(200);
  expect((await app.inject("/readyz")).statusCode).toBe(200);
});

test("a browser may send a bearer token as the password of any user", async () => {
  const { app } = await httpServer({ auth: BEARER });
  for (const user of ["", "ana", "s3cret-token"]) {
    const authorization = basic(`${user}:s3cret-token`);
    expect((await app.inject({ url: "/", headers: { authorization } })).statusCode).toBe(200);
  }
});

test("metrics_auth: false opens /metrics alone", async () => {
  const { app } = await httpServer({ auth: BEARER, metrics_auth: false });
  expect((await app.inject("/metrics")).statusCode).toBe(200);
  expect((await app.inject("/")).statusCode).toBe(401);
});

test("an update of the settings holds from the next request on, and a refused one changes nothing", async () => {
  const server = await httpServer({ auth: BEARER });
  const metrics = async (authorization: string) =>
    (await server.app.inject({ url: "/metrics", headers: { authorization } })).statusCode;
  server.update({ ...HTTP_SETTINGS, auth: BASIC });
  expect(await metrics("Bearer s3cret-token")).toBe(401);
  expect(await metrics(basic("ana:pass:wörd"))).toBe(200);
  for (const refused of [
    { ...HTTP_SETTINGS, listen: { host: "127.0.0.1", port: 1 } },
    { ...HTTP_SETTINGS, tls: { cert: "c", key: new Secret("k") } },
  ]) {
    expect(() => server.update(refused)).toThrow(UsageError);
    expect(await metrics("")).toBe(401);
  }
});

test("reload answers where it is enabled, with what is wrong, and never to a form of another site", async () => {
  const answers = [
    { ok: true as const },
    { ok: false as const, problems: ["poll.schedule: not a schedule"] },
  ];
  const { app } = await httpServer({ reload: true }, { reload: () => Promise.resolve(answers.shift()!) });
  const post = (headers: Record<string, string> = {}) =>
    app.inject({ method: "POST", url: "/-/reload", headers, payload: "" });
  expect((await post({ "sec-fetch-site": "cross-site" })).statusCode).toBe(403);
  const good = await post({ "content-type": "application/x-www-form-urlencoded" });
  expect([good.statusCode, good.json()]).toEqual([200, { status: "reloaded" }]);
  const bad = await post();
  expect([bad.statusCode, bad.json()]).toEqual([
    500,
    { error: "reload refused", problems: ["poll.schedule: not a schedule"] },
  ]);
  const wrong = await app.inject("/-/reload");
  expect([wrong.statusCode, wrong.headers.allow]).toEqual([405, "POST"]);
});

test("reload is refused where it is not enabled, and not called", async () => {
  let called = false;
  const { app } = await httpServer(
    {},
    {
      reload: () => {
        called = true;
        return Promise.resolve({ ok: true });
      },
    },
  );
  expect((await app.inject({ method: "POST", url: "/-/reload" })).statusCode).toBe(403);
  expect(called).toBe(false);
});

test("an error inside is told to us, and to the caller only that there was one", async () => {
  const seen: unknown[] = [];
  const { app } = await httpServer(
    {},
    {
      metrics: () => Promise.reject(new Error("inner secret")),
      onError: (error, where) => seen.push([String(error), where]),
    },
  );
  const answer = await app.inject("/metrics");
  expect([answer.statusCode, answer.json()]).toEqual([500, { error: "internal error" }]);
  expect(seen).toEqual([["Error: inner secret", "GET /metrics"]]);
});

test("every answer has the security headers, also a refusal and a page that is not there", async () => {
  const { app } = await httpServer({ auth: BEARER });
  for (const url of ["/healthz", "/", "/nowhere"]) {
    const { headers } = await app.inject(url);
    expect(headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
    });
    expect(headers["content-security-policy"]).toContain("default-src 'none'");
  }
});

test("routes plug in, behind the credentials unless they say otherwise, and may bring their own start page", async () => {
  const { app } = await httpServer(
    { auth: BEARER },
    {
      routes: [
        (scope) => {
          scope.get("/api/v1/status", () => ({ ok: true }));
          scope.get("/", { config: { access: "open" } }, (_request, reply) =>
            reply.type("text/html").send("mine"),
          );
        },
      ],
    },
  );
  expect((await app.inject("/api/v1/status")).statusCode).toBe(401);
  const authorization = "Bearer s3cret-token";
  expect((await app.inject({ url: "/api/v1/status", headers: { authorization } })).json()).toEqual({
    ok: true,
  });
  expect((await app.inject("/")).body).toBe("mine");
});

test("a body or header that is too large is refused", async () => {
  const { app, listen } = await httpServer(
    {},
    {
      routes: [
        (scope) => {
          scope.post("/api/v1/echo", () => ({}));
        },
      ],
    },
  );
  const large = { method: "POST", url: "/api/v1/echo", payload: { text: "x".repeat(70_000) } } as const;
  expect((await app.inject(large)).statusCode).toBe(413);
  const { port } = await listen();
  const request = httpRequest({
    host: "127.0.0.1",
    port,
    path: "/healthz",
    headers: { "x-long": "y".repeat(20_000) },
  });
  request.end();
  const [answer] = await once(request, "response");
  expect(answer.statusCode).toBe(431);
  answer.resume();
});

test("a path that cannot be read is refused in the same form as anything else", async () => {
  const { app } = await httpServer(
    {},
    { routes: [(scope) => void scope.get("/api/v1/tasks/:id", () => ({ ok: true }))] },
  );
  for (const [url, status] of [
    ["/%zz", 400],
    ["/api/v1/tasks/%zz", 400],
    [`/api/v1/tasks/${"x".repeat(300)}`, 414],
  ] as const) {
    const answer = await app.inject(url);
    expect([answer.statusCode, Object.keys(answer.json())]).toEqual([status, ["error"]]);
    expect(answer.headers["content-security-policy"]).toContain("default-src 'none'");
  }
});

test("a client that sends its request slowly is cut off, be it headers or body", {
  timeout: 60_000,
}, async () => {
  const { listen } = await httpServer({}, { requestTimeout: 1_000 });
  const { port } = await listen();
  const starts = [
    "GET /healthz HTTP/1.1\r\nHost: x\r\n",
    "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
  ];
  const ends = starts.map(async (text) => {
    const socket = connect(port, "127.0.0.1");
    const drip = setInterval(() => socket.write("x"), 200);
    let answer = "";
    socket.write(text);
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("error", () => undefined);
    await once(socket, "close");
    clearInterval(drip);
    return answer.split("\r\n")[0];
  });
  const timedOut = "HTTP/1.1 408 Request Timeout";
  expect(await Promise.all(ends)).toEqual([timedOut, timedOut]);
});

test("an address that is taken is said in a sentence", async () => {
  const { port } = await (await httpServer()).listen();
  const second = await httpServer({ listen: { host: "127.0.0.1", port } });
  await expect(second.listen()).rejects.toThrow(
    `server.listen: cannot listen on 127.0.0.1:${port}: something else listens there`,
  );
});

test("the end waits for an answer under way, and not for connections that are only kept", async () => {
  const gate = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  const server = await httpServer(
    {},
    {
      routes: [
        (scope) => {
          scope.get("/slow", async () => {
            entered.resolve();
            await gate.promise;
            return { done: true };
          });
        },
      ],
    },
  );
  const { port } = await server.listen();
  const agent = new Agent({ keepAlive: true });
  const kept = get({ host: "127.0.0.1", port, path: "/healthz", agent });
  const [first] = await once(kept, "response");
  await once(first.resume(), "end");
  const slow = get({ host: "127.0.0.1", port, path: "/slow", agent: new Agent({ keepAlive: true }) });
  const answered = once(slow, "response");
  await entered.promise;
  let closed = false;
  const closing = server.close(20_000).then(() => {
    closed = true;
  });
  await new Promise(setImmediate);
  expect(closed).toBe(false);
  gate.resolve();
  const [answer] = await answered;
  expect(answer.statusCode).toBe(200);
  answer.resume();
  await closing;
  agent.destroy();
});

test("who does not end within the time is cut off", async () => {
  const entered = Promise.withResolvers<void>();
  const server = await httpServer(
    {},
    {
      routes: [
        (scope) => {
          scope.get("/endless", async () => {
            entered.resolve();
            await new Promise(() => undefined);
          });
        },
      ],
    },
  );
  const { port } = await server.listen();
  const endless = get({ host: "127.0.0.1", port, path: "/endless" });
  const cut = once(endless, "error");
  const idle = connect(port, "127.0.0.1");
  const idleEnd = once(idle, "close");
  await entered.promise;
  await server.close(10);
  expect(await cut).toMatchObject([{ code: "ECONNRESET" }]);
  await idleEnd;
});
