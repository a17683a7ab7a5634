import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DEMO_KEY, type SimulatorOptions, startSimulator } from "../../src/simulator/server.ts";
import { checkedProject, startCheckedCloud } from "../support/checked-cloud.ts";
import { cellsOf, runCli, runInProcess } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";
import { type RawConfig, watchConfig } from "../support/watch-config.ts";
import { SAMPLES } from "./samples.ts";

const KEY = { access_key: "SAMPLEACCESSKEY00000", secret_key: "SampleSecretKey000000000000000000000000" };
const TITLES = ["PROJECT", "INSTANCE", "TASK NAME", "TASK ID", "STATUS", "AGE", "DURATION", "VERDICT"];

/** Runs `poll` on a simulated cloud. */
async function polled(
  options: SimulatorOptions,
  args: readonly string[] = [],
  overrides: (config: RawConfig) => RawConfig = (config) => config,
) {
  await using folder = await Folder.create();
  await using simulator = await startSimulator(options);
  const store = folder.file("taskwatch.db");
  const config = overrides(watchConfig(simulator, null, { store: { url: `sqlite:${store}` } }));
  const result = await runInProcess("poll", "--config", await folder.write("c.yaml", config), ...args);
  expect(existsSync(store)).toBe(false);
  return { ...result, requests: simulator.control.requests() };
}

const demo = (
  instances: readonly { name: string }[],
  steps: SimulatorOptions["steps"],
): SimulatorOptions => ({
  projects: [
    {
      keys: [DEMO_KEY],
      instances: [...instances],
    },
  ],
  steps,
});

describe("the documented sample answers", () => {
  test("give the right table", async () => {
    await using folder = await Folder.create();
    await using cloud = await startCheckedCloud(
      KEY,
      (instance) => SAMPLES.find(({ id }) => id === instance)?.body,
    );
    const config = await folder.write("c.yaml", {
      projects: [
        checkedProject(
          cloud,
          KEY,
          SAMPLES.map(({ id, name, engine }) => ({ id, name, engine })),
        ),
      ],
    });
    const { code, stdout, stderr } = await runCli(["poll", "--config", config]);
    const [titles, ...rows] = cellsOf(stdout);
    expect(titles).toEqual(TITLES);
    const age = expect.stringMatching(/^\d+d/);
    expect(rows).toEqual([
      [
        "prod",
        "seed",
        "modifyAutoTopic",
        "8abfa7b372160bfd0172165864064079",
        "EXECUTING",
        age,
        age,
        "running_too_long",
      ],
      ["prod", "seed", "changeRetentionPolicy", "8abfa7b372160bfd017216560af83e6e", "SUCCESS", age, "5s"],
      [
        "prod",
        "kafka",
        "bindInstancePublicIp",
        "8abfa7b27da211df017da340427b0979",
        "EXECUTING",
        age,
        age,
        "running_too_long",
      ],
      ["prod", "rabbit", "bindInstancePublicIp", "ff80808272dcc90f0172df1e490f41b0", "SUCCESS", age, "1s"],
      ["prod", "dcs", "EXTEND", "ff80808274f0c2950174f0c3a8a30002", "SUCCESS", age, "1m 40s"],
    ]);
    // The first sample tells of four tasks and shows two, fewer than any page holds: the count is a hint.
    expect(stderr).toBe("");
    expect(code).toBe(3);
  });
});

describe("one pass", () => {
  // Ages count to the cloud's time, which it tells to the second: they can be up to a second less.
  const steps = [
    { instance: "orders", task: { name: "resize", created_ago: "3h30s", runs_for: "forever" } },
    { instance: "orders", task: { name: "restart", created_ago: "2h", runs_for: "90s", ends: "FAILED" } },
    { instance: "billing", task: { name: "restart", created_ago: "2h", runs_for: "90s", ends: "FAILED" } },
    { instance: "billing", task: { name: "restart", created_ago: "1h", runs_for: "30s" } },
    { instance: "billing", task: { name: "resize", created_ago: "5m30s", runs_for: "forever" } },
  ];
  const cloud = demo([{ name: "orders" }, { name: "billing" }], steps);

  test("judges as the daemon does, and writes no state", async () => {
    const { code, stdout, stderr } = await polled(cloud);
    const rows = cellsOf(stdout).map((cells) => cells.filter((_, index) => index !== 3 && index !== 5));
    expect(rows.slice(1)).toEqual([
      ["prod", "orders", "restart", "FAILED", "1m 30s", "failed"],
      ["prod", "orders", "resize", "EXECUTING", expect.stringMatching(/^3h/), "running_too_long"],
      ["prod", "billing", "resize", "EXECUTING", expect.stringMatching(/^5m/)],
      ["prod", "billing", "restart", "SUCCESS", "30s"],
      ["prod", "billing", "restart", "FAILED", "1m 30s", "later_success"],
    ]);
    expect({ code, stderr }).toEqual({ code: 3, stderr: "" });
  });

  test("of one instance, by its name, asks no other; nothing failed or stuck is exit code 0", async () => {
    const { code, stdout, requests } = await polled(cloud, ["--instance", "billing"]);
    expect(code).toBe(0);
    expect(cellsOf(stdout)).toHaveLength(4);
    expect(new Set(requests.map(({ instance }) => instance)).size).toBe(1);
  });

  test("of an instance that there is not is a mistake, with what was meant", async () => {
    const { code, stderr, requests } = await polled(cloud, ["--instance", "biling"]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "--instance: no instance has the id or name biling; did you mean billing?\n",
    });
    expect(requests).toEqual([]);
  });

  test("in JSON has the same, with the limit of a stuck task", async () => {
    const { code, stdout } = await polled(cloud, ["--json"]);
    expect(code).toBe(3);
    const { tasks, problems } = JSON.parse(stdout);
    expect(problems).toEqual([]);
    expect(tasks).toHaveLength(5);
    expect(tasks[1]).toMatchObject({
      project: "prod",
      instance: { name: "orders", engine: "kafka" },
      task: { name: "resize", status: "EXECUTING" },
      verdict: "running_too_long",
      threshold: { seconds: 3600, source: "running_after", samples: 0 },
    });
  });

  test("of a range asks for that range alone", async () => {
    const now = Date.now();
    const ago = (hours: number) => new Date(now - hours * 3_600_000).toISOString();
    const cloudTime = ago(1.5).replaceAll(/[-:T]/g, "").slice(0, 14);
    const { code, stdout } = await polled(cloud, ["--from", ago(2.5), "--to", cloudTime]);
    expect(code).toBe(3);
    expect(
      cellsOf(stdout)
        .slice(1)
        .map((cells) => cells.slice(1, 5).toSpliced(2, 1)),
    ).toEqual([
      ["orders", "restart", "FAILED"],
      ["billing", "restart", "FAILED"],
    ]);
  });

  test("finds the instances that discovery finds", async () => {
    const { code, stdout } = await polled(cloud, ["--instance", "billing"], (config) => {
      const [project] = config.projects as RawConfig[];
      return {
        ...config,
        projects: [{ ...project, instances: undefined, discover: { include: ["bill*"] } }],
      };
    });
    expect(code).toBe(0);
    expect(cellsOf(stdout)).toHaveLength(4);
  });
});

describe("what could not be read", () => {
  test("is told on standard error, with exit code 1, and costs the others nothing", async () => {
    const cloud = demo(
      [{ name: "orders" }, { name: "billing" }],
      [
        { instance: "orders", task: { name: "restart", created_ago: "1h", runs_for: "30s" } },
        {
          fault: {
            kind: "error",
            status: 500,
            code: "DMS.00500000",
            message: "no luck",
            instance: "billing",
          },
        },
      ],
    );
    const { code, stdout, stderr } = await polled(cloud);
    expect(code).toBe(1);
    expect(cellsOf(stdout)).toHaveLength(2);
    expect(stderr).toMatch(
      /^prod: billing: the cloud has trouble of its own: .* 500 DMS\.00500000: no luck \(request \w+\)\n$/,
    );
  });

  test("is told once for many instances, and a refused key is tried once", async () => {
    const names = Array.from({ length: 12 }, (_, n) => ({ name: `i${n}` }));
    const { code, stdout, stderr, requests } = await polled(
      demo(names, [{ revoke_key: DEMO_KEY.access_key }]),
    );
    expect(code).toBe(1);
    // Nobody knows whether there are any.
    expect(stdout).toBe("");
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^prod: i\d+: the credentials were refused: .*APIGW\.0301/),
      expect.stringMatching(/^prod: 11 instances: the credentials were refused: no call was made/),
    ]);
    expect(requests).toHaveLength(1);
  });

  test("is counted where single tasks of a list are broken", async () => {
    const { stderr } = await polled(
      demo(
        [{ name: "orders" }],
        [
          { instance: "orders", task: { name: "restart", created_ago: "1h", runs_for: "30s" } },
          { fault: { kind: "malformed", variant: "empty_ids" } },
        ],
      ),
    );
    expect(stderr).toBe("prod: orders: 1 task in the list could not be read\n");
  });
});

test("a list that is longer than one reading may be is read in shorter ranges, whole", async () => {
  // Pages of 10 and at most 200 calls a reading: 2,500 tasks need more than one.
  const cloud = demo([{ name: "orders" }], []);
  const { code, stdout, stderr } = await polled(
    {
      ...cloud,
      projects: cloud.projects?.map((project) => ({ ...project, dialect: { max_limit: 10 } })),
      steps: Array.from({ length: 2500 }, (_, n) => ({
        instance: "orders",
        task: { id: `t${n}`, name: "restart", created_ago: (n + 1) * 60_000, runs_for: "30s" },
      })),
    },
    ["--json"],
    (config) => {
      const [project] = config.projects as RawConfig[];
      return { ...config, projects: [{ ...project, requests_per_second: 1000 }] };
    },
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const ids = JSON.parse(stdout).tasks.map(({ task }: { task: { id: string } }) => task.id);
  expect(ids).toHaveLength(2500);
  expect(new Set(ids).size).toBe(2500);
});

test("a hostile name cannot drive the terminal", async () => {
  const name = "\u001b[2J\u001b]0;owned\u0007\r\nprod  orders  forged";
  const cloud = demo(
    [{ name: "orders" }],
    [{ instance: "orders", task: { name, created_ago: "1h", runs_for: "1s" } }],
  );
  const { stdout } = await polled(cloud);
  expect(stdout.trimEnd().split("\n")).toHaveLength(2);
  expect(stdout.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  expect(stdout).toContain("\\u{1b}[2J");
});
