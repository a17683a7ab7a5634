import { expect, onTestFinished, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Alertmanager } from "../alerts/alertmanager.ts";
import { shippedAlertmanager, shippedPrometheus } from "../alerts/shipped.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { fakeTime } from "../support/fake-time.ts";
import { freePort } from "../support/free-port.ts";
import { Notices } from "../support/notices.ts";
import { Prometheus } from "../support/prometheus.ts";
import { watchConfig } from "../support/watch-config.ts";

vi.setConfig({ testTimeout: 60_000 });

const OLDEST = "taskwatch_webhook_oldest_pending_timestamp_seconds";
const AM = { webhook: "am" };

test("Alertmanagers that take nothing are paged about, also by a daemon that started while they were away", async () => {
  await using folder = await Folder.create();
  await using notices = await Notices.start();
  // Cloud and daemon live twenty minutes ago, so that what waits since then is old for Prometheus.
  const ago = 20 * 60_000;
  await using simulator = await startSimulator({
    clock: () => Date.now() - ago,
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
  });
  const [port, prometheusPort, nobody] = [await freePort(), await freePort(), await freePort()];
  const path = await folder.write(
    "taskwatch.json",
    watchConfig(simulator, null, {
      store: { url: `sqlite:${folder.file("t.db")}` },
      server: { listen: `127.0.0.1:${port}` },
      log: { level: "debug" },
      webhooks: [{ name: "am", format: "alertmanager", urls: [`http://127.0.0.1:${nobody}`] }],
    }),
  );
  const time = await fakeTime(folder, "-20m");
  let daemon = await Daemon.start(path, time.env);
  onTestFinished(() => daemon[Symbol.asyncDispose]());
  await daemon.log.until("polled");
  simulator.control.createTask(
    { instance: "orders" },
    { name: "modifyAutoTopic", ends: "FAILED", runs_for: 0 },
  );
  const waiting = () =>
    vi.waitFor(
      async () => {
        const oldest = (await daemon.scrape()).value(OLDEST, AM);
        if (oldest === undefined) throw new Error("nothing waits");
        return oldest;
      },
      { timeout: 20_000, interval: 50 },
    );
  const oldest = await waiting();
  daemon.kill("SIGKILL");
  await daemon.exited;
  daemon = await Daemon.start(path, time.env);
  expect(await waiting()).toBe(oldest);

  const alertmanager = await Alertmanager.start(await shippedAlertmanager(folder.path, notices.url));
  onTestFinished(() => alertmanager.stop());
  const file = await shippedPrometheus(folder.path, {
    taskwatch: [`127.0.0.1:${port}`],
    prometheus: `127.0.0.1:${prometheusPort}`,
    alertmanager: new URL(alertmanager.url).host,
    soon: ["TaskwatchWebhookBacklog"],
  });
  await using _prometheus = await Prometheus.start(file, { port: prometheusPort });
  const paged = await notices.firing({ alertname: "TaskwatchWebhookBacklog", webhook: "am" });
  expect(paged).toMatchObject({ receiver: "page", labels: { severity: "critical", job: "taskwatch" } });
});
