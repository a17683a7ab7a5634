import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { apiDemand, apiDemandWarnings } from "../../src/app/api-demand.ts";
import { loadConfig } from "../../src/config/load.ts";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { cellsOf, runCli, runInProcess } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";
import { instancesOf, projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";

const NOW = Date.parse("2026-11-24T10:00:30Z");

const someInstances = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    id: `6ec6cf7a-0c83-4b3c-9b3f-${String(n).padStart(12, "0")}`,
    name: `i${n}`,
  }));

describe("what the schedules need", () => {
  const project = (overrides: RawConfig): RawConfig => ({
    name: "prod",
    region: "eu-west-101",
    credentials: { access_key: "AK", secret_key: "SK" },
    ...overrides,
  });
  const outlook = async (content: RawConfig) => {
    await using folder = await Folder.create();
    const loaded = await loadConfig({ path: await folder.write("c.yaml", content), env: {} });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const needs = apiDemand(loaded.config, NOW);
    return { needs, warnings: apiDemandWarnings(needs, loaded.config.poll.concurrency) };
  };

  test("is one call per poll, more often while tasks are open", async () => {
    const { needs, warnings } = await outlook({
      projects: [project({ instances: someInstances(30) })],
    });
    expect(needs).toMatchObject([
      { instances: 30, idle: expect.closeTo(0.5), busy: expect.closeTo(2), allowed: 5 },
    ]);
    expect(warnings).toEqual([]);
  });

  test("an instance's own schedule counts", async () => {
    const [first, ...rest] = someInstances(3);
    const { needs } = await outlook({
      projects: [
        project({
          instances: [{ ...first, poll: { schedule: "*/10 * * * * *", active_schedule: "off" } }, ...rest],
        }),
      ],
      poll: { active_schedule: "off" },
    });
    expect(needs[0]?.idle).toBeCloseTo(0.1 + 2 / 60);
    expect(needs[0]?.busy).toBe(needs[0]?.idle);
  });

  test("above 80 % of the budget there is a warning", async () => {
    const { warnings } = await outlook({
      projects: [project({ instances: someInstances(50), requests_per_second: 1 })],
    });
    expect(warnings).toEqual([expect.stringMatching(/project prod needs 83 % of its requests_per_second/)]);
  });

  test("what the concurrency cannot carry at 100 ms per call is told", async () => {
    const { warnings } = await outlook({
      projects: [project({ instances: someInstances(90), requests_per_second: 200 })],
      poll: { schedule: "*/3 * * * * *", concurrency: 2 },
    });
    expect(warnings).toEqual([
      expect.stringMatching(/poll\.concurrency of 2 cannot carry 30\.0 requests\/s: .* needs 3$/),
    ]);
  });
});

test("five mistakes are named, all five, each with line and column", async () => {
  await using folder = await Folder.create();
  await folder.write(
    "taskwatch.yaml",
    `projects:
  - name: prod
    region: eu-west-101
    credentials: { access_key: AK, secret_key: SK }
    requests_per_second: many
    instances:
      - { id: 6ec6cf7a, engine: kafak }
poll:
  schedule: "61 * * * * *"
  timeout: ten
stucc: {}
`,
  );
  const { code, stdout, stderr } = await runCli(["check", "--config", "taskwatch.yaml"], {
    cwd: folder.path,
  });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  const places = stderr
    .trim()
    .split("\n")
    .map((line) => /^(taskwatch\.yaml:\d+:\d+): (\S+): found /.exec(line)?.slice(1));
  expect(places).toEqual([
    ["taskwatch.yaml:5:26", "projects[0].requests_per_second"],
    ["taskwatch.yaml:7:33", "projects[0].instances[0].engine"],
    ["taskwatch.yaml:9:13", "poll.schedule"],
    ["taskwatch.yaml:10:12", "poll.timeout"],
    ["taskwatch.yaml:11:1", "stucc"],
  ]);
});

/** The rows of the table of answers, which stands between the configuration and what it needs. */
const answersOf = (stdout: string) => cellsOf(stdout.split("\n\n").at(-2) ?? "").slice(1);

describe("check against a cloud", () => {
  const cloud = () =>
    startSimulator({
      projects: [
        {
          keys: [DEMO_KEY],
          instances: [{ name: "orders" }, { name: "billing" }],
        },
      ],
    });

  test("prints what the file resolves to, masked, and makes no call", async () => {
    await using folder = await Folder.create();
    await using simulator = await cloud();
    const config = await folder.write("c.yaml", watchConfig(simulator, null));
    const { code, stdout, stderr } = await runCli(["check", "--config", config]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [yaml = "", table = ""] = stdout.split("\nPROJECT ");
    expect(parse(yaml)).toMatchObject({
      projects: [{ name: "prod", credentials: { access_key: "<secret>", secret_key: "<secret>" } }],
      window: { lookback: "1d", max_lookback: "30d" },
    });
    expect(table).toMatch(/\nprod +2 +2 +2 +200\n/);
    expect(simulator.control.requests()).toEqual([]);
  });

  test("--online signs one call for the project and then one for each instance", async () => {
    await using folder = await Folder.create();
    await using simulator = await cloud();
    simulator.control.createTask({ instance: "orders" }, { name: "a", created_ago: "2h", runs_for: "1m" });
    simulator.control.createTask({ instance: "orders" }, { name: "b", created_ago: "1h", runs_for: "1m" });
    const config = await folder.write("c.yaml", watchConfig(simulator, null));
    const { code, stdout } = await runCli(["check", "--online", "--config", config]);
    expect(code).toBe(0);
    expect(answersOf(stdout)).toEqual([
      ["prod", "accepted"],
      ["prod", "orders", "accepted"],
      ["prod", "billing", "accepted"],
    ]);
    expect(simulator.control.requests()).toHaveLength(3);
  });

  test("--online: after refused credentials there is no further call", async () => {
    await using folder = await Folder.create();
    await using simulator = await cloud();
    const credentials = { access_key: DEMO_KEY.access_key, secret_key: "wrong" };
    const config = await folder.write(
      "c.yaml",
      watchConfig(simulator, null, { projects: [projectOf(simulator, { credentials })] }),
    );
    const { code, stdout } = await runInProcess("check", "--online", "--config", config);
    expect(code).toBe(1);
    expect(answersOf(stdout)).toEqual([
      ["prod", expect.stringMatching(/^the credentials were refused: .* 401 APIGW\.0301/)],
      ["prod", "orders", "not asked: the project has to answer first"],
      ["prod", "billing", "not asked: the project has to answer first"],
    ]);
    expect(simulator.control.requests()).toHaveLength(1);
  });

  test("--online: an instance that is not there is told in plain words, the others are asked", async () => {
    await using folder = await Folder.create();
    await using simulator = await cloud();
    const [orders] = instancesOf(simulator);
    const gone = { id: "00000000-0000-4000-8000-000000000000", name: "gone" };
    const projects = [
      projectOf(simulator, { instances: [gone, orders] }),
      projectOf(simulator, { name: "looked-up", project_id: undefined, instances: [orders] }),
    ];
    const config = await folder.write("c.yaml", watchConfig(simulator, null, { projects }));
    const { code, stdout } = await runInProcess("check", "--online", "--config", config);
    expect(code).toBe(1);
    expect(answersOf(stdout)).toEqual([
      ["prod", "accepted"],
      [
        "prod",
        "gone",
        expect.stringMatching(/^there is no such instance in this project: .* 404 DMS\.00404022/),
      ],
      ["prod", "orders", "accepted"],
      ["looked-up", "accepted"],
      ["looked-up", "orders", "accepted"],
    ]);
  });

  test("--online: a cloud that cannot be reached is told for the project", async () => {
    await using folder = await Folder.create();
    await using simulator = await cloud();
    const projects = [projectOf(simulator, { endpoint: "http://127.0.0.1:9" })];
    const config = await folder.write("c.yaml", watchConfig(simulator, null, { projects }));
    const { code, stdout } = await runInProcess("check", "--online", "--config", config);
    expect(code).toBe(1);
    expect(answersOf(stdout)[0]).toEqual([
      "prod",
      expect.stringMatching(/^the endpoint cannot be reached: /),
    ]);
  });

  test("--online counts what discovery finds in what is needed", async () => {
    await using folder = await Folder.create();
    await using simulator = await cloud();
    const discovering = projectOf(simulator, { instances: undefined, discover: { every: "10m" } });
    const config = await folder.write("c.yaml", watchConfig(simulator, null, { projects: [discovering] }));
    const offline = await runInProcess("check", "--config", config);
    expect(cellsOf(offline.stdout).at(-1)).toEqual([
      "prod",
      "0 and what discovery finds",
      "0.005",
      "0.005",
      "200",
    ]);
    const online = await runInProcess("check", "--online", "--config", config);
    expect(online).toMatchObject({ code: 0, stderr: "" });
    expect(answersOf(online.stdout)).toHaveLength(3);
    expect(cellsOf(online.stdout).at(-1)).toEqual(["prod", "2", "2", "2", "200"]);
  });
});
