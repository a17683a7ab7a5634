import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { demoScenario } from "../../src/simulator/demo.ts";
import { parseScenario } from "../../src/simulator/scenario.ts";
import { type Simulator, startSimulator } from "../../src/simulator/server.ts";

const START = Date.UTC(2026, 10, 24, 10, 0, 0);
const ORDERS = { instance: "orders" };

let simulator: Simulator;
beforeEach(async () => {
  simulator = await startSimulator({ clock: () => START });
  simulator.control.addInstance({ name: "orders" });
});
afterEach(() => simulator.close());

function ids(): unknown[] {
  return simulator.control.tasks(ORDERS).map((task) => task.id);
}

test("steps happen when their time has come, in their order, dated by it", () => {
  simulator.control.run([
    { at: "+10s", instance: "orders", task: { id: "b", runs_for: "5s", ends: "FAILED" } },
    { at: "+5s", instance: "orders", task: { id: "a" } },
    { at: "2026-11-24T10:00:20Z", instance: "orders", delete_task: "a" },
    { at: 12_000, instance: "orders", update_task: { id: "a", status: "PAUSED" } },
  ]);
  expect(ids()).toEqual([]);
  simulator.control.advance("1h");
  expect(simulator.control.tasks(ORDERS)).toMatchObject([
    {
      id: "b",
      status: "FAILED",
      created_at: "2026-11-24T10:00:10.000Z",
      updated_at: "2026-11-24T10:00:15.000Z",
    },
  ]);
  expect(simulator.control.transitions().map(({ task, to, time }) => [task, to, time - START])).toEqual([
    ["a", "EXECUTING", 5000],
    ["b", "EXECUTING", 10_000],
    ["a", "PAUSED", 12_000],
    ["b", "FAILED", 15_000],
    ["a", null, 20_000],
  ]);
});

test("a step without a time happens at once and says what it gave", () => {
  const [task, fault, later] = simulator.control.run([
    { instance: "orders", task: { id: "now" } },
    { fault: { kind: "throttled", id: "f" } },
    { at: "+1s", clear_faults: true },
  ]);
  expect(task).toMatchObject({ task: "now" });
  expect([fault, later]).toEqual(["f", null]);
  simulator.control.advance("1s");
  expect(simulator.control.faults()).toEqual([]);
});

test("a step repeats, for ever or so many times", () => {
  simulator.control.run([
    { at: "+1s", every: "10s", times: 3, instance: "orders", task: { name: "thrice" } },
    { every: "1m", instance: "orders", task: { name: "always" } },
  ]);
  simulator.control.advance("10m");
  const names = simulator.control.tasks(ORDERS).map((task) => task.name);
  expect(names.filter((name) => name === "thrice")).toHaveLength(3);
  expect(names.filter((name) => name === "always")).toHaveLength(11);
});

test("every other thing that a step can do", () => {
  simulator.control.run([
    { add_project: { id: "p2", name: "second" } },
    { project: "second", add_instance: { name: "two" } },
    { project: "second", set_project: { dialect: { paging: "offset0" }, requests_per_second: 5 } },
    { project: "second", set_project: { dialect: { order: "oldest" } } },
    { add_key: { access_key: "AK2", secret_key: "s" } },
    { revoke_key: "AK2" },
    { add_token: "tok" },
    { expire_tokens: true },
    { rotate_agency_keys: true },
    { date_skew: 5000 },
    { instance: "orders", update_instance: { status: "FROZEN", listed: false } },
    { instance: "orders", remove_instance: true },
    { project: "second", load: { instances: 3, tasks: 2, prefix: "bulk" } },
    { clear_requests: true },
    { advance: "1m" },
  ]);
  expect(simulator.control.now()).toBe(START + 60_000);
  expect(simulator.control.keys().find((key) => key.access_key === "AK2")).toMatchObject({ revoked: true });
  const [first, second] = simulator.control.projects();
  expect(first).toMatchObject({ instances: [] });
  expect(second).toMatchObject({ requests_per_second: 5, dialect: { paging: "offset0", order: "oldest" } });
  expect((second!.instances as { name: string }[]).map(({ name }) => name)).toEqual([
    "two",
    "bulk-00001",
    "bulk-00002",
    "bulk-00003",
  ]);
});

test("a wrong step is refused with its place, and nothing is done", () => {
  const good = { instance: "orders", task: { id: "x" } };
  expect(() => simulator.control.run([good, { at: "+1s" }])).toThrow(
    "steps.1: nothing to do; allowed: exactly one of task,",
  );
  expect(() => simulator.control.run([good, { task: {} }])).toThrow("steps.1.instance: missing");
  expect(() => simulator.control.run([good, { ...good, at: "soon" }])).toThrow("steps.1.at: not a time");
  expect(() => simulator.control.run([good, { ...good, fault: { kind: "hang" } }])).toThrow(
    "more than one thing",
  );
  expect(ids()).toEqual([]);
});

test("a step that cannot be done when its time has come is told, and the others go on", () => {
  simulator.control.run([
    { at: "+1s", instance: "nowhere", task: {} },
    { at: "+2s", instance: "orders", task: { id: "x" } },
  ]);
  simulator.control.advance("5s");
  expect(ids()).toEqual(["x"]);
  expect(simulator.control.problems()).toMatchObject([
    { time: START + 1000, message: 'unknown instance "nowhere"' },
  ]);
});

test("reset goes back to the start, and plays the script again", async () => {
  await using scripted = await startSimulator({
    clock: () => START,
    projects: [{ instances: [{ name: "orders" }] }],
    steps: [{ at: "+5s", instance: "orders", task: { id: "x" } }],
  });
  scripted.control.advance("10s");
  scripted.control.createTask(ORDERS, { id: "y" });
  scripted.control.reset();
  expect(scripted.control.tasks(ORDERS)).toEqual([]);
  scripted.control.advance("5s");
  expect(scripted.control.tasks(ORDERS).map((task) => task.id)).toEqual(["x"]);
});

describe("a scenario file", () => {
  test("may be YAML or JSON", () => {
    const yaml =
      "projects:\n  - instances: [{ name: orders }]\nsteps:\n  - { at: +5s, instance: orders, task: { runs_for: 5s } }\n";
    expect(parseScenario(yaml, "a.yaml").steps).toEqual([
      { at: "+5s", instance: "orders", task: { runs_for: "5s" } },
    ]);
    expect(parseScenario('{"seed": 7}', "a.json")).toEqual({ seed: 7 });
    expect(parseScenario("", "a.yaml")).toEqual({});
  });

  test("is refused with every problem at its line and column", () => {
    const text = [
      "code_prefix: AWS",
      "projects:",
      "  - instances:",
      "      - { name: orders, engine: pulsar }",
      "    dialect: { paging: middle }",
      "steps:",
      "  - { at: later, instance: orders, task: { runs_for: 5 parsecs } }",
      "  - { at: +5s, instance: orders, tusk: {} }",
      "",
    ].join("\n");
    let message = "";
    try {
      parseScenario(text, "s.yaml");
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message.split("\n").map((line) => line.replace(/(: [^:]+): .*/, "$1"))).toEqual([
      "s.yaml:1:14: code_prefix",
      "s.yaml:4:33: projects.0.instances.0.engine",
      "s.yaml:5:24: projects.0.dialect.paging",
      "s.yaml:7:11: steps.0.at",
      "s.yaml:7:54: steps.0.task.runs_for",
      "s.yaml:8:5: steps.1",
      "s.yaml:8:5: steps.1",
    ]);
    expect(message).toContain('expected one of "kafka"|"rabbitmq"|"rocketmq"; found "pulsar"');
    expect(message).toContain('not a duration: "5 parsecs"; allowed: 500ms, 30s, 1h30m, 7d, or milliseconds');
    expect(message).toContain("tusk");
    expect(() => parseScenario("a: [", "s.yaml")).toThrow("s.yaml:1:5: ");
  });
});

describe("the demo", () => {
  test("shows successes, a failure and a hang within 30 s", async () => {
    await using demo = await startSimulator({ ...demoScenario(), clock: () => START });
    const hung = demo.control.tasks({ instance: "billing" }).filter((task) => task.status === "EXECUTING");
    expect(hung).toMatchObject([{ name: "restartInstance", created_at: "2026-11-24T07:00:00.000Z" }]);
    const before = demo.control.transitions().at(-1)?.seq ?? 0;
    demo.control.advance("28s");
    const ends = demo.control.transitions(before).filter(({ to }) => to === "SUCCESS" || to === "FAILED");
    expect(ends.filter(({ to }) => to === "SUCCESS").length).toBeGreaterThanOrEqual(3);
    expect(ends.filter(({ to }) => to === "FAILED").map(({ time }) => time - START)).toEqual([19_000]);
  });

  test("goes on for days, calm and bounded", async () => {
    await using demo = await startSimulator({ ...demoScenario(), clock: () => START });
    demo.control.advance("3d");
    const before = demo.control.transitions().at(-1)?.seq ?? 0;
    demo.control.advance("1h");
    expect(demo.control.transitions(before).length).toBeGreaterThan(100);
    expect(demo.control.transitions(before).filter(({ to }) => to === "FAILED")).toHaveLength(3);
    for (const instance of ["orders", "billing", "telemetry"]) {
      expect(demo.control.tasks({ instance }).length).toBeLessThanOrEqual(100);
    }
    expect(demo.control.problems()).toEqual([]);
  });
});

describe("the load", () => {
  test("makes instances with a history, and transitions at the rate asked for, in bounded memory", async () => {
    await using load = await startSimulator({
      clock: () => START,
      log_size: 100_000,
      steps: [{ load: { instances: 50, tasks: 6, rate: 20, open: 0.2, engines: ["kafka", "rabbitmq"] } }],
    });
    const before = load.control.transitions().at(-1)?.seq ?? 0;
    load.control.advance("10m");
    const seen = load.control.transitions(before);
    expect(Math.abs(seen.length - 12_000)).toBeLessThanOrEqual(1);
    expect(seen.filter(({ to }) => to === "FAILED").length).toBeGreaterThan(50);
    const [project] = load.control.projects();
    const instances = project!.instances as { name: string; engine: string; tasks: number }[];
    expect(instances).toHaveLength(50);
    expect(instances[1]).toMatchObject({ name: "load-00002", engine: "rabbitmq" });
    expect(Math.max(...instances.map(({ tasks }) => tasks))).toBe(6);
  });
});
