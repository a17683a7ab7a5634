import { expect, test } from "vitest";
import { DEMO_KEY, type SimulatorOptions, startSimulator } from "../../src/simulator/server.ts";
import { runOnTerminal } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const DAYS = 90;
const RUNS = 4_500;

type Dialect = NonNullable<NonNullable<SimulatorOptions["projects"]>[number]["dialect"]>;

/** A task every half hour over 90 days, read from a server that gives ten at once. */
async function polled(dialect: Dialect, more: NonNullable<SimulatorOptions["steps"]> = []) {
  await using folder = await Folder.create();
  const now = Date.now();
  await using simulator = await startSimulator({
    log_size: 100_000,
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }], dialect: { max_limit: 10, ...dialect } }],
    steps: [
      ...Array.from({ length: RUNS }, (_, n) => ({
        instance: "orders",
        task: {
          id: `t${n}`,
          name: "restart",
          created_ago: DAY + Math.floor((n * (DAYS - 2) * DAY) / RUNS),
          runs_for: "30s",
        },
      })),
      ...more,
    ],
  });
  const projects = [projectOf(simulator, { requests_per_second: 1000 })];
  const path = await folder.write("c.yaml", watchConfig(simulator, null, { projects }));
  const lines: string[] = [];
  const range = ["--from", new Date(now - DAYS * DAY).toISOString(), "--to", new Date(now).toISOString()];
  const result = await runOnTerminal(["poll", "--json", "--config", path, ...range], (line) =>
    lines.push(line),
  );
  const { tasks, problems } = JSON.parse(result.stdout) as {
    tasks: { task: { id: string } }[];
    problems: unknown[];
  };
  return { ...result, ids: tasks.map(({ task }) => task.id), problems, lines, control: simulator.control };
}

test.each([
  ["that counts tasks from 1", { paging: "start1" }],
  ["that ignores both words of paging", { paging: "none" }],
] as const)(
  "90 days are read whole from a server of short pages %s, and a terminal shows how far it is",
  async (_, dialect) => {
    const { code, ids, problems, stderr, lines } = await polled(dialect);
    expect({ code, problems, stderr }).toEqual({ code: 0, problems: [], stderr: "" });
    expect(new Set(ids).size).toBe(RUNS);
    expect(ids).toHaveLength(RUNS);
    expect(lines[0]).toBe("0 of 1 instances polled");
    expect(
      lines.filter((line) => /^0 of 1 instances polled, \d+ tasks read$/.test(line)).length,
    ).toBeGreaterThan(2);
    expect(lines.at(-1)).toBe("");
  },
  60_000,
);

test("what a server cannot show, more than a page within one second, is said to be missing", async () => {
  const created_at = new Date(Math.floor(Date.now() / 1_000) * 1_000 - 30 * DAY).toISOString();
  const crowd = Array.from({ length: 15 }, (_, n) => ({
    instance: "orders",
    task: { id: `crowd${n}`, name: "crowd", created_at, runs_for: "1s" },
  }));
  const { code, ids, problems, stderr } = await polled({ paging: "none" }, crowd);
  expect(code).toBe(1);
  expect(ids.filter((id) => id.startsWith("t"))).toHaveLength(RUNS);
  expect(ids.filter((id) => id.startsWith("crowd"))).toHaveLength(10);
  expect(problems).toMatchObject([
    { instance: { name: "orders" }, problem: expect.stringMatching(/^only 4510 tasks could be read: /) },
  ]);
  expect(stderr).toMatch(/^prod: orders: only 4510 tasks could be read: /);
}, 60_000);
