import { expect, test } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { shippedPrometheus } from "../alerts/shipped.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { freePort } from "../support/free-port.ts";
import { Prometheus } from "../support/prometheus.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";

test("after a restart while IAM is away, a failure still fires, and so does a project whose id nobody knows", {
  timeout: 60_000,
}, async () => {
  await using folder = await Folder.create();
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
  });
  const port = await freePort();
  const lookedUp = { project_id: undefined, instances: [], discover: { every: "5s" } };
  const known = projectOf(simulator, lookedUp);
  const unknown = projectOf(simulator, { ...lookedUp, name: "blind", region: "eu-west-202" });
  const write = (...projects: readonly unknown[]) =>
    folder.write(
      "taskwatch.json",
      watchConfig(simulator, null, {
        projects,
        store: { url: `sqlite:${folder.file("taskwatch.db")}` },
        log: { level: "debug" },
        server: { listen: `127.0.0.1:${port}` },
      }),
    );
  const before = await Daemon.start(await write(known));
  await before.log.until("polled");
  simulator.control.createTask({ instance: "orders" }, { name: "resizeInstance", status: "FAILED" });
  const open = async () => (await before.scrape()).sum("dms_task_failures_open");
  await expect.poll(open, { timeout: 20_000 }).toBe(1);
  before.kill("SIGKILL");
  await before.exited;

  simulator.control.addFault({ kind: "error", status: 503, operation: "list_projects" });
  await using daemon = await Daemon.start(await write(known, unknown));
  const prometheusPort = await freePort();
  const file = await shippedPrometheus(folder.path, {
    taskwatch: [`127.0.0.1:${port}`],
    prometheus: `127.0.0.1:${prometheusPort}`,
    alertmanager: "127.0.0.1:9",
    soon: ["TaskwatchProjectNotWatched"],
  });
  await using prometheus = await Prometheus.start(file, { port: prometheusPort });
  const firing = async () =>
    (await prometheus.query('ALERTS{alertstate="firing"}'))
      .map(({ metric }) => `${metric.alertname} ${metric.project}`)
      .sort();
  await expect
    .poll(firing, { timeout: 30_000 })
    .toEqual(["DmsTaskFailed prod", "TaskwatchProjectNotWatched blind"]);
  expect(daemon.log.of("project not watched")).toMatchObject([{ project: "blind", cause: "server_error" }]);
});
