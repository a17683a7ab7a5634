import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { Alertmanager } from "../alerts/alertmanager.ts";
import { shippedAlertmanager, shippedPrometheus } from "../alerts/shipped.ts";
import { runCli } from "../support/cli.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { freePort } from "../support/free-port.ts";
import { Notices } from "../support/notices.ts";
import { Prometheus } from "../support/prometheus.ts";
import { watchConfig } from "../support/watch-config.ts";

const INSTANCES = ["orders", "billing", "telemetry", "payments"] as const;
type InstanceName = (typeof INSTANCES)[number];

describe("the way from a task to a person: daemon, Prometheus and Alertmanager as shipped", {
  timeout: 60_000,
}, () => {
  const opened: AsyncDisposable[] = [];
  const use = <T extends AsyncDisposable>(resource: T): T => {
    opened.unshift(resource);
    return resource;
  };
  let simulator: Simulator;
  let notices: Notices;
  let prometheus: Prometheus;
  let daemon: Daemon;
  let configPath: string;

  beforeAll(async () => {
    const folder = use(await Folder.create());
    notices = use(await Notices.start());
    simulator = use(
      await startSimulator({
        projects: [{ keys: [DEMO_KEY], instances: INSTANCES.map((name) => ({ name })) }],
      }),
    );
    const [port, prometheusPort] = [await freePort(), await freePort()];
    const config = watchConfig(simulator, null, {
      store: { url: `sqlite:${folder.file("taskwatch.db")}` },
      server: { listen: `127.0.0.1:${port}` },
    });
    configPath = await folder.write("taskwatch.json", config);
    // One that hangs since long before the daemon was installed.
    create("billing", { id: "hangs", name: "restartInstance", created_ago: "3h", runs_for: "forever" });
    daemon = await Daemon.start(configPath);
    const text = use(await textOnly(daemon.url));
    const alertmanager = await Alertmanager.start(await shippedAlertmanager(folder.path, notices.url));
    use({ [Symbol.asyncDispose]: () => alertmanager.stop() });
    const file = await shippedPrometheus(folder.path, {
      taskwatch: [`127.0.0.1:${port}`],
      prometheus: `127.0.0.1:${prometheusPort}`,
      alertmanager: new URL(alertmanager.url).host,
      moreJobs: `\n  - job_name: text\n    static_configs: [{ targets: ["${text.host}"] }]\n`,
    });
    prometheus = use(await Prometheus.start(file, { port: prometheusPort }));
  });
  afterAll(async () => {
    await daemon?.[Symbol.asyncDispose]();
    for (const resource of opened) await resource[Symbol.asyncDispose]();
  });

  function create(instance: InstanceName, task: Parameters<Simulator["control"]["createTask"]>[1]) {
    return simulator.control.createTask({ instance }, task);
  }
  const failing = (instance: InstanceName, name: string) => create(instance, { name, status: "FAILED" });
  const of = (alertname: string, instance: InstanceName, job = "taskwatch") => ({
    alertname,
    instance_name: instance,
    job,
  });

  test("a task that hangs is paged, and the page resolves when the task ends", async () => {
    const stuck = await notices.firing(of("DmsTaskStuck", "billing"));
    expect(stuck.receiver).toBe("page");
    expect(stuck.labels).toEqual({
      alertname: "DmsTaskStuck",
      severity: "critical",
      job: "taskwatch",
      project: "prod",
      instance_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      instance_name: "billing",
      task_name: "restartInstance",
      verdict: "running_too_long",
    });
    expect(stuck.annotations).toEqual({
      summary: "A background task of a message-queue instance is stuck.",
      description: `1 task(s) restartInstance on instance billing (${stuck.labels.instance_id}) of project prod are stuck: running_too_long.`,
      runbook_url: expect.stringMatching(/^https:\/\/.+\/docs\/runbook\.md#dmstaskstuck$/),
    });
    simulator.control.updateTask({ instance: "billing" }, "hangs", { status: "SUCCESS" });
    const resolved = await notices.resolved(of("DmsTaskStuck", "billing"));
    expect(resolved.startsAt).toBe(stuck.startsAt);
  });

  test("a task that fails is told, and resolves when a later task of its name succeeds", async () => {
    create("orders", { name: "modifyAutoTopic", runs_for: "1s", ends: "FAILED" });
    const failed = await notices.firing(of("DmsTaskFailed", "orders"));
    expect(failed.receiver).toBe("chat");
    expect(failed.labels).toEqual({
      alertname: "DmsTaskFailed",
      severity: "warning",
      job: "taskwatch",
      project: "prod",
      instance_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      instance_name: "orders",
      task_name: "modifyAutoTopic",
    });
    expect(failed.annotations).toEqual({
      summary: "A background task of a message-queue instance failed.",
      description:
        `1 failed task(s) modifyAutoTopic on instance orders (${failed.labels.instance_id}) of project prod are open: ` +
        "no later task of that name succeeded and nobody acknowledged them.",
      runbook_url: expect.stringMatching(/^https:\/\/.+\/docs\/runbook\.md#dmstaskfailed$/),
    });
    create("orders", { name: "modifyAutoTopic", status: "SUCCESS" });
    const resolved = await notices.resolved(of("DmsTaskFailed", "orders"));
    expect(resolved.startsAt).toBe(failed.startsAt);
  });

  test("a failure that somebody acknowledges resolves", async () => {
    const { task } = failing("telemetry", "deleteTopics");
    await notices.firing(of("DmsTaskFailed", "telemetry"));
    const ack = await runCli(["ack", task, "--reason", "known", "--by", "ana", "--config", configPath]);
    expect(ack, ack.stderr).toMatchObject({ code: 0 });
    await notices.resolved(of("DmsTaskFailed", "telemetry"));
  });

  test("an alert lasts through a crash and a restart of the daemon, and resolves after it", async () => {
    failing("payments", "resizeInstance");
    const failed = await notices.firing(of("DmsTaskFailed", "payments"));
    daemon.kill("SIGKILL");
    await daemon.exited;
    const down = await notices.firing({ alertname: "TaskwatchDown", job: "taskwatch" });
    expect(down).toMatchObject({ receiver: "page", labels: { severity: "critical" } });
    daemon = await Daemon.start(configPath);
    await notices.resolved({ alertname: "TaskwatchDown", job: "taskwatch" });
    create("payments", { name: "resizeInstance", status: "SUCCESS" });
    const resolved = await notices.resolved(of("DmsTaskFailed", "payments"));
    // Had it resolved in between, this would be another alert, begun later.
    expect(resolved.startsAt).toBe(failed.startsAt);
    expect(notices.of(of("DmsTaskFailed", "payments")).map(({ startsAt }) => startsAt)).toEqual(
      notices.of(of("DmsTaskFailed", "payments")).map(() => failed.startsAt),
    );
  });

  test("Prometheus reads OpenMetrics and the text format, and each of them leads to the alert", async () => {
    const up = async () =>
      (await prometheus.query("up")).map(({ metric, value }) => `${metric.job} ${value[1]}`).sort();
    await expect
      .poll(up, { timeout: 20_000 })
      .toEqual(["alertmanager 1", "prometheus 1", "taskwatch 1", "text 1"]);
    expect(await prometheus.scrapeErrors()).toEqual([]);
    failing("orders", "changeRetentionPolicy");
    for (const job of ["taskwatch", "text"])
      await notices.firing({ ...of("DmsTaskFailed", "orders", job), task_name: "changeRetentionPolicy" });
  });
});

/** The daemon as a server that knows no OpenMetrics, which is all that Prometheus asks for. */
async function textOnly(daemonUrl: string): Promise<AsyncDisposable & { readonly host: string }> {
  const server: Server = createServer(async (_request, response) => {
    try {
      const answer = await fetch(`${daemonUrl}/metrics`, { headers: { accept: "text/plain" } });
      const type = answer.headers.get("content-type") ?? "";
      if (!type.startsWith("text/plain")) throw new Error(`not the text format: ${type}`);
      response.writeHead(answer.status, { "content-type": type }).end(await answer.text());
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
