import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MALFORMED } from "../../src/simulator/malformed.ts";
import { DEFAULT_PROJECT_ID, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { page, tasksUrl } from "./client.ts";

const ORDERS = { instance: "orders" };

let simulator: Simulator;
let orders: string;
let waited: number[];
beforeEach(async () => {
  waited = [];
  simulator = await startSimulator({
    check_signatures: false,
    sleep: async (ms) => {
      waited.push(ms);
    },
  });
  orders = simulator.control.addInstance({ name: "orders" });
  for (let n = 1; n <= 4; n++) {
    simulator.control.createTask(ORDERS, { id: `t${n}`, status: "SUCCESS", created_ago: (5 - n) * 60_000 });
  }
});
afterEach(() => simulator.close());

function call(query = ""): Promise<Response> {
  return fetch(`${tasksUrl(simulator.url, orders)}${query}`, { redirect: "manual" });
}

async function answer(): Promise<{ status: number; body: string }> {
  const response = await call();
  return { status: response.status, body: await response.text() };
}

test("throttling comes as 429, with or without Retry-After, and as the 404 that means the same", async () => {
  simulator.control.addFault({ kind: "throttled", times: 1 });
  simulator.control.addFault({ kind: "throttled", times: 1, retry_after: 7 });
  simulator.control.addFault({ kind: "throttled_404", times: 1 });
  const first = await call();
  expect([first.status, first.headers.get("retry-after")]).toEqual([429, null]);
  expect(await first.json()).toMatchObject({
    error_code: "APIGW.0308",
    error_msg: expect.stringContaining("limit:5,time:1 second"),
  });
  const second = await call();
  expect([second.status, second.headers.get("retry-after")]).toEqual([429, "7"]);
  expect(await answer()).toMatchObject({ status: 404, body: expect.stringContaining("DMS.10240407") });
  expect((await answer()).status).toBe(200);
});

test("an error has the status, code, headers and body shape that it is given", async () => {
  const bodies: Record<string, unknown> = {};
  for (const shape of [
    "dms",
    "gateway",
    "iam",
    "dcs1",
    "dcs2",
    "iam5",
    "iam5_nested",
    "plain",
    "nested",
    "details",
    "cce",
    "text",
    "html",
    "empty",
  ] as const) {
    simulator.control.addFault({
      kind: "error",
      status: 503,
      code: "DMS.111501025",
      message: "no",
      shape,
      times: 1,
    });
    bodies[shape] = (await answer()).body.replace(/"request_id":"[^"]*"/, '"request_id":"r"');
  }
  expect(bodies).toMatchObject({
    dms: '{"error_code":"DMS.111501025","error_msg":"no"}',
    gateway: '{"error_msg":"no","error_code":"DMS.111501025","request_id":"r"}',
    iam: '{"error":{"message":"no","code":503,"title":"Service Unavailable"}}',
    dcs1: '{"error":{"code":"DMS.111501025","message":"no"}}',
    dcs2: '{"error_code":"111501025","error_msg":"no","error_ext_msg":null}',
    plain: '{"code":"DMS.111501025","message":"no"}',
    details: '{"details":[{"code":"DMS.111501025","message":"no"}]}',
    cce: '{"errorCode":"DMS.111501025","errorMessage":"no"}',
    text: "no",
    html: expect.stringMatching(/^<html>/),
    empty: "",
  });
});

describe("a rule says which calls are hit", () => {
  test("by project, instance and operation", async () => {
    simulator.control.addInstance({ id: "other", name: "billing" });
    simulator.control.addFault({
      kind: "throttled",
      instance: "bill*",
      operation: ["list_*"],
      project: "eu-*",
    });
    expect((await answer()).status).toBe(200);
    expect((await fetch(tasksUrl(simulator.url, "other"))).status).toBe(429);
    expect((await fetch(`${tasksUrl(simulator.url, "other")}/x`)).status).toBe(404);
  });

  test("by number, after some that are let through", async () => {
    const id = simulator.control.addFault({ kind: "throttled", skip: 2, times: 3 });
    const seen: number[] = [];
    for (let n = 0; n < 7; n++) seen.push((await answer()).status);
    expect(seen).toEqual([200, 200, 429, 429, 429, 200, 200]);
    expect(simulator.control.faults()).toEqual([{ id, kind: "throttled", hits: 3 }]);
  });

  test("by time", async () => {
    simulator.control.addFault({ kind: "throttled", for: "30s" });
    expect((await answer()).status).toBe(429);
    simulator.control.advance("30s");
    expect((await answer()).status).toBe(200);
  });

  test("by chance that is the same in every run", async () => {
    const runs: number[][] = [];
    for (let run = 0; run < 2; run++) {
      simulator.control.reset();
      simulator.control.addInstance({ id: "i" });
      simulator.control.addFault({ kind: "throttled", probability: 0.5 });
      const seen: number[] = [];
      for (let n = 0; n < 20; n++) seen.push((await fetch(tasksUrl(simulator.url, "i"))).status);
      runs.push(seen);
    }
    expect(runs[0]).toEqual(runs[1]);
    expect(new Set(runs[0])).toEqual(new Set([200, 429]));
  });

  test("and it can be taken back", async () => {
    const id = simulator.control.addFault({ kind: "throttled" });
    simulator.control.clearFaults(id);
    expect((await answer()).status).toBe(200);
  });
});

describe("an answer is damaged on its way", () => {
  test("cut, empty, replaced, redirected", async () => {
    const whole = (await answer()).body;
    simulator.control.addFault({ kind: "truncated", times: 1 });
    expect((await answer()).body).toBe(whole.slice(0, Math.floor(whole.length / 2)));
    simulator.control.addFault({ kind: "empty", times: 1 });
    expect(await answer()).toEqual({ status: 200, body: "" });
    simulator.control.addFault({
      kind: "body",
      body: "<p>login</p>",
      headers: { "content-type": "text/html" },
      times: 1,
    });
    expect(await answer()).toEqual({ status: 200, body: "<p>login</p>" });
    simulator.control.addFault({ kind: "redirect", location: "http://127.0.0.1:9/", times: 1 });
    const redirect = await call();
    expect([redirect.status, redirect.headers.get("location")]).toEqual([302, "http://127.0.0.1:9/"]);
  });

  test("slow: before it begins, and byte by byte", async () => {
    simulator.control.addFault({ kind: "delay", delay: "3s", times: 1 });
    expect((await answer()).status).toBe(200);
    expect(waited).toEqual([3000]);
    waited.length = 0;
    simulator.control.addFault({ kind: "drip", every: "100ms", bytes: 7, times: 1 });
    const { body } = await answer();
    expect(waited).toEqual(Array.from({ length: Math.ceil(body.length / 7) }, () => 100));
    expect(JSON.parse(body)).toMatchObject({ task_count: "4" });
  });

  test.each([
    { kind: "reset" },
    { kind: "reset", after_bytes: 20 },
    { kind: "wrong_length", by: 10 },
  ] as const)("broken off: %o", async (fault) => {
    simulator.control.addFault({ ...fault, times: 1 });
    await expect(answer()).rejects.toThrow();
    expect((await answer()).status).toBe(200);
  });

  test("never sent, until the simulator is closed", async () => {
    simulator.control.addFault({ kind: "hang" });
    const waiting = expect(answer()).rejects.toThrow();
    while (simulator.control.requestCount() === 0) await new Promise((resolve) => setImmediate(resolve));
    await simulator.close();
    await waiting;
  });

  test("a length that is too short leaves the rest behind", async () => {
    const whole = (await answer()).body;
    simulator.control.addFault({ kind: "wrong_length", by: -10, times: 1 });
    const read = answer();
    await expect(read.then(({ body }) => body)).resolves.toBe(whole.slice(0, -10));
  });

  test("a client that leaves in the middle ends a slow answer", async () => {
    await using slow = await startSimulator({
      check_signatures: false,
      projects: [{ instances: [{ id: "i" }] }],
    });
    slow.control.addFault({ kind: "drip", every: "20ms" });
    const leaving = new AbortController();
    const response = await fetch(tasksUrl(slow.url, "i"), { signal: leaving.signal });
    leaving.abort();
    await expect(response.text()).rejects.toThrow();
    slow.control.clearFaults();
    expect((await fetch(tasksUrl(slow.url, "i"))).status).toBe(200);
  });

  test("many megabytes, plain and as a gzip bomb", async () => {
    const bytes = 3 * 1024 * 1024;
    simulator.control.addFault({ kind: "huge", bytes, times: 1 });
    const { body } = await answer();
    expect(body.length).toBeGreaterThan(bytes);
    expect(JSON.parse(body)).toMatchObject({ task_count: "4" });
    simulator.control.addFault({ kind: "huge", bytes, gzip: true, times: 1 });
    const bomb = await call();
    expect(bomb.headers.get("content-encoding")).toBe("gzip");
    expect((await bomb.text()).length).toBe(body.length);
  });

  test.each(MALFORMED)("malformed: %s", async (variant) => {
    const whole = (await answer()).body;
    simulator.control.addFault({ kind: "malformed", variant, times: 1 });
    const { status, body } = await answer();
    expect(status).toBe(200);
    expect(() => JSON.parse(body)).not.toThrow();
    expect(body).not.toBe(whole);
  });
});

test("a malformed task leaves the others whole, unless all are asked for", async () => {
  simulator.control.addFault({ kind: "malformed", variant: "proto_ids", times: 1 });
  simulator.control.addFault({ kind: "malformed", variant: "garbage_dates", all: true, times: 1 });
  expect((await page(simulator.url, orders)).tasks.map((task) => task.id)).toEqual([
    "__proto__",
    "t3",
    "t2",
    "t1",
  ]);
  expect(new Set((await page(simulator.url, orders)).tasks.map((task) => task.created_at))).toEqual(
    new Set(["yesterday"]),
  );
});

describe("the list shifts between pages", () => {
  const ids = async (query: string): Promise<string[]> =>
    (await page(simulator.url, orders, query)).tasks.map((task) => task.id);

  test("by a rule: deletions make a naive reader miss a task", async () => {
    simulator.control.addFault({ kind: "shift", after_page: 1, delete: 1, times: 1 });
    expect(await ids("?start=1&limit=2")).toEqual(["t4", "t3"]);
    expect(await ids("?start=3&limit=2")).toEqual(["t1"]);
  });

  test("by a rule: additions make it see one twice", async () => {
    simulator.control.addFault({ kind: "shift", add: 1, times: 1 });
    expect(await ids("?start=1&limit=2")).toEqual(["t4", "t3"]);
    expect(await ids("?start=3&limit=2")).toEqual(["t3", "t2"]);
  });

  test("by a hook that hears of every page", async () => {
    const pages: number[] = [];
    simulator.control.onPage(({ page: number, instance, project }) => {
      expect([instance, project]).toEqual([orders, DEFAULT_PROJECT_ID]);
      pages.push(number);
    });
    for (const start of [1, 3, 1, 2, 3]) await call(`?start=${start}&limit=2`);
    expect(pages).toEqual([1, 2, 1, 2, 3]);
  });
});

test("calls above the project's limit within a second are refused", async () => {
  let now = Date.UTC(2026, 10, 24);
  await using limited = await startSimulator({
    clock: () => now,
    check_signatures: false,
    projects: [{ requests_per_second: 3, instances: [{ id: "i" }] }],
  });
  const seen: number[] = [];
  for (const at of [0, 100, 200, 300, 999, 1000, 1001, 1100]) {
    now = Date.UTC(2026, 10, 24) + at;
    seen.push((await fetch(tasksUrl(limited.url, "i"))).status);
  }
  expect(seen).toEqual([200, 200, 200, 429, 429, 200, 429, 200]);
  expect(limited.control.worstWindow({}, 1000)).toEqual({ count: 6, from: Date.UTC(2026, 10, 24) + 100 });
  expect(limited.control.worstWindow({ status: 200 })).toEqual({ count: 3, from: Date.UTC(2026, 10, 24) });
});

test("the request log says who asked for what and how it ended, and is bounded", async () => {
  await using small = await startSimulator({ log_size: 3, check_signatures: false });
  const id = small.control.addFault({ kind: "throttled", skip: 3, times: 1 });
  for (let n = 0; n < 4; n++) await fetch(`${tasksUrl(small.url, `i${n}`)}?limit=${n}`);
  await fetch(`${tasksUrl(small.url, "i4")}/t1`, { headers: { "x-auth-token": "x" } });
  expect(small.control.requestCount()).toBe(5);
  expect(small.control.requests()).toMatchObject([
    {
      seq: 3,
      operation: "list_tasks",
      instance: "i2",
      query: "limit=2",
      status: 404,
      code: "DMS.00404022",
      key: "",
    },
    { seq: 4, instance: "i3", status: 429, code: "APIGW.0308", fault: id },
    { seq: 5, operation: "show_task", task: "t1", key: "token", project: DEFAULT_PROJECT_ID, method: "GET" },
  ]);
  expect(small.control.requests({ status: 429, after: 3 })).toHaveLength(1);
});
