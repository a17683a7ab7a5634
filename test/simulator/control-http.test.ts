import { afterEach, beforeEach, expect, test } from "vitest";
import { DEFAULT_PROJECT_ID, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { page } from "./client.ts";

let simulator: Simulator;
beforeEach(async () => {
  simulator = await startSimulator();
});
afterEach(() => simulator.close());

async function get(path: string): Promise<[number, unknown]> {
  const response = await fetch(`${simulator.url}/_control${path}`);
  return [response.status, await response.json()];
}

async function post(path: string, body: unknown): Promise<[number, unknown]> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`${simulator.url}/_control${path}`, { method: "POST", body: text });
  return [response.status, await response.json()];
}

test("steps over HTTP do what the control object does", async () => {
  const [status, answer] = await post("/steps", [
    { add_instance: { id: "i", name: "orders" } },
    { instance: "orders", task: { id: "t", runs_for: "1m" } },
    { advance: "2m" },
  ]);
  expect([status, answer]).toMatchObject([
    200,
    { results: ["i", { project: DEFAULT_PROJECT_ID, instance: "i", task: "t" }, expect.any(Number)] },
  ]);
  expect(await get("/tasks?instance=orders")).toMatchObject([200, [{ id: "t", status: "SUCCESS" }]]);
  expect(await get("/transitions")).toMatchObject([
    200,
    [
      { seq: 1, to: "EXECUTING" },
      { seq: 2, to: "SUCCESS" },
    ],
  ]);
  expect(await get("/transitions?after=1")).toMatchObject([200, [{ seq: 2 }]]);
});

test("one step needs no list", async () => {
  expect(await post("/steps", { fault: { kind: "throttled" } })).toEqual([200, { results: ["fault-1"] }]);
  expect(await get("/state")).toMatchObject([
    200,
    { faults: [{ id: "fault-1", kind: "throttled", hits: 0 }] },
  ]);
});

test("the request log and its worst window can be read; control calls are not in it", async () => {
  for (let n = 0; n < 3; n++) await page(simulator.url, "i", `?start=${n}`);
  expect(await get("/requests?status=404&after=1")).toMatchObject([
    200,
    [{ seq: 2, query: "start=1" }, { seq: 3 }],
  ]);
  expect(await get("/worst-window?operation=list_tasks&length=1h")).toMatchObject([200, { count: 3 }]);
  expect(await get("/state")).toMatchObject([200, { requests: 3, problems: [] }]);
});

test("reset forgets", async () => {
  await post("/steps", { add_instance: { name: "orders" } });
  expect(await post("/reset", "")).toEqual([200, {}]);
  expect(await get("/state")).toMatchObject([200, { projects: [{ instances: [] }], requests: 0 }]);
});

test("what is wrong is said", async () => {
  expect(await post("/steps", "{")).toMatchObject([400, { error: expect.stringContaining("JSON") }]);
  expect(await post("/steps", { fault: { kind: "fire" } })).toMatchObject([
    400,
    { error: expect.stringContaining("steps.0.fault.kind") },
  ]);
  expect(await get("/requests?after=x")).toMatchObject([400, { error: expect.stringContaining("after") }]);
  expect(await get("/tasks?instance=none")).toMatchObject([400, { error: 'unknown instance "none"' }]);
  expect(await get("/nothing")).toMatchObject([404, { error: expect.stringContaining("GET /state") }]);
});
