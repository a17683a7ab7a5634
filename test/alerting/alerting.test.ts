import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Alerting } from "../../src/alerting/alerting.ts";
import type { InstanceSnapshot } from "../../src/alerting/alerts.ts";
import type { Config, WebhookConfig } from "../../src/config/config.ts";
import { Secret } from "../../src/config/secret.ts";
import type { TaskState } from "../../src/core/state.ts";
import type { DeliveryFact } from "../../src/ports/telemetry.ts";
import { record, task } from "../observe/views.ts";
import { webhookConfig } from "../outbox/harness.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { type Received, type Receiver, type Reply, startReceiver } from "../support/receiver.ts";

/* Posts over real sockets, on a clock that the test moves; the receiver's clock is behind or ahead of it by `skew`. */

interface Posted {
  readonly labels: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
}

const MINUTE = 60_000;
const BEGAN = Date.parse("2026-11-24T09:59:00.000Z");

let clock: ManualClock;
let receiver: Receiver;
let alerting: Alerting;
let facts: DeliveryFact[];
let snapshots: InstanceSnapshot[];
let gone: Set<string>;
let notMine: Set<number>;
let skew: number;
/** Requests that began, and those that no answer ends. */
let begun: number;
let hanging: number;
const onBegin = () => begun++;

/** As the receiver answers, with its own clock. */
const reply = (status: number, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers: { date: new Date(clock.now() + skew).toUTCString(), ...headers },
});
const script = (...statuses: readonly number[]) =>
  receiver.script(...statuses.map((status) => reply(status)));

beforeEach(async () => {
  clock = new ManualClock();
  receiver = await startReceiver();
  receiver.otherwise(() => reply(200));
  facts = [];
  snapshots = [];
  gone = new Set();
  notMine = new Set();
  skew = 0;
  begun = 0;
  hanging = 0;
  subscribe("undici:request:create", onBegin);
  alerting = new Alerting({
    snapshots: () => snapshots,
    isGone: (_shard, key) => gone.has(key),
    mine: (shard) => !notMine.has(shard),
    clock,
    random: () => 0.5,
    emit: (fact) => facts.push(fact),
    onUnforeseen: (error) => {
      throw error;
    },
    version: "1.2.3",
    lastEvents: async () => [],
    shardOf: () => 0,
  });
});
afterEach(async () => {
  await alerting.stop(0);
  await receiver.close();
  unsubscribe("undici:request:create", onBegin);
});

const webhook = (over: Partial<WebhookConfig> = {}): WebhookConfig =>
  webhookConfig(`http://127.0.0.1:${receiver.port}/am/?x=1`, {
    name: "am",
    format: "alertmanager",
    events: ["task.failed"],
    ...over,
  });
const apply = (...webhooks: readonly WebhookConfig[]) =>
  alerting.apply({ webhooks, server: { external_url: "" } as Config["server"] });

function snapshot(id: string, tasks: readonly Partial<TaskState>[], shard = 0): InstanceSnapshot {
  const all = tasks.map((over) => task({ status: "FAILED", failedAt: BEGAN, ...over }));
  return {
    key: `p/${id}`,
    shard,
    project: { name: "prod", region: "eu-west-101" },
    instance: { id, name: id, engine: "kafka" },
    state: { record: record({ instanceId: id }), tasks: new Map(all.map((one) => [one.id, one])) },
  };
}
function see(one: InstanceSnapshot): void {
  snapshots = [...snapshots.filter(({ key }) => key !== one.key), one];
  alerting.changed(one);
}

const alertsIn = ({ body }: Received): Posted[] => JSON.parse(body) as Posted[];
const idsIn = (request: Received) => alertsIn(request).map(({ labels }) => labels.task_id);
/** Nothing is on its way. */
async function quiet(): Promise<void> {
  for (let turns = 0; turns < 5 || begun - hanging > of("attempt").length; turns++) await turn();
}
/** The next post, once it is settled. */
async function next(): Promise<Received> {
  const request = await receiver.next();
  await quiet();
  return request;
}
/** Time goes on only while nothing is on its way. */
async function pass(ms: number): Promise<void> {
  const end = clock.monotonic() + ms;
  for (let left = ms; left > 0; left = end - clock.monotonic()) {
    await quiet();
    await clock.advance(Math.min(left, clock.nextWake ?? left));
  }
  await quiet();
}
const of = <K extends DeliveryFact["kind"]>(kind: K) =>
  facts.filter((fact): fact is Extract<DeliveryFact, { kind: K }> => fact.kind === kind);
const lasting = ({ endsAt }: Posted) => Date.parse(endsAt) > clock.now();

describe("what is posted", () => {
  test("is the news at once, and everything once a minute; nothing where nothing lasts", async () => {
    apply(webhook());
    await pass(5 * MINUTE);
    expect(receiver.requests).toEqual([]);
    see(snapshot("i1", [{ id: "a" }]));
    const first = await next();
    expect(first).toMatchObject({ method: "POST", path: "/am/api/v2/alerts?x=1" });
    expect(first.headers["content-type"]).toBe("application/json");
    see(snapshot("i2", [{ id: "b" }]));
    expect(idsIn(await next())).toEqual(["b"]);
    await pass(MINUTE);
    expect(idsIn(await next())).toEqual(["a", "b"]);
    await pass(MINUTE - 1);
    expect(receiver.requests).toHaveLength(3);
    await pass(1);
    expect(idsIn(await next())).toEqual(["a", "b"]);
  });

  test("is an end, again and again until the alert would have ended by itself", async () => {
    apply(webhook());
    see(snapshot("i1", [{ id: "a" }]));
    expect(alertsIn(await next()).map(lasting)).toEqual([true]);
    await pass(10_000);
    const ended = clock.now();
    see(snapshot("i1", []));
    const [over] = alertsIn(await next());
    expect(over?.endsAt).toBe(new Date(ended).toISOString());
    for (let minute = 0; minute < 19; minute++) {
      await pass(MINUTE);
      expect(alertsIn(await next())[0]?.endsAt).toBe(over?.endsAt);
      alerting.sync();
    }
    await pass(2 * MINUTE);
    await next();
    alerting.sync();
    const posts = receiver.requests.length;
    await pass(10 * MINUTE);
    expect(receiver.requests).toHaveLength(posts);
  });

  test("is in posts of at most 200 alerts, all of them", async () => {
    apply(webhook());
    see(
      snapshot(
        "i1",
        Array.from({ length: 450 }, (_, n) => ({ id: `t${n}` })),
      ),
    );
    const posts = [await next(), await next(), await next()].map(idsIn);
    expect(posts.map(({ length }) => length)).toEqual([200, 200, 50]);
    expect(new Set(posts.flat()).size).toBe(450);
  });

  test("is nothing of a shard whose lease is in doubt, and all of it when it is not", async () => {
    apply(webhook());
    notMine.add(1);
    see(snapshot("i1", [{ id: "a" }], 1));
    see(snapshot("i2", [{ id: "b" }], 2));
    expect(idsIn(await next())).toEqual(["b"]);
    notMine.clear();
    alerting.sync();
    expect(idsIn(await next())).toEqual(["a"]);
    // Another replica's by now, and its to tell.
    alerting.lost(1);
    snapshots = snapshots.filter(({ shard }) => shard !== 1);
    await pass(MINUTE);
    expect(idsIn(await next())).toEqual(["b"]);
  });

  test("is the end of what an instance had that is gone, not of what is only not watched yet", async () => {
    apply(webhook());
    see(snapshot("i1", [{ id: "a" }]));
    await next();
    snapshots = [];
    alerting.sync();
    await pass(MINUTE);
    expect(alertsIn(await next()).map(lasting)).toEqual([true]);
    gone.add("p/i1");
    alerting.sync();
    expect(alertsIn(await next()).map(lasting)).toEqual([false]);
  });

  test("ends what a changed configuration sends no more, and goes on with the rest", async () => {
    apply(webhook());
    see(snapshot("i1", [{ id: "a" }, { id: "b", name: "other" }]));
    await next();
    const match = { project: null, instance: null, task: ["other"], engine: null, region: null };
    apply(webhook({ match }));
    const posted = alertsIn(await next());
    expect(posted.map((alert) => [alert.labels.task_id, lasting(alert)])).toEqual([
      ["a", false],
      ["b", true],
    ]);
  });

  test("goes to the API below each URL, also where that names it already", async () => {
    const urls = ["", "/", "/prefix", "/prefix/api/v2/alerts", "/api/v2/alerts/"].map(
      (path) => new Secret(`http://127.0.0.1:${receiver.port}${path}`),
    );
    apply(webhook({ urls: urls as [Secret, ...Secret[]] }));
    see(snapshot("i1", [{ id: "a" }]));
    for (const _ of urls) await next();
    const [plain, prefixed] = ["/api/v2/alerts", "/prefix/api/v2/alerts"];
    expect(receiver.requests.map(({ path }) => path).toSorted()).toEqual([
      plain,
      plain,
      plain,
      prefixed,
      prefixed,
    ]);
  });

  test("has the headers and the credentials of the webhook", async () => {
    apply(
      webhook({
        headers: { "X-Scope-OrgID": new Secret("ten4nt") },
        auth: { kind: "bearer", token: new Secret("t0k3n") },
      }),
    );
    see(snapshot("i1", [{ id: "a" }]));
    expect((await next()).headers).toMatchObject({
      "x-scope-orgid": "ten4nt",
      authorization: "Bearer t0k3n",
      "user-agent": "dms-taskwatch/1.2.3",
    });
    expect(JSON.stringify([facts, alerting.status()])).not.toMatch(/ten4nt|t0k3n|x=1/);
  });
});

describe("a post that fails", () => {
  test("is made again with growing waits, at least once a minute, with what lasts by then", async () => {
    script(503, 503, 503, 503, 503, 503, 503, 503);
    apply(webhook());
    see(snapshot("i1", [{ id: "a" }]));
    const times = [clock.monotonic()];
    await next();
    for (let post = 0; post < 8; post++) {
      const before = receiver.requests.length;
      while (receiver.requests.length === before) await pass(250);
      times.push(clock.monotonic());
      await next();
    }
    const waits = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(waits[0]).toBeLessThanOrEqual(2_500);
    expect(Math.max(...waits)).toBeLessThanOrEqual(MINUTE + 500);
    expect(waits.at(-1)).toBeGreaterThan(20_000);
    expect(of("attempt").filter(({ reason }) => reason === "server_error")).toHaveLength(8);
    expect(of("posted")).toEqual([{ kind: "posted", webhook: "am", alerts: 1 }]);
    expect(of("breaker_opened")).toHaveLength(1);
    expect(of("breaker_closed")).toHaveLength(1);
  });

  test("waits as long as it is asked to, up to five minutes", async () => {
    receiver.script(reply(429, { "retry-after": "90" }), reply(429, { "retry-after": "86400" }));
    apply(webhook());
    see(snapshot("i1", [{ id: "a" }]));
    await next();
    await pass(89_000);
    expect(receiver.requests).toHaveLength(1);
    await pass(1_000);
    await next();
    await pass(299_000);
    expect(receiver.requests).toHaveLength(2);
    await pass(1_000);
    await next();
    expect(of("posted")).toHaveLength(1);
  });

  test("with a 400 is not repeated at once: what was good in it has been taken", async () => {
    script(400);
    apply(webhook());
    see(snapshot("i1", [{ id: "a" }]));
    await next();
    await pass(MINUTE - 1_000);
    expect(receiver.requests).toHaveLength(1);
    see(snapshot("i1", [{ id: "a" }, { id: "b" }]));
    expect(idsIn(await next())).toEqual(["b"]);
    expect(of("attempt")[0]).toMatchObject({ outcome: "refused", reason: "refused", status: 400, events: 1 });
  });

  test("with a 410 disables nothing", async () => {
    script(410);
    apply(webhook());
    see(snapshot("i1", [{ id: "a" }]));
    await next();
    await pass(5_000);
    await next();
    expect(of("posted")).toHaveLength(1);
    expect(of("disabled")).toEqual([]);
  });

  test("at one of two addresses is no trouble of the webhook, and holds up nothing", async () => {
    const other = await startReceiver();
    try {
      other.otherwise("hang");
      hanging = 1;
      const urls = [other.url, receiver.url].map((url) => new Secret(url)) as [Secret, Secret];
      apply(webhook({ urls }));
      for (let n = 0; n < 5; n++) {
        see(snapshot("i1", [{ id: `t${n}` }]));
        await next();
      }
      expect(of("posted")).toHaveLength(5);
      expect(other.requests).toHaveLength(1);
      expect(of("breaker_opened")).toEqual([]);
      expect(alerting.status()).toMatchObject([{ name: "am", down: false }]);
    } finally {
      await alerting.stop(0);
      await other.close();
    }
  });
});

describe("the receiver's clock", () => {
  test.each([
    ["behind", -10 * MINUTE],
    ["ahead", 10 * MINUTE],
  ])("%s ours: no end lies ahead of it, and what lasts lasts twenty minutes by it", async (_, ms) => {
    skew = ms;
    apply(webhook());
    see(snapshot("i1", [{ id: "a" }]));
    await next();
    await pass(MINUTE);
    const theirs = clock.now() + skew;
    const [lasts] = alertsIn(await next());
    expect(Math.abs(Date.parse(lasts?.endsAt ?? "") - theirs - 20 * MINUTE)).toBeLessThan(2_000);
    see(snapshot("i1", []));
    const [over] = alertsIn(await next());
    expect(Date.parse(over?.endsAt ?? "")).toBeLessThanOrEqual(theirs);
    expect(Date.parse(over?.endsAt ?? "")).toBeGreaterThanOrEqual(Date.parse(over?.startsAt ?? ""));
  });
});

test("a stop lets a post that is under way end, and says no end of what goes on", async () => {
  let answer: (reply: Reply) => void = () => undefined;
  receiver.script(
    new Promise<Reply>((resolve) => {
      answer = resolve;
    }),
  );
  apply(webhook());
  see(snapshot("i1", [{ id: "a" }]));
  await receiver.next();
  const stopped = alerting.stop(8_000);
  await clock.advance(1_000);
  answer(reply(200));
  await stopped;
  expect(of("posted")).toHaveLength(1);
  expect(receiver.requests).toHaveLength(1);
});
