import { afterEach, beforeEach, expect, test } from "vitest";
import { DEFAULT_PROJECT_ID, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { get, page, tasksUrl } from "./client.ts";

const START = Date.UTC(2026, 10, 24, 10, 0, 0);
const ORDERS = { instance: "orders" };

let simulator: Simulator;
let orders: string;
beforeEach(async () => {
  simulator = await startSimulator({ clock: () => START, check_signatures: false });
  orders = simulator.control.addInstance({ name: "orders", created_at: START - 1000 });
});
afterEach(() => simulator.close());

async function ask(path: string): Promise<[number, unknown]> {
  const response = await fetch(`${tasksUrl(simulator.url, orders)}${path}`);
  return [response.status, await response.json()];
}

function statuses(): unknown[] {
  return simulator.control.tasks(ORDERS).map((task) => task.status);
}

test("a task goes through its plan as time passes, and its times are those of the plan", async () => {
  simulator.control.createTask(ORDERS, {
    id: "t",
    name: "restart",
    queued_for: "5s",
    runs_for: "10s",
    params: { a: 1 },
  });
  expect(statuses()).toEqual(["CREATED"]);
  simulator.control.advance("5s");
  expect(statuses()).toEqual(["EXECUTING"]);
  simulator.control.advance("1h");
  expect(await ask("/t")).toEqual([
    200,
    {
      task_count: "1",
      tasks: [
        {
          id: "t",
          name: "restart",
          user_name: "paas_dms",
          user_id: "3df5acbc24a54fadb62a043c9000a307",
          params: '{"a":1}',
          status: "SUCCESS",
          created_at: "2026-11-24T10:00:00.000Z",
          updated_at: "2026-11-24T10:00:15.000Z",
        },
      ],
    },
  ]);
  expect(simulator.control.transitions()).toMatchObject([
    { task: "t", from: null, to: "CREATED", time: START },
    { task: "t", from: "CREATED", to: "EXECUTING", time: START + 5000 },
    { task: "t", from: "EXECUTING", to: "SUCCESS", time: START + 15_000 },
  ]);
});

test("tasks fail, are deleted, hang and vanish", () => {
  simulator.control.createTask(ORDERS, { runs_for: "1s", ends: "FAILED" });
  simulator.control.createTask(ORDERS, { runs_for: "1s", ends: "DELETED" });
  simulator.control.createTask(ORDERS, { runs_for: "forever" });
  simulator.control.createTask(ORDERS, { runs_for: "1s", ends: "vanishes" });
  expect(statuses()).toHaveLength(4);
  simulator.control.advance("7d");
  expect(statuses().sort()).toEqual(["DELETED", "EXECUTING", "FAILED"]);
});

test("some tasks run in CREATED to their end", () => {
  simulator.control.createTask(ORDERS, { status: "CREATED", runs_for: "10s" });
  simulator.control.advance("9s");
  expect(statuses()).toEqual(["CREATED"]);
  simulator.control.advance("1s");
  expect(statuses()).toEqual(["SUCCESS"]);
});

test("what lies in the past has happened at once", () => {
  simulator.control.createTask(ORDERS, { created_ago: "3h", runs_for: "forever", queued_for: "1m" });
  simulator.control.createTask(ORDERS, { created_ago: "2h", runs_for: "1h" });
  expect(simulator.control.tasks(ORDERS)).toMatchObject([
    { status: "SUCCESS", created_at: "2026-11-24T08:00:00.000Z", updated_at: "2026-11-24T09:00:00.000Z" },
    { status: "EXECUTING", created_at: "2026-11-24T07:00:00.000Z", updated_at: "2026-11-24T07:01:00.000Z" },
  ]);
});

test("a change by hand ends the plan", () => {
  const { task } = simulator.control.createTask(ORDERS, { runs_for: "10s" });
  simulator.control.updateTask(ORDERS, task, { status: "PAUSED" });
  simulator.control.advance("1m");
  expect(statuses()).toEqual(["PAUSED"]);
  simulator.control.deleteTask(ORDERS, task);
  expect(statuses()).toEqual([]);
});

test("a task can be served with wrong fields", () => {
  simulator.control.createTask(ORDERS, { id: "t", fields: { created_at: null, status: 7, extra: [1] } });
  expect(simulator.control.tasks(ORDERS)).toMatchObject([
    { id: "t", created_at: null, status: 7, extra: [1] },
  ]);
});

test("a task that is gone and an instance that is gone answer with their own codes", async () => {
  expect(await ask("/none")).toMatchObject([404, { error_code: "DMS.00404001" }]);
  simulator.control.removeInstance(ORDERS);
  expect(await ask("/none")).toMatchObject([404, { error_code: "DMS.00404022" }]);
  expect(await ask("")).toMatchObject([404, { error_code: "DMS.00404022" }]);
});

test("progress of a capacity expansion follows the plan, or is what it is set to; RabbitMQ has no such call", async () => {
  simulator.control.createTask(ORDERS, { id: "t", runs_for: "100s", progress: "plan" });
  simulator.control.advance("30s");
  const began = simulator.control.now() - 30_000;
  expect(await ask("/t/progress")).toEqual([
    200,
    {
      progress_percentage: 30,
      remain_time: 70,
      step_list: [
        { name: "pre_check", statue: "COMPLETED", start_time: began, end_time: began + 10_000 },
        { name: "disk_expansion", statue: "IN_PROGRESS", start_time: began + 10_000 },
      ],
    },
  ]);
  simulator.control.updateTask(ORDERS, "t", { progress: 12 });
  expect(await ask("/t/progress")).toMatchObject([200, { progress_percentage: 12 }]);
  simulator.control.updateTask(ORDERS, "t", { status: "FAILED" });
  const failed = { name: "disk_expansion", statue: "FAILED", end_time: simulator.control.now() };
  expect(await ask("/t/progress")).toMatchObject([200, { step_list: [{ statue: "COMPLETED" }, failed] }]);
  simulator.control.createTask(ORDERS, { id: "other", runs_for: "100s" });
  expect(await ask("/other/progress")).toMatchObject([400, { error_code: "DMS.00400062" }]);
  const rabbit = simulator.control.addInstance({ name: "rabbit", engine: "rabbitmq" });
  simulator.control.createTask({ instance: "rabbit" }, { id: "t" });
  expect((await fetch(`${tasksUrl(simulator.url, rabbit)}/t/progress`)).status).toBe(404);
});

test("scheduled tasks are a list of their own, with their own names and types", async () => {
  simulator.control.createTask(ORDERS, { id: "s", scheduled_in: "1h", runs_for: "1m" });
  const url = tasksUrl(simulator.url, orders).replace(/tasks$/, "scheduled-tasks");
  expect(await (await fetch(url)).json()).toMatchObject({
    job_count: 1,
    jobs: [{ id: "s", status: "CREATED", schedule_at: "2026-11-24T11:00:00.000Z" }],
  });
  expect(await page(simulator.url, orders)).toEqual({ task_count: "0", tasks: [] });
  simulator.control.advance("1h");
  expect(simulator.control.tasks(ORDERS, "scheduled")).toMatchObject([{ status: "EXECUTING" }]);
});

test("an instance keeps its newest tasks, and those that are open", () => {
  simulator.control.addInstance({ name: "small", keep_tasks: 3 });
  const small = { instance: "small" };
  simulator.control.createTask(small, { id: "open" });
  for (let n = 0; n < 9; n++) {
    simulator.control.advance(1000);
    simulator.control.createTask(small, { id: `t${n}`, status: "SUCCESS" });
  }
  expect(simulator.control.tasks(small).map((task) => task.id)).toEqual(["t8", "t7", "open"]);
});

test("instances are listed by engine, filtered and paged from 0", async () => {
  simulator.control.addInstance({ name: "telemetry", enterprise_project_id: "ep-1" });
  simulator.control.addInstance({ name: "rocket", engine: "rocketmq" });
  for (let n = 0; n < 60; n++) simulator.control.addInstance({ name: `many-${n}` });
  const list = async (query: string): Promise<Record<string, unknown>> => {
    const response = await get(`${simulator.url}/v2/${DEFAULT_PROJECT_ID}/instances?${query}`);
    return (await response.json()) as Record<string, unknown>;
  };
  const names = (answer: Record<string, unknown>): unknown[] =>
    (answer.instances as { name: string }[]).map((instance) => instance.name);
  const first = await list("engine=kafka&limit=50");
  expect(first.instance_num).toBe(62);
  expect((first.instances as unknown[])[0]).toMatchObject({
    instance_id: orders,
    created_at: String(START - 1000),
  });
  expect(names(first)).toHaveLength(50);
  expect(names(await list("engine=kafka&offset=50&limit=50"))).toHaveLength(12);
  expect(names(await list("engine=reliability"))).toEqual(["rocket"]);
  expect(names(await list("engine=kafka&name=metr"))).toEqual(["telemetry"]);
  expect(names(await list("engine=kafka&name=metr&exact_match_name=true"))).toEqual([]);
  expect(names(await list("engine=kafka&enterprise_project_id=ep-1"))).toEqual(["telemetry"]);
  expect(await list("limit=10")).toMatchObject({ error_code: "DMS.00400062" });
  expect(await list("engine=kafka&limit=51")).toMatchObject({ error_code: "DMS.00400062" });
  simulator.control.updateInstance({ instance: "telemetry" }, { listed: false });
  expect(names(await list("engine=kafka&name=metr"))).toEqual([]);
  expect(simulator.control.tasks({ instance: "telemetry" }), "it is still there").toEqual([]);
});
