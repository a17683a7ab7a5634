import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { type CliResult, cellsOf, runCli, runInProcess } from "../support/cli.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

/** What a command did is seen by the daemon within this time. */
const SEEN_MS = 5_000;
/** For what no time is promised for. */
const PATIENCE = { timeout: 15_000, interval: 100 };

const resources = new AsyncDisposableStack();
let simulator: Simulator;
let inbox: Inbox;
let daemon: Daemon;
let cli: (...args: string[]) => Promise<CliResult>;
/** Further runs of a command that was run as a process before. */
let again: (...args: string[]) => Promise<CliResult>;

const HOUR = 3_600_000;
const failed = (id: string, name: string, hoursAgo: number) => ({
  id,
  name,
  created_ago: hoursAgo * HOUR,
  runs_for: "90s",
  ends: "FAILED",
});

beforeAll(async () => {
  const folder = resources.use(await Folder.create());
  simulator = resources.use(
    await startSimulator({
      projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }, { name: "billing" }] }],
      steps: [
        {
          instance: "orders",
          task: { id: "zombie", name: "resize", created_ago: "3h", runs_for: "forever" },
        },
        {
          instance: "orders",
          task: { id: "fresh", name: "restart", created_ago: "5m", runs_for: "forever" },
        },
        { instance: "orders", task: failed("failed-one", "reassign", 2) },
        { instance: "billing", task: failed("failed-two", "bindPublicIp", 2) },
        { instance: "billing", task: failed("failed-three", "bindPublicIp", 1) },
      ],
    }),
  );
  inbox = resources.use(await Inbox.start());
  const config = await folder.write(
    "taskwatch.yaml",
    watchConfig(simulator, inbox, {
      // Commands look nothing up; they learn the project's id from what the daemon wrote.
      projects: [projectOf(simulator, { project_id: undefined })],
      window: { first_poll: "emit" },
      store: { url: `sqlite:${folder.file("taskwatch.db")}` },
    }),
  );
  daemon = resources.use(await Daemon.start(config));
  cli = (...args) => runCli([...args, "--config", config]);
  again = (...args) => runInProcess(...args, "--config", config);
  await inbox.event("task.stuck");
  await inbox.until(() => inbox.ofType("task.failed").length === 3);
});

afterEach(() => {
  inbox.answer = () => 204;
});

afterAll(() => resources.disposeAsync());

const seen = (name: string, labels: Record<string, string>, value: number) =>
  vi.waitFor(async () => expect((await daemon.scrape()).sum(name, labels)).toBe(value), {
    timeout: SEEN_MS,
    interval: 50,
  });

describe("tasks", () => {
  test("shows what runs and what failed, with exit code 3", async () => {
    const { code, stdout, stderr } = await cli("tasks");
    expect({ code, stderr }).toEqual({ code: 3, stderr: "" });
    expect(cellsOf(stdout)).toEqual([
      ["PROJECT", "INSTANCE", "TASK NAME", "TASK ID", "STATUS", "DURATION", "VERDICT"],
      ["prod", "billing", "bindPublicIp", "failed-three", "FAILED", "1m 30s", "failed"],
      ["prod", "billing", "bindPublicIp", "failed-two", "FAILED", "1m 30s", "failed"],
      ["prod", "orders", "restart", "fresh", "EXECUTING", expect.stringMatching(/^5m/)],
      ["prod", "orders", "reassign", "failed-one", "FAILED", "1m 30s", "failed"],
      ["prod", "orders", "resize", "zombie", "EXECUTING", expect.stringMatching(/^3h/), "running_too_long"],
    ]);
  });

  test("of one state, in JSON", async () => {
    const { code, stdout } = await cli("tasks", "--state", "stuck", "--json");
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      tasks: [
        {
          project: { name: "prod" },
          instance: { name: "orders", engine: "kafka" },
          task: { id: "zombie", status: "EXECUTING" },
          verdict: "running_too_long",
          threshold: { seconds: 3600, source: "running_after", samples: 0 },
          acknowledged: null,
        },
      ],
    });
  });
});

describe("explain", () => {
  test("tells why a task is stuck, by which limit, and what happened to it", async () => {
    const { code, stdout } = await cli("explain", "zombie");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^instance: +orders [0-9a-f-]{36} \(kafka\), project prod$/m);
    expect(stdout).toMatch(
      /^stuck since \S+Z: running_too_long: EXECUTING, age 3h.*, over the limit of 1h \(running_after\)$/m,
    );
    expect(stdout).toMatch(/^0 of the 20 runs that a learned limit needs are known$/m);
    expect(stdout).toMatch(
      /Z +1 +task\.started +first seen as EXECUTING\n\S+Z +2 +task\.stuck +running_too_long/,
    );
  });

  test("tells why a task is not stuck", async () => {
    const fresh = await again("explain", "fresh");
    expect(fresh.stdout).toMatch(
      /^not stuck: EXECUTING, age 5m.*, within the limit of 1h \(running_after\)$/m,
    );
    const ended = await again("explain", "failed-one", "--json");
    expect(JSON.parse(ended.stdout)).toMatchObject({
      tasks: [
        {
          why: expect.stringMatching(/^not stuck: it ended FAILED, an open failure since /),
          limit: null,
          runs_known: 0,
          events: [{ type: "taskwatch.task.failed", subject: "failed-one" }],
        },
      ],
    });
  });

  test("says that a task is not known", async () => {
    expect(await again("explain", "nobody")).toEqual({
      code: 1,
      stdout: "",
      stderr: "no task nobody is known to the store\n",
    });
  });
});

describe("ack", () => {
  test("of a stuck task ends its alert within five seconds, and tells the webhook who and why", async () => {
    await seen("dms_tasks_stuck", { task_name: "resize" }, 1);
    const { code, stdout } = await cli(
      "ack",
      "zombie",
      "--reason",
      "the cloud never closes it",
      "--by",
      "alice",
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: "acknowledged resize zombie on orders\n" });
    await seen("dms_tasks_stuck", { task_name: "resize" }, 0);
    const { data } = await inbox.event("task.recovered", (letter) => letter.subject === "zombie");
    expect(data).toMatchObject({
      project: { name: "prod", region: "eu-west-101" },
      recovered_from: "stuck",
      resolution: "acknowledged",
      resolved_by: { user: "alice" },
    });
    const { stdout: why } = await again("explain", "zombie");
    expect(why).toMatch(
      /^not stuck: acknowledged by alice at \S+Z \(the cloud never closes it\); still followed/m,
    );
  });

  test("once more is refused with a sentence", async () => {
    const { code, stderr } = await again("ack", "zombie");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^resize zombie on orders: task zombie was acknowledged by alice at /);
  });

  test("the acknowledged task is still followed: when it fails, that alerts anew", async () => {
    simulator.control.updateTask({ instance: "orders" }, "zombie", { status: "FAILED" });
    await inbox.event("task.failed", (letter) => letter.subject === "zombie");
    await seen("dms_task_failures_open", { task_name: "resize" }, 1);
    expect((await again("ack", "zombie", "--by", "alice")).code).toBe(0);
  });

  test("--all acknowledges what fits, and nothing else", async () => {
    await seen("dms_task_failures_open", { task_name: "bindPublicIp" }, 2);
    const { code, stdout } = await cli("ack", "--all", "--instance", "bill*", "--task", "bindPublicIp");
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n").sort()).toEqual([
      expect.stringMatching(/^2 tasks acknowledged by \S+$/),
      "acknowledged bindPublicIp failed-three on billing",
      "acknowledged bindPublicIp failed-two on billing",
    ]);
    await seen("dms_task_failures_open", { task_name: "bindPublicIp" }, 0);
    expect((await daemon.scrape()).sum("dms_task_failures_open")).toBe(1);
  });

  test("of what is not there says so", async () => {
    const nobody = await again("ack", "nobody");
    expect(nobody).toMatchObject({
      code: 1,
      stderr: "nothing acknowledged: no task nobody is known to the store\n",
    });
    const nothing = await again("ack", "--all", "--instance", "billing");
    expect(nothing).toMatchObject({
      code: 1,
      stderr: "nothing acknowledged: no open failure or stuck task fits\n",
    });
  });
});

describe("dead-letters", () => {
  test("are listed, and a replay delivers them under their id", async () => {
    inbox.answer = ({ subject }) => (subject === "refused" ? 400 : 204);
    simulator.control.createTask({ instance: "orders" }, failed("refused", "restart", 0.1));
    await inbox.until(() => inbox.letters.some((letter) => letter.subject === "refused"));
    const [letter] = inbox.letters.filter(({ subject }) => subject === "refused");
    const listed = await vi.waitFor(async () => {
      const { stdout } = await cli("dead-letters", "list");
      expect(stdout).toContain(letter?.id);
      return cellsOf(stdout);
    }, PATIENCE);
    expect(listed).toEqual([
      ["EVENT ID", "WEBHOOK", "TYPE", "DEAD SINCE", "ATTEMPTS", "REASON"],
      [letter?.id, "ops", "task.failed", expect.stringMatching(/Z$/), "1", expect.stringContaining("400")],
    ]);

    inbox.answer = () => 204;
    const unknown = await again("dead-letters", "replay", "evt_nobody");
    expect(unknown).toEqual({
      code: 1,
      stdout: "0 events put back for delivery\n",
      stderr: "evt_nobody: there is no such dead letter\n",
    });
    const replayed = await cli("dead-letters", "replay");
    expect(replayed).toEqual({ code: 0, stdout: "1 event put back for delivery\n", stderr: "" });
    const delivered = await inbox.event("task.failed", ({ subject }) => subject === "refused");
    expect({ id: delivered.id, body: delivered.body }).toEqual({ id: letter?.id, body: letter?.body });
    expect(JSON.parse((await again("dead-letters", "list", "--json")).stdout)).toEqual({ dead_letters: [] });
  });

  test("that are dropped are gone", async () => {
    inbox.answer = ({ subject }) => (subject === "dropped" ? 400 : 204);
    simulator.control.createTask({ instance: "orders" }, failed("dropped", "restart", 0.05));
    await inbox.until(() => inbox.letters.some((letter) => letter.subject === "dropped"));
    const { id } = await vi.waitFor(async () => {
      const { stdout } = await again("dead-letters", "list", "--json");
      const [letter] = JSON.parse(stdout).dead_letters;
      expect(letter).toMatchObject({ webhook: "ops", type: "task.failed", event: { subject: "dropped" } });
      return { id: letter.event_id as string };
    }, PATIENCE);
    inbox.answer = () => 204;
    expect(await cli("dead-letters", "drop", id)).toMatchObject({ code: 0, stdout: "1 event dropped\n" });
    expect(await again("dead-letters", "list")).toMatchObject({ code: 0, stdout: "no dead letters\n" });
  });
});

describe("webhook", () => {
  test("test sends a marked event, signed as any other, and shows the answer", async () => {
    const { code, stdout } = await cli("webhook", "test", "ops");
    expect(code).toBe(0);
    const { id, data } = await inbox.event("test");
    expect(data.reason).toContain("nothing happened");
    expect(stdout).toMatch(
      new RegExp(
        `^sent ${id} to ops at http://127\\.0\\.0\\.1:${inbox.port}/<secret>\ndelivered: HTTP 204 after`,
      ),
    );
    expect(inbox.bad).toEqual([]);
  });

  test("test says what a receiver that refuses answers", async () => {
    inbox.answer = () => ({ status: 422, body: "no such team\u001b[31m" });
    const { code, stdout } = await cli("webhook", "test", "ops");
    inbox.answer = () => 204;
    expect(code).toBe(1);
    expect(stdout).toMatch(/\nnot delivered: HTTP 422 after .*\nanswer: no such team\\u\{1b\}\[31m\n$/);
  });

  test("enable lifts a 410, and the daemon goes on within five seconds", async () => {
    inbox.answer = ({ subject }) => (subject === "unheard" ? 410 : 204);
    simulator.control.createTask({ instance: "billing" }, failed("unheard", "resize", 0.04));
    await seen("taskwatch_webhook_disabled", { webhook: "ops" }, 1);
    inbox.answer = () => 204;
    expect(await cli("webhook", "enable", "ops")).toMatchObject({
      code: 0,
      stdout: "ops is enabled again\n",
    });
    await seen("taskwatch_webhook_disabled", { webhook: "ops" }, 0);
    expect(await cli("webhook", "enable", "ops")).toMatchObject({
      code: 0,
      stdout: "ops was not disabled\n",
    });
  });

  test("that is not configured is named, with what was meant", async () => {
    const { code, stderr } = await again("webhook", "test", "opps");
    expect({ code, stderr }).toEqual({ code: 2, stderr: "no webhook is named opps; did you mean ops?\n" });
  });
});
