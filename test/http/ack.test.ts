import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { type Answer, type ApiRequest, ask } from "../support/api-client.ts";
import { RedisServer } from "../support/redis.ts";
import { RunningApp } from "../support/running-app.ts";
import { scrape } from "../support/scrape.ts";
import { watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

/** Every replica shows an acknowledgement within this time. */
const SEEN_MS = 5_000;
const BASIC = { authorization: `Basic ${Buffer.from("ana:pass").toString("base64")}` };
const BEARER = { authorization: "Bearer s3cret" };

const resources = new AsyncDisposableStack();
let simulator: Simulator;
let inbox: Inbox;
/** On one Redis. The first knows users, the second a token, the third nobody. */
let replicas: readonly RunningApp[];

const HEADERS = [BASIC, BEARER, {}] as const;
const post = (replica: number, id: string, json?: unknown, request: ApiRequest = {}): Promise<Answer> =>
  ask(replicas[replica]?.url ?? "", `/api/v1/tasks/${id}/ack`, {
    method: "POST",
    headers: { ...HEADERS[replica] },
    ...(json === undefined ? {} : { json }),
    ...request,
  });
const get = (replica: number, path: string): Promise<Answer> =>
  ask(replicas[replica]?.url ?? "", `/api/v1${path}`, { headers: { ...HEADERS[replica] } });

/** Each gauge is exposed by one replica. */
async function gauge(name: string, labels: Record<string, string>): Promise<number> {
  const all = await Promise.all(replicas.map(({ url }, index) => scrape(url, { ...HEADERS[index] })));
  return all.reduce((sum, each) => sum + each.sum(name, labels), 0);
}
const seen = (name: string, labels: Record<string, string>, value: number) =>
  vi.waitFor(async () => expect(await gauge(name, labels)).toBe(value), { timeout: SEEN_MS, interval: 50 });

beforeAll(async () => {
  const failed = (id: string, name: string) => ({
    id,
    name,
    created_ago: "1h",
    runs_for: "90s",
    ends: "FAILED",
  });
  simulator = resources.use(
    await startSimulator({
      projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }, { name: "billing" }] }],
      steps: [
        {
          instance: "orders",
          task: { id: "zombie", name: "resize", created_ago: "3h", runs_for: "forever" },
        },
        { instance: "orders", task: { id: "fine", name: "restart", created_ago: "3h", runs_for: "1m" } },
        { instance: "billing", task: failed("failed", "bindPublicIp") },
        { instance: "billing", task: failed("more", "enablePlugin") },
        { instance: "orders", task: failed("twin", "reassign") },
        { instance: "billing", task: failed("twin", "reassign") },
      ],
    }),
  );
  inbox = resources.use(await Inbox.start());
  const redis = resources.use(await RedisServer.start());
  const config = watchConfig(simulator, inbox, {
    window: { first_poll: "emit" },
    store: { url: redis.url, lease: "3s" },
  });
  const auths = [{ basic: { user: "ana", password: "pass" } }, { bearer_token: "s3cret" }, undefined];
  replicas = await Promise.all(
    auths.map(async (auth) =>
      resources.use(
        await RunningApp.start({
          ...config,
          server: { listen: "127.0.0.1:0", ...(auth === undefined ? {} : { auth }) },
        }),
      ),
    ),
  );
  await inbox.event("task.stuck");
  await inbox.until(() => inbox.ofType("task.failed").length === 4);
}, 60_000);

afterAll(() => resources.disposeAsync());

describe("POST /api/v1/tasks/{id}/ack", () => {
  test("of a stuck task: its gauge stops on whatever replica owns it, the webhook hears who, every replica shows it", async () => {
    await seen("dms_tasks_stuck", { task_name: "resize" }, 1);
    const { status, body } = await post(1, "zombie", { by: "alice", reason: "the cloud never closes it" });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      task: { id: "zombie", status: "EXECUTING" },
      verdict: null,
      acknowledged: { by: "alice", reason: "the cloud never closes it", at: expect.stringMatching(/Z$/) },
    });
    await seen("dms_tasks_stuck", { task_name: "resize" }, 0);
    const { data } = await inbox.event("task.recovered", ({ subject }) => subject === "zombie");
    expect(data).toMatchObject({
      project: { name: "prod", region: "eu-west-101" },
      recovered_from: "stuck",
      resolution: "acknowledged",
      resolved_by: { user: "alice" },
    });
    for (const replica of [0, 1, 2]) {
      const shown = (await get(replica, "/tasks/zombie")).body;
      expect(shown.acknowledged, `replica ${replica}`).toEqual(body.acknowledged);
      expect(shown.why).toMatch(/^not stuck: acknowledged by alice at /);
      expect((await get(replica, "/tasks?state=stuck")).body.tasks).toEqual([]);
    }
  });

  test("of a failure, by the user of basic authentication", async () => {
    const { status, body } = await post(0, "failed");
    expect(status).toBe(200);
    expect(body).toMatchObject({ failed_since: null, acknowledged: { by: "ana", reason: null } });
    await seen("dms_task_failures_open", { task_name: "bindPublicIp" }, 0);
    const { data } = await inbox.event("task.recovered", ({ subject }) => subject === "failed");
    expect(data).toMatchObject({ recovered_from: "failure", resolved_by: { user: "ana" } });
    expect(replicas[0]?.log.text).toContain('"by":"ana"');
  });

  test("once more gives the same answer and changes nothing, however many ask at once", async () => {
    const answers = await Promise.all(
      [0, 1, 0, 1].map((replica, n) => post(replica, "more", { by: `u${n}` })),
    );
    const again = await post(0, "more", { by: "late" });
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(body.acknowledged).toEqual(again.body.acknowledged);
    }
    await inbox.event("task.recovered", ({ subject }) => subject === "more");
    await seen("dms_task_failures_open", { task_name: "enablePlugin" }, 0);
    const { events } = (await get(1, "/tasks/more")).body;
    expect(events.filter(({ type }: { type: string }) => type === "task.recovered")).toHaveLength(1);
  });

  test("of one that is neither is refused with a sentence, of an unknown one is 404", async () => {
    const fine = await post(0, "fine");
    expect([fine.status, fine.body]).toEqual([
      409,
      { error: "task fine is neither an open failure nor stuck: SUCCESS" },
    ]);
    expect((await post(0, "nobody")).status).toBe(404);
  });

  test("of an id that stands on several instances asks which, and does nothing before", async () => {
    const both = await post(0, "twin");
    expect([both.status, both.body.error]).toEqual([409, expect.stringMatching(/add \?instance=/)]);
    expect(await gauge("dms_task_failures_open", { task_name: "reassign" })).toBe(2);
    const url = replicas[0]?.url ?? "";
    const one = await ask(url, "/api/v1/tasks/twin/ack?instance=orders", { method: "POST", headers: BASIC });
    expect([one.status, one.body.instance.name]).toEqual([200, "orders"]);
    await seen("dms_task_failures_open", { task_name: "reassign" }, 1);
  });

  test("needs auth to be configured", async () => {
    const { status, body } = await post(2, "twin", { by: "mallory" });
    expect([status, body.error]).toEqual([403, expect.stringMatching(/needs server\.auth/)]);
  });

  test.each<[string, unknown, string, string?]>([
    ["nobody who says who", {}, "body.by"],
    ["an empty name", { by: " " }, "body.by"],
    ["a name too long", { by: "x".repeat(101) }, "body.by"],
    ["a number for a name", { by: 1 }, "body.by"],
    ["a key that there is not", { by: "al", why: "x" }, "body.why"],
    ["a list", [], "body", "a list"],
    ["a text", "x", "body"],
  ])("%s is answered 400", async (_what, json, where, found) => {
    const { status, body } = await post(1, "twin", json);
    expect([status, body.problems?.[0].where]).toEqual([400, where]);
    if (found !== undefined) expect(body.problems[0].found).toBe(found);
  });

  test("wrong credentials, a form, a form of another site and a body too large are refused", async () => {
    expect((await post(0, "twin", {}, { headers: BEARER })).status).toBe(401);
    const url = `${replicas[0]?.url}/api/v1/tasks/twin/ack`;
    const form = { method: "POST", body: new URLSearchParams({ by: "mallory" }) };
    expect((await fetch(url, { ...form, headers: BASIC })).status).toBe(415);
    const crossSite = { ...BASIC, "sec-fetch-site": "cross-site" };
    expect((await post(0, "twin", {}, { headers: crossSite })).status).toBe(403);
    const large = JSON.stringify({ reason: "x".repeat(70_000) });
    const headers = { ...BASIC, "content-type": "application/json" };
    expect((await fetch(url, { method: "POST", headers, body: large })).status).toBe(413);
    expect((await fetch(url, { method: "POST", headers, body: "{" })).status).toBe(400);
    expect(await gauge("dms_task_failures_open", { task_name: "reassign" })).toBe(1);
  });
});

test("every replica shows the whole, not only its own shards", async () => {
  const names = ({ body }: Answer) =>
    body.instances.map(({ instance }: { instance: { name: string } }) => instance.name).sort();
  const shown = await Promise.all([0, 1, 2].map((replica) => get(replica, "/instances")));
  for (const answer of shown) expect(names(answer)).toEqual(["billing", "orders"]);
  const status = await Promise.all([0, 1, 2].map((replica) => get(replica, "/status")));
  for (const { body } of status) {
    expect(body.replicas).toHaveLength(3);
    expect(body).toMatchObject({ store: { kind: "redis", up: true }, instances: 2 });
  }
  expect(status.reduce((sum, { body }) => sum + body.shards.owned, 0)).toBe(16);
});
