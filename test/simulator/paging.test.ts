import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { page } from "./client.ts";

const INSTANCE = "6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab001";
const START = Date.UTC(2026, 10, 24, 10, 0, 0);

let simulator: Simulator;
beforeEach(async () => {
  simulator = await startSimulator({ clock: () => START });
  simulator.control.addInstance({ id: INSTANCE, name: "orders" });
  // Task t1 is the oldest, one task a minute, t25 the newest, created at 09:59:00.500.
  for (let n = 1; n <= 25; n++) {
    simulator.control.createTask(
      { instance: "orders" },
      { id: `t${n}`, status: "SUCCESS", created_at: START - (26 - n) * 60_000 + 500 },
    );
  }
});
afterEach(() => simulator.close());

async function ids(query: string): Promise<string[]> {
  const { tasks } = await page(simulator.url, INSTANCE, query, { at: START });
  return tasks.map((task) => task.id);
}

async function count(query = ""): Promise<unknown> {
  return (await page(simulator.url, INSTANCE, query, { at: START })).task_count;
}

describe("each dialect counts from its own first task, and hears only its own word", () => {
  test.each([
    ["start1", "?start=11&limit=2", "?offset=11&limit=2", ["t15", "t14"]],
    ["start0", "?start=10&limit=2", "?offset=10&limit=2", ["t15", "t14"]],
    ["offset0", "?offset=10&limit=2", "?start=10&limit=2", ["t15", "t14"]],
    ["offset1", "?offset=11&limit=2", "?start=11&limit=2", ["t15", "t14"]],
  ] as const)("%s", async (paging, own, other, expected) => {
    simulator.control.setProject({ dialect: { paging } });
    expect(await ids(own)).toEqual(expected);
    expect(await ids(other)).toEqual(["t25", "t24"]);
  });

  test("none: every page is the first", async () => {
    simulator.control.setProject({ dialect: { paging: "none" } });
    expect(await ids("?start=11&offset=11&limit=2")).toEqual(["t25", "t24"]);
  });
});

test("without a limit ten tasks are given, and never more than the cap", async () => {
  expect(await ids("")).toHaveLength(10);
  simulator.control.setProject({ dialect: { max_limit: 20 } });
  expect(await ids("?limit=1000")).toHaveLength(20);
  simulator.control.setProject({ dialect: { over_limit: "reject" } });
  expect(await page(simulator.url, INSTANCE, "?limit=21", { at: START })).toMatchObject({
    error_code: "DMS.10240042",
  });
});

test("a position past the end gives an empty page", async () => {
  expect(await ids("?start=26")).toEqual([]);
  expect(await ids("?start=24&limit=10")).toEqual(["t2", "t1"]);
});

test("an unknown parameter is ignored, or refused where the project is told so", async () => {
  expect(await ids("?limit=1&colour=red")).toEqual(["t25"]);
  simulator.control.setProject({ dialect: { unknown_parameters: "reject" } });
  expect(await page(simulator.url, INSTANCE, "?colour=red", { at: START })).toMatchObject({
    error_code: "DMS.10540014",
  });
});

test("task_count takes every form, right and wrong", async () => {
  const window = "?begin_time=20261124095500&limit=2";
  const seen: Record<string, unknown> = {};
  for (const form of ["string", "number", "absent", "null", "total", "page"] as const) {
    simulator.control.setProject({ dialect: { task_count: form } });
    seen[form] = await count(window);
  }
  expect(seen).toEqual({ string: "5", number: 5, absent: undefined, null: null, total: "25", page: "2" });
});

test("the list can be oldest first", async () => {
  simulator.control.setProject({ dialect: { order: "oldest" } });
  expect(await ids("?start=3&limit=2")).toEqual(["t3", "t4"]);
});

describe("the time filter goes by created_at, to the second", () => {
  test("begin_time is included though the task came later in that second", async () => {
    expect(await ids("?begin_time=20261124095900")).toEqual(["t25"]);
    expect(await ids("?begin_time=20261124095901")).toEqual([]);
  });

  test("end_time is included, or not where the project is told so", async () => {
    expect(await ids("?end_time=20261124093600&limit=3")).toEqual(["t2", "t1"]);
    simulator.control.setProject({ dialect: { end: "exclusive" } });
    expect(await ids("?end_time=20261124093600&limit=3")).toEqual(["t1"]);
  });

  test("it is read in the project's zone", async () => {
    simulator.control.setProject({ dialect: { utc_offset: "+08:00" } });
    expect(await ids("?begin_time=20261124175900")).toEqual(["t25"]);
  });

  test("it can be switched off", async () => {
    simulator.control.setProject({ dialect: { filter: false } });
    expect(await ids("?begin_time=20261124095900&limit=2")).toEqual(["t25", "t24"]);
  });

  test("a time in another form is refused", async () => {
    const answer = await page(simulator.url, INSTANCE, "?begin_time=2026-11-24", { at: START });
    expect(answer).toMatchObject({ error_code: "DMS.00400142" });
  });
});

test("a position before the first task is the first, or refused where the project is told so", async () => {
  expect(await ids("?start=0&limit=1")).toEqual(["t25"]);
  simulator.control.setProject({ dialect: { below_first: "reject" } });
  const answer = await page(simulator.url, INSTANCE, "?start=0", { at: START });
  expect(answer).toMatchObject({ error_code: "DMS.10240043" });
});
