import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { Secret } from "../../src/config/secret.ts";
import { eventStream } from "../../src/http/event-stream.ts";
import { createHttpServer, type HttpServer, type HttpSettings } from "../../src/http/server.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { Clock } from "../../src/ports/clock.ts";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import type { Api, EventsJson } from "../../src/views/api.ts";
import type { EventJson } from "../../src/views/event.ts";
import { ask } from "../support/api-client.ts";
import { EventSource } from "../support/event-source.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { problemsOf } from "../support/openapi.ts";
import { RedisServer } from "../support/redis.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

const SETTINGS: HttpSettings = {
  listen: { host: "127.0.0.1", port: 0 },
  external_url: "",
  tls: null,
  auth: null,
  metrics_auth: true,
  reload: false,
};
const STREAM = "/api/v1/events/stream";

const resources: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of resources.splice(0).reverse()) await each[Symbol.asyncDispose]();
});
function use<T extends AsyncDisposable>(resource: T): T {
  resources.push(resource);
  return resource;
}

const ids = (source: EventSource) => source.events.map(({ data }) => data.id as string);

/** Of each instance: was its baseline read? */
async function known(url: string, { auth }: { readonly auth?: unknown }): Promise<readonly boolean[]> {
  const headers: Record<string, string> = auth ? { authorization: "Bearer s3cret" } : {};
  const { instances } = (await (await fetch(url, { headers })).json()) as {
    instances: { reachable: boolean }[];
  };
  return instances.map(({ reachable }) => reachable);
}

describe("the stream of a running daemon", () => {
  async function start(stores: readonly Record<string, unknown>[], server: Record<string, unknown> = {}) {
    // Redis has a clock of its own.
    const clock = stores.length === 1 ? new ShiftedClock(4) : systemClock;
    const simulator = use(
      await startSimulator({
        clock: () => clock.now(),
        projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }, { name: "billing" }] }],
      }),
    );
    const inbox = use(await Inbox.start());
    const apps: RunningApp[] = [];
    for (const store of stores) {
      const config = watchConfig(simulator, inbox, { store, server: { listen: "127.0.0.1:0", ...server } });
      apps.push(use(await RunningApp.start(config, { clock })));
    }
    await expect
      .poll(async () => await known(`${apps[0]?.url}/api/v1/instances`, server), { timeout: 20_000 })
      .toEqual([true, true]);
    return { simulator, inbox, apps, url: (index = 0) => `${apps[index]?.url}${STREAM}` };
  }

  const run = (simulator: Simulator, id: string, instance = "orders", ends = "SUCCESS") =>
    simulator.control.createTask({ instance }, { id, name: "resize", runs_for: "1s", ends });

  test("carries what is committed from now on, as the list of events gives it", async () => {
    const { simulator, inbox, apps, url } = await start([{ url: "sqlite::memory:" }]);
    run(simulator, "before");
    await inbox.event("task.succeeded");
    const source = use(await EventSource.open(url()));
    expect(source.response.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    expect(source.response.headers["cache-control"]).toBe("no-store");
    run(simulator, "after");
    await source.until(() => source.events.some(({ data }) => data.type === "task.succeeded"));
    expect(new Set(source.events.map(({ data }) => data.subject))).toEqual(new Set(["after"]));
    const { body } = await ask(apps[0]?.url ?? "", "/api/v1/events");
    expect(body.events.slice(-source.events.length)).toEqual(source.events.map(({ data }) => data));
  });

  test("goes on after Last-Event-ID, missing nothing and repeating nothing, after any event", async () => {
    const { simulator, inbox, url } = await start([{ url: "sqlite::memory:" }]);
    const whole = use(await EventSource.open(url()));
    for (const id of ["one", "two", "three"]) run(simulator, id);
    await inbox.until(() => inbox.ofType("task.succeeded").length === 3);
    await whole.until(() => whole.events.filter(({ data }) => data.type === "task.succeeded").length === 3);
    for (const [index, { id }] of whole.events.entries()) {
      const rest = ids(whole).slice(index + 1);
      const source = use(await EventSource.open(url(), { "last-event-id": id }));
      await source.until(() => source.events.length >= rest.length);
      expect(ids(source)).toEqual(rest);
    }
    const failures = use(await EventSource.open(`${url()}?type=task.failed&after=${whole.events[0]?.id}`));
    run(simulator, "four", "orders", "FAILED");
    await failures.until(() => failures.events.length > 0);
    expect(failures.events.map(({ data }) => data.subject)).toEqual(["four"]);
  });

  test("of any replica carries the events of all, and goes on at another one", async () => {
    const redis = use(await RedisServer.start());
    const store = { url: redis.url, lease: "3s" };
    const { simulator, inbox, apps, url } = await start([store, store]);
    const sources = [use(await EventSource.open(url(0))), use(await EventSource.open(url(1)))];
    for (const instance of ["orders", "billing"]) run(simulator, `of ${instance}`, instance);
    await inbox.until(() => inbox.ofType("task.succeeded").length === 2);
    const all = new Set(inbox.events.map(({ id }) => id));
    for (const source of sources) {
      await source.until(() => ids(source).filter((id) => all.has(id)).length === all.size);
    }
    const [first] = sources[0]?.events ?? [];
    await apps[0]?.stop();
    const rest = ids(sources[0]!).slice(1);
    const source = use(await EventSource.open(url(1), { "last-event-id": first?.id ?? "" }));
    await source.until(() => source.events.length >= rest.length);
    expect(new Set(ids(source))).toEqual(new Set(rest));
  });

  test("ends when the program stops, and does not hold it up", async () => {
    const { apps, url } = await start([{ url: "sqlite::memory:" }]);
    const source = use(await EventSource.open(url()));
    const from = performance.now();
    await apps[0]?.stop();
    await source.until(() => source.ended);
    // The deliveries have nothing to wait for; what is left is the time for requests.
    expect(performance.now() - from).toBeLessThan(5_000);
  });

  test("is behind the credentials, and a wrong place in it is said", async () => {
    const { url } = await start([{ url: "sqlite::memory:" }], { auth: { bearer_token: "s3cret" } });
    expect((await fetch(url())).status).toBe(401);
    const authorization = "Bearer s3cret";
    const wrong = await fetch(url(), { headers: { authorization, "last-event-id": "17" } });
    expect(wrong.status).toBe(400);
    expect(await wrong.json()).toMatchObject({ problems: [{ where: "header.last-event-id" }] });
    const head = await fetch(url(), { method: "HEAD", headers: { authorization } });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });
});

describe("a stream", () => {
  /** As many events as asked for, each of this size; the cursor is the number of the last one. */
  const endless = (total: number, size: number): Pick<Api, "events" | "newestEvents"> => ({
    async events(after, limit): Promise<EventsJson> {
      const from = Number(after);
      const count = Math.max(0, Math.min(limit, total - from));
      const events = Array.from({ length: count }, (_, index) => ({
        event: {
          id: `evt_${from + index}`,
          type: "task.started",
          data: "x".repeat(size),
        } as unknown as EventJson,
        cursor: String(from + index + 1),
      }));
      return { events, cursor: String(from + count) };
    },
    newestEvents: async () => ({ events: [], cursor: "0" }),
  });

  async function serve(api: Pick<Api, "events" | "newestEvents">, clock: Clock) {
    const stop = new AbortController();
    const server: HttpServer = await createHttpServer({
      settings: SETTINGS,
      clock,
      metrics: async () => [],
      ready: () => ({ ok: true, reasons: [] }),
      reload: async () => ({ ok: true }),
      onError: () => undefined,
      onRefused: () => undefined,
      routes: [
        (scope) =>
          eventStream(scope, { api: api as Api, clock, stopping: stop.signal, onError: () => undefined }),
      ],
    });
    onTestFinished(async () => {
      stop.abort();
      await server.close(0);
    });
    return { server, ...(await server.listen()) };
  }

  test("that a slow client does not take is not kept for it, and the client is let go", async () => {
    const clock = new ManualClock();
    const total = 2_000;
    const reads: number[] = [];
    const source = endless(total, 50_000);
    const { port, server } = await serve(
      {
        ...source,
        events: (after, limit, types) => {
          reads.push(Number(after));
          return source.events(after, limit, types);
        },
      },
      clock,
    );
    const slow = connect(port, "127.0.0.1");
    slow.write(`GET ${STREAM} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(slow, "readable");
    const connections = () =>
      new Promise<number>((resolve) => server.app.server.getConnections((_, count) => resolve(count)));
    // It reads nothing more. What the two kernels hold is all that is sent of 100 MB.
    while ((await connections()) > 0) {
      await clock.advance(1_000);
      await new Promise(setImmediate);
    }
    expect(clock.monotonic()).toBeGreaterThanOrEqual(15_000);
    expect(Math.max(...reads)).toBeLessThan(total / 2);
    slow.destroy();
  });

  test("that a client takes slowly arrives whole", { timeout: 60_000 }, async () => {
    const clock = new ManualClock();
    const { url } = await serve(endless(300, 50_000), clock);
    const source = use(await EventSource.open(`${url}${STREAM}`));
    const done = source.until(() => source.events.length === 300);
    let ended = false;
    void done.finally(() => {
      ended = true;
    });
    while (!ended) {
      await clock.advance(1_000);
      await new Promise(setImmediate);
    }
    expect(ids(source)).toEqual(Array.from({ length: 300 }, (_, index) => `evt_${index}`));
  });

  test("in which nothing happens says now and again that it is there", async () => {
    const clock = new ManualClock();
    const { url } = await serve(endless(0, 0), clock);
    const source = use(await EventSource.open(`${url}${STREAM}`));
    await clock.advance(61_000);
    await source.until(() => source.comments.length >= 3);
    expect(source.events).toEqual([]);
  });

  test("ends soon after its credentials were changed", async () => {
    const clock = new ManualClock();
    const auth = (token: string) => ({ auth: { kind: "bearer" as const, token: new Secret(token) } });
    const { server, url } = await serve(endless(0, 0), clock);
    server.update({ ...SETTINGS, ...auth("old") });
    const headers = { authorization: "Bearer old" };
    const source = use(await EventSource.open(`${url}${STREAM}`, headers));
    await clock.advance(20_000);
    await source.until(() => source.comments.length > 0);
    server.update({ ...SETTINGS, ...auth("new") });
    await clock.advance(20_000);
    await source.until(() => source.ended);
    await expect(EventSource.open(`${url}${STREAM}`, headers)).rejects.toThrow("401");
  });

  test("is one of at most 64; a client that leaves makes room", async () => {
    const clock = new ManualClock();
    const { url } = await serve(endless(0, 0), clock);
    const sources = await Promise.all(
      Array.from({ length: 64 }, async () => use(await EventSource.open(`${url}${STREAM}`))),
    );
    const refused = await fetch(`${url}${STREAM}`);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "30"]);
    expect(problemsOf(`GET ${STREAM}`, 503, await refused.json())).toEqual([]);
    await sources[0]?.[Symbol.asyncDispose]();
    await expect
      .poll(async () => (await EventSource.open(`${url}${STREAM}`).then(use, () => null)) !== null)
      .toBe(true);
  });

  test("that its client left before it began takes no place", async () => {
    const begun: (() => void)[] = [];
    const api = endless(0, 0);
    const newestEvents: Api["newestEvents"] = (limit) =>
      new Promise((resolve) => begun.push(() => resolve(api.newestEvents(limit))));
    const { url, port } = await serve({ ...api, newestEvents }, new ManualClock());
    for (let client = 0; client < 64; client++) {
      const socket = connect(port, "127.0.0.1");
      socket.write(`GET ${STREAM} HTTP/1.1\r\nhost: watch.example\r\n\r\n`);
      await expect.poll(() => begun.length).toBe(client + 1);
      socket.resetAndDestroy();
    }
    const probe = await fetch(`${url}/healthz`);
    expect(probe.status).toBe(200);
    for (const begin of begun.splice(0)) begin();
    const opening = EventSource.open(`${url}${STREAM}`);
    await expect.poll(() => begun.length).toBe(1);
    begun[0]?.();
    use(await opening);
  });
});
