import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { RunningApp } from "../support/running-app.ts";
import type { Scrape } from "../support/scrape.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";
import { alertsDir, readRules } from "./config-files.ts";
import { run } from "./tool.ts";

const INTERVAL = 15;
const HOURS_3 = (3 * 3600) / INTERVAL;

/** A daemon whose project has an open failure; with `remembered`, it was restarted after IAM went away. */
async function blind({ remembered }: { readonly remembered: boolean }): Promise<Scrape> {
  const folder = mkdtempSync(join(tmpdir(), "taskwatch-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
  });
  const project = projectOf(simulator, { project_id: undefined, instances: [], discover: {} });
  const store = { url: `sqlite:${join(folder, "t.db")}` };
  const config = watchConfig(simulator, null, { projects: [project], store });
  if (remembered) {
    await using app = await RunningApp.start(config);
    await app.log.until("polled");
    simulator.control.createTask({ instance: "orders" }, { name: "resize", status: "FAILED" });
    const open = async () => (await app.scrape()).sum("dms_task_failures_open");
    await expect.poll(open, { timeout: 20_000 }).toBe(1);
  }
  simulator.control.addFault({ kind: "error", status: 503, operation: "list_projects" });
  await using app = await RunningApp.start(config);
  if (remembered) await app.log.until("polled");
  else await app.log.until("project not watched");
  return await app.scrape();
}

/** The series as Prometheus would have them, for three hours: what is a time grows with the time. */
function seriesOf({ text }: Scrape): readonly { readonly series: string; readonly values: string }[] {
  const now = Date.now() / 1000;
  const up = { series: 'up{job="taskwatch",instance="a"}', values: `1x${HOURS_3}` };
  const exposed = text.split("\n").flatMap((line) => {
    const [, name, labels, value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || value === "NaN" || value === "+Inf") return [];
    const series = `${name}{${labels ? `${labels},` : ""}job="taskwatch",instance="a"}`;
    const time = name.endsWith("_timestamp_seconds");
    return { series, values: time ? `${Number(value) - now}+${INTERVAL}x${HOURS_3}` : `${value}x${HOURS_3}` };
  });
  return [up, ...exposed];
}

/** What promtool says about the alerts that fire, each at some time: all of them, and no other. */
async function expectFiring(scrape: Scrape, at: Readonly<Record<string, readonly string[]>>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "taskwatch-blind-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const promql = Object.entries(at).map(([time, alerts]) => ({
    expr: 'count by (alertname, project) (ALERTS{alertstate="firing"})',
    eval_time: time,
    exp_samples: alerts.map((alertname) => ({
      labels: `{alertname="${alertname}",project="prod"}`,
      value: 1,
    })),
  }));
  const fixture = {
    rule_files: [`${alertsDir}taskwatch.rules.yml`],
    evaluation_interval: `${INTERVAL}s`,
    tests: [{ interval: `${INTERVAL}s`, input_series: seriesOf(scrape), promql_expr_test: promql }],
  };
  writeFileSync(join(dir, "test.yml"), stringify(fixture));
  const outcome = await run("promtool", ["test", "rules", "test.yml"], dir);
  expect(outcome.code, outcome.output).toBe(0);
}

test("what a daemon exposes that was never told the project's id fires within five minutes, and stays", async () => {
  expect(readRules().map(({ alert }) => alert)).toContain("TaskwatchProjectNotWatched");
  const scrape = await blind({ remembered: false });
  expect(scrape.value("taskwatch_project_watched", { project: "prod" })).toBe(0);
  await expectFiring(scrape, {
    "2m": [],
    "5m": ["TaskwatchProjectNotWatched"],
    "3h": ["TaskwatchDiscoveryFailing", "TaskwatchProjectNotWatched"],
  });
});

test("what a daemon exposes that remembers the project's id keeps the open failure firing for hours", async () => {
  const scrape = await blind({ remembered: true });
  expect(scrape.value("taskwatch_project_watched", { project: "prod" })).toBe(1);
  await expectFiring(scrape, { "5m": ["DmsTaskFailed"], "3h": ["DmsTaskFailed"] });
});
