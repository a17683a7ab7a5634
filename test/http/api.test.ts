import Fastify from "fastify";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { apiRoutes } from "../../src/http/api-routes.ts";
import { eventStream } from "../../src/http/event-stream.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import type { Api } from "../../src/views/api.ts";
import { type Answer, type ApiRequest, allPages, ask } from "../support/api-client.ts";
import { OPERATIONS } from "../support/openapi.ts";
import { RunningApp } from "../support/running-app.ts";
import { instancesOf, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

const HOSTILE = `<img src=x onerror="alert(1)">'; -- \u202e`;
const HOUR = 3_600_000;

const resources = new AsyncDisposableStack();
let simulator: Simulator;
let inbox: Inbox;
let app: RunningApp;
const api = (path: string, request?: ApiRequest): Promise<Answer> => ask(app.url, `/api/v1${path}`, request);

beforeAll(async () => {
  const failed = (id: string, hoursAgo: number) => ({
    id,
    name: "bindPublicIp",
    created_ago: hoursAgo * HOUR,
    runs_for: "90s",
    ends: "FAILED",
  });
  simulator = resources.use(
    await startSimulator({
      projects: [
        { keys: [DEMO_KEY], instances: [{ name: "orders" }, { name: "billing", engine: "rabbitmq" }] },
      ],
      steps: [
        {
          instance: "orders",
          task: { id: "zombie", name: "resize", created_ago: "3h", runs_for: "forever" },
        },
        {
          instance: "orders",
          task: {
            id: "fresh",
            name: HOSTILE,
            created_ago: "5m",
            runs_for: "forever",
            user_name: "paas_dms",
            user_id: "u-5eaf",
            params: { new_password: "hunter2", topic: "t" },
          },
        },
        { instance: "billing", task: failed("failed-two", 2) },
        { instance: "billing", task: failed("failed-one", 1) },
        { instance: "orders", task: { ...failed("fine", 4), name: "restart", ends: "SUCCESS" } },
      ],
    }),
  );
  inbox = resources.use(await Inbox.start());
  app = resources.use(
    await RunningApp.start(
      watchConfig(simulator, inbox, { window: { first_poll: "emit" }, privacy: { task_params: true } }),
    ),
  );
  await inbox.event("task.stuck");
  await inbox.until(() => inbox.ofType("task.failed").length === 2);
});

afterAll(() => resources.disposeAsync());

const ids = (tasks: readonly { readonly task: { readonly id: string } }[]) =>
  tasks.map(({ task }) => task.id);

describe("GET /api/v1/tasks", () => {
  test("is by instance, the newest first", async () => {
    const { body } = await api("/tasks");
    const byInstance = Object.groupBy(
      body.tasks as { task: { id: string }; instance: { name: string } }[],
      ({ instance }) => instance.name,
    );
    expect(ids(byInstance.orders ?? [])).toEqual(["fresh", "zombie", "fine"]);
    expect(ids(byInstance.billing ?? [])).toEqual(["failed-one", "failed-two"]);
    expect(body.next).toBeNull();
  });

  test.each([
    ["state=open", ["fresh", "zombie"]],
    ["state=stuck", ["zombie"]],
    ["state=failed", ["failed-one", "failed-two"]],
    ["instance=billing", ["failed-one", "failed-two"]],
    ["instance=ord*&state=all", ["fresh", "zombie", "fine"]],
    ["project=prod&state=stuck", ["zombie"]],
    ["project=other", []],
  ])("?%s", async (query, expected) => {
    expect(ids((await api(`/tasks?${query}`)).body.tasks)).toEqual(expected);
  });

  test("an instance or project may be named by its id", async () => {
    const [orders] = instancesOf(simulator);
    const { body } = await api(`/tasks?instance=${orders?.id}&state=stuck`);
    expect(ids(body.tasks)).toEqual(["zombie"]);
    const { project } = body.tasks[0];
    expect((await api(`/tasks?project=${project.id}&state=stuck`)).body.tasks).toHaveLength(1);
  });

  test("shows since when, against which limit, and what hostile names are, as data", async () => {
    const { body } = await api("/tasks?state=open");
    const [fresh, zombie] = body.tasks;
    expect(zombie).toMatchObject({
      project: { name: "prod" },
      instance: { name: "orders", engine: "kafka" },
      task: { id: "zombie", name: "resize", status: "EXECUTING" },
      verdict: "running_too_long",
      threshold: { seconds: 3600, source: "running_after", samples: 0 },
      limit: { seconds: 3600, source: "running_after", samples: 0 },
      stuck_since: expect.stringMatching(/Z$/),
      failed_since: null,
      acknowledged: null,
    });
    expect(zombie.duration_seconds).toBeGreaterThan(3 * 3600 - 10);
    expect(fresh).toMatchObject({
      task: { name: HOSTILE, user_name: "paas_dms", user_id: "u-5eaf" },
      verdict: null,
      threshold: null,
      limit: { seconds: 3600, source: "running_after" },
    });
    expect(fresh.task.params).toContain("topic");
    expect(JSON.stringify(body)).not.toContain("hunter2");
  });

  test.each(["all", "failed"])("pages of one are complete and in order: state=%s", async (state) => {
    const whole = (await api(`/tasks?state=${state}`)).body.tasks;
    const paged = await allPages(app.url, `/api/v1/tasks?state=${state}&limit=1`, "tasks");
    expect(ids(paged as typeof whole)).toEqual(ids(whole));
  });

  test("a page goes on where the last one ended, though tasks come and go in between", async () => {
    const first = (await api("/tasks?instance=orders&limit=2")).body;
    expect(ids(first.tasks)).toEqual(["fresh", "zombie"]);
    simulator.control.createTask({ instance: "orders" }, { id: "between", name: "scale", runs_for: "1s" });
    await inbox.event("task.succeeded", ({ subject }) => subject === "between");
    const second = (await api(`/tasks?instance=orders&limit=2&after=${first.next}`)).body;
    expect(ids(second.tasks)).toEqual(["fine"]);
    expect(second.next).toBeNull();
  });
});

describe("GET /api/v1/tasks/{id}", () => {
  test("explains as the command does, with the history", async () => {
    const { body } = await api("/tasks/zombie");
    expect(body).toMatchObject({
      task: { id: "zombie" },
      why: expect.stringMatching(
        /^stuck since \S+Z: running_too_long: EXECUTING, age 3h.*, over the limit of 1h/,
      ),
      limit: { seconds: 3600, source: "running_after" },
      notes: ["0 of the 20 runs that a learned limit needs are known"],
      runs_known: 0,
    });
    expect(body.events.map(({ type }: { type: string }) => type)).toEqual(["task.started", "task.stuck"]);
  });

  test("that is not known is 404", async () => {
    const { status, body } = await api("/tasks/nobody");
    expect({ status, body }).toEqual({
      status: 404,
      body: { error: "no task nobody is known to the store" },
    });
  });
});

describe("GET /api/v1/events", () => {
  test("from the oldest on, the same that the webhook got, without the prefix", async () => {
    const events = (await allPages(app.url, "/api/v1/events?limit=2", "events")) as {
      id: string;
      type: string;
      data: unknown;
    }[];
    const got = new Map(inbox.events.map((letter) => [letter.id, letter]));
    expect(events.length).toBeGreaterThanOrEqual(6);
    for (const { id, type, data } of events) {
      await inbox.until(() => inbox.events.some((letter) => letter.id === id));
      expect({ type, data }).toEqual({ type: got.get(id)?.type, data: got.get(id)?.data });
    }
  });

  test("of some types, and a cursor at the end goes on with what comes later", async () => {
    const { body } = await api("/events?type=task.failed,task.stuck&limit=1000");
    expect(new Set(body.events.map(({ type }: { type: string }) => type))).toEqual(
      new Set(["task.failed", "task.stuck"]),
    );
    const nothing = (await api(`/events?after=${body.next}&type=task.cancelled`)).body;
    expect(nothing.events).toEqual([]);
    simulator.control.createTask(
      { instance: "orders" },
      { id: "cancelled", name: "resize", runs_for: "1s", ends: "CANCELLED" },
    );
    const cancelled = await inbox.event("task.cancelled");
    const later = (await api(`/events?after=${nothing.next}&type=task.cancelled`)).body;
    expect(later.events.map(({ id }: { id: string }) => id)).toEqual([cancelled.id]);
  });
});

describe("GET /api/v1/instances", () => {
  test("shows each with its last poll, its interval and what goes on in it", async () => {
    await vi.waitFor(
      async () => {
        const { body } = await api("/instances?instance=orders");
        expect(body.instances).toMatchObject([
          {
            project: { name: "prod" },
            region: "eu-west-101",
            instance: { name: "orders", engine: "kafka" },
            watched: true,
            discovered: false,
            reachable: true,
            unreachable: null,
            last_complete_poll_at: expect.stringMatching(/Z$/),
            poll_interval_seconds: 1,
            maintenance_until: null,
            tasks: { open: 2, stuck: 1, failed: 0 },
            scheduled: [],
          },
        ]);
      },
      { timeout: 20_000, interval: 200 },
    );
    const paged = (await allPages(app.url, "/api/v1/instances?limit=1", "instances")) as {
      instance: { name: string };
    }[];
    expect(paged.map(({ instance }) => instance.name).sort()).toEqual(["billing", "orders"]);
  });
});

describe("GET /api/v1/webhooks", () => {
  test("shows what waits, and the last attempts; of the URL the host alone", async () => {
    const { body } = await api("/webhooks");
    expect(body.webhooks).toMatchObject([
      {
        name: "ops",
        format: "cloudevents",
        hosts: [`127.0.0.1:${inbox.port}`],
        state: "ok",
        dead_letters: 0,
      },
    ]);
    const [attempt] = body.webhooks[0].attempts;
    expect(attempt).toMatchObject({ status: 204, reason: null, event_id: expect.stringMatching(/^evt_/) });
    expect(JSON.stringify(body)).not.toContain(new URL(inbox.url).pathname);
  });

  test("a webhook that is down shows as such, with what waits", async () => {
    inbox.answer = () => 503;
    simulator.control.createTask({ instance: "billing" }, { id: "late", name: "resize", runs_for: "1s" });
    await vi.waitFor(
      async () => {
        const [ops] = (await api("/webhooks")).body.webhooks;
        expect(ops).toMatchObject({ oldest_pending_at: expect.stringMatching(/Z$/) });
        expect(ops.pending).toBeGreaterThan(0);
        expect(ops.attempts[0]).toMatchObject({ status: 503, reason: "server_error" });
      },
      { timeout: 20_000, interval: 100 },
    );
    inbox.answer = () => 204;
    await inbox.event("task.succeeded", ({ subject }) => subject === "late");
  });
});

describe("GET /api/v1/status", () => {
  test("shows the monitor's own health", async () => {
    const { body } = await api("/status");
    expect(body).toMatchObject({
      version: "0.0.0",
      ready: true,
      reasons: [],
      shards: { total: 16, owned: 16 },
      store: { kind: "sqlite", up: true },
      config: { last_reload: null },
      instances: 2,
      tasks: { open: 2, stuck: 1, failed: 2 },
      projects: [
        {
          name: "prod",
          region: "eu-west-101",
          instances: 2,
          not_watched: null,
          unreachable: null,
          credentials_valid: true,
          budget: { requests_per_second: 200, current: 200, needed: 2 },
          discovery: null,
        },
      ],
    });
    expect(body.replicas).toEqual([body.replica]);
  });
});

describe("what is wrong with a request", () => {
  test.each([
    ["/tasks?state=opn", "query.state", '"opn"', "open, stuck, failed, all"],
    ["/tasks?limit=0", "query.limit", '"0"', "a whole number from 1 to 1000"],
    ["/tasks?limit=1e3", "query.limit", '"1e3"', "a whole number from 1 to 1000"],
    ["/tasks?state=open&state=all", "query.state", "given several times", "open, stuck, failed, all"],
    ["/tasks?after=nonsense", "query.after", '"nonsense"', "a cursor that an earlier answer gave"],
    ["/events?after=1", "query.after", '"1"', "a cursor that an earlier answer gave"],
    ["/instances?instance=", "query.instance", '""', /^an instance's name or id/],
    [
      "/events?type=task.failed,taskwatch.task.stuck",
      "query.type",
      /taskwatch\.task\.stuck/,
      /^task\.started, /,
    ],
    ["/tasks?stat=open", "query.stat", /did you mean state\?$/, /project, instance, state/],
    ["/status?verbose=1", "query.verbose", /no such parameter/, "none"],
    ["/tasks?__proto__=x", "query.__proto__", /no such parameter/, /project/],
  ])("%s is answered 400 with where, what and what is allowed", async (path, where, found, allowed) => {
    const { status, body } = await api(path);
    expect(status).toBe(400);
    const [problem] = body.problems;
    expect(problem.where).toBe(where);
    expect(problem.found).toEqual(typeof found === "string" ? found : expect.stringMatching(found));
    expect(problem.allowed).toEqual(typeof allowed === "string" ? allowed : expect.stringMatching(allowed));
    expect(body.error).toContain(where);
  });

  test("all of it is said at once", async () => {
    const { body } = await api("/tasks?state=x&limit=y&z=1");
    expect(body.problems.map(({ where }: { where: string }) => where).sort()).toEqual([
      "query.limit",
      "query.state",
      "query.z",
    ]);
  });

  test("a cursor of another list is none", async () => {
    const { next } = (await api("/tasks?limit=1")).body;
    expect((await api(`/instances?after=${next}`)).status).toBe(400);
    expect((await api(`/tasks?after=${next}`)).status).toBe(200);
  });

  test("a path that is not there is 404, another method 405 with those that are allowed", async () => {
    expect(await api("/nothing")).toMatchObject({ status: 404, body: { error: "not found" } });
    const put = await api("/tasks", { method: "PUT", json: {} });
    expect([put.status, put.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    const get = await api("/tasks/zombie/ack");
    expect([get.status, get.headers.get("allow")]).toEqual([405, "POST"]);
  });

  test("HEAD is answered as GET, without a body", async () => {
    for (const { path } of documentedGets()) {
      const head = await fetch(`${app.url}${path}`, { method: "HEAD" });
      expect([path, head.status, await head.text()]).toEqual([path, 200, ""]);
    }
  });
});

test("what is documented is served, and what is served is documented", async () => {
  for (const { path } of documentedGets()) expect((await ask(app.url, path)).status, path).toBe(200);
  const server = Fastify({ exposeHeadRoutes: false });
  const served: string[] = [];
  server.addHook("onRoute", ({ method, url }) => {
    served.push(`${method} ${url.replace(":id", "{id}")}`);
  });
  const api = {} as Api;
  apiRoutes(server, api);
  eventStream(server, { api, clock: systemClock, stopping: AbortSignal.abort(), onError: () => {} });
  expect(served.sort()).toEqual([...OPERATIONS].sort());
});

const documentedGets = () =>
  OPERATIONS.filter((each) => each.startsWith("GET ") && !each.endsWith("/stream")).map((each) => ({
    path: (each.split(" ")[1] ?? "").replace("{id}", "zombie"),
  }));

test("privacy that was made stricter hides what was recorded before", async () => {
  const page = async () => await (await fetch(`${app.url}/tasks/fresh`)).text();
  expect(await page()).toMatch(/paas_dms.*u-5eaf/);
  const config = watchConfig(simulator, inbox, { window: { first_poll: "emit" } });
  expect(await app.reload({ ...config, privacy: { user_names: false } })).toEqual({ ok: true });
  for (const path of ["/tasks", "/tasks/fresh", "/events?limit=1000"]) {
    const text = JSON.stringify((await api(path)).body);
    expect(text, path).not.toMatch(/paas_dms|u-5eaf/);
    expect(text, path).not.toContain("topic");
  }
  expect(await page()).not.toMatch(/paas_dms|u-5eaf/);
  expect((await api("/status")).body.config.last_reload).toMatchObject({ successful: true, problems: [] });
});

test("a reload that was refused is in the status, with why", async () => {
  const config = watchConfig(simulator, inbox, { store: { url: "sqlite:./other.db" } });
  expect((await app.reload(config)).ok).toBe(false);
  const { last_reload: last } = (await api("/status")).body.config;
  expect(last).toMatchObject({
    successful: false,
    problems: [expect.stringMatching(/^store\.url cannot change/)],
  });
});
