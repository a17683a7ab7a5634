import { expect, test } from "vitest";
import { DEMO_KEY, type SimulatorOptions, startSimulator } from "../../src/simulator/server.ts";
import { cellsOf, runInProcess } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";

const MINUTE = 60_000;
const iso = (ms: number) => new Date(ms).toISOString();
const PLANNED = { name: "restartInstance", scheduled_in: "1h", status: "CREATED" } as const;

async function polled(
  steps: NonNullable<SimulatorOptions["steps"]>,
  { scheduled_tasks = true, args = [] as readonly string[] } = {},
) {
  await using folder = await Folder.create();
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
    steps,
  });
  const config = watchConfig(simulator, null, { projects: [projectOf(simulator, { scheduled_tasks })] });
  const path = await folder.write("c.yaml", config);
  const result = await runInProcess("poll", "--config", path, ...args);
  return { ...result, lists: simulator.control.requests({ operation: "list_scheduled_tasks" }).length };
}

/** A task that is planned, and one that should have begun 20 minutes ago. */
function plans(late = 20 * MINUTE) {
  const at = Date.now() - late;
  return {
    at,
    steps: [
      { instance: "orders", task: { ...PLANNED, name: "reassign", id: "planned" } },
      { instance: "orders", task: { ...PLANNED, id: "late", fields: { schedule_at: iso(at) } } },
    ],
  };
}

test("scheduled tasks are shown with their planned start, and one that did not start is exit code 3", async () => {
  const { at, steps } = plans();
  const { code, stdout, stderr } = await polled(steps);
  expect({ code, stderr }).toEqual({ code: 3, stderr: "" });
  const [titles, ...rows] = cellsOf(stdout);
  expect(titles).toEqual([
    ...["PROJECT", "INSTANCE", "TASK NAME", "TASK ID", "STATUS", "AGE", "DURATION", "VERDICT"],
    "PLANNED START",
  ]);
  expect(rows.toSorted()).toEqual([
    ["prod", "orders", "reassign", "planned", "CREATED", "0s", "-", expect.stringMatching(/Z$/)],
    [
      "prod",
      "orders",
      "restartInstance",
      "late",
      "CREATED",
      "0s",
      "-",
      "not_started",
      `${iso(at).slice(0, 19)}Z`,
    ],
  ]);
});

test("in JSON each task says when it was planned for, and the limit of one that is late", async () => {
  const { at, steps } = plans();
  const { code, stdout } = await polled(
    [...steps, { instance: "orders", task: { name: "resize", runs_for: "1h", created_ago: "1m" } }],
    { args: ["--json"] },
  );
  expect(code).toBe(3);
  const { tasks, problems } = JSON.parse(stdout);
  expect(problems).toEqual([]);
  const of = (id: string) => tasks.find(({ task }: { task: { id: string } }) => task.id === id);
  expect(of("late")).toMatchObject({
    task: { status: "CREATED", schedule_at: iso(at) },
    duration_seconds: null,
    verdict: "not_started",
    threshold: { seconds: 900, source: "not_started", samples: 0 },
  });
  expect(of("planned")).toMatchObject({ verdict: null, threshold: null });
  expect(
    tasks.find(({ task }: { task: { name: string } }) => task.name === "resize").task.schedule_at,
  ).toBeNull();
});

test("one whose task began since, and one that is not late yet, are no reason for an alarm", async () => {
  const began = await polled([
    ...plans().steps,
    { instance: "orders", task: { name: "restartInstance", created_ago: "19m", runs_for: "1m" } },
  ]);
  expect(began.code).toBe(0);
  expect((await polled(plans(10 * MINUTE).steps)).code).toBe(0);
});

test("the list is not asked for where it is not watched, nor for a range of the past", async () => {
  const { steps } = plans();
  expect(await polled(steps, { scheduled_tasks: false })).toMatchObject({
    code: 0,
    stdout: "no tasks\n",
    lists: 0,
  });
  const args = ["--from", iso(Date.now() - 60 * MINUTE), "--to", iso(Date.now() - 5 * MINUTE)];
  expect(await polled(steps, { args })).toMatchObject({ code: 0, lists: 0 });
});

test("a list that cannot be read is told, and costs the tasks nothing", async () => {
  const { code, stdout, stderr } = await polled([
    { instance: "orders", task: { name: "resize", runs_for: "1h", created_ago: "1m" } },
    { fault: { kind: "error", operation: "list_scheduled_tasks", status: 500, code: "DMS.00500001" } },
  ]);
  expect(code).toBe(1);
  expect(cellsOf(stdout)).toHaveLength(2);
  expect(stderr).toMatch(/^prod: orders: scheduled tasks: the cloud has trouble of its own: .*DMS\.00500001/);
});
