import { expect, test } from "vitest";
import { alertsDir, configDir, PER_INSTANCE, readRules, ruleTestFiles } from "./config-files.ts";
import { run } from "./tool.ts";

const SEVERITIES = {
  DmsTaskFailed: "warning",
  DmsTaskStuck: "critical",
  DmsInstanceUnreachable: "warning",
  TaskwatchPollingStale: "critical",
  TaskwatchDown: "critical",
  TaskwatchReplicaDown: "warning",
  TaskwatchOverloaded: "warning",
  TaskwatchCredentialsRejected: "critical",
  TaskwatchProjectNotWatched: "critical",
  TaskwatchThrottled: "warning",
  TaskwatchDiscoveryFailing: "warning",
  TaskwatchWebhookBacklog: "critical",
  TaskwatchWebhookDisabled: "critical",
  TaskwatchDeadLetters: "warning",
  TaskwatchStoreDown: "critical",
  TaskwatchShardsUnowned: "critical",
  TaskwatchStateUnreadable: "critical",
  TaskwatchConfigReloadFailed: "warning",
  TaskwatchConfigInconsistent: "warning",
};

test("the alerts are those that are promised, with their severities", () => {
  expect(Object.fromEntries(readRules().map((rule) => [rule.alert, rule.labels.severity]))).toEqual(
    SEVERITIES,
  );
});

test("every alert has a summary that is one static sentence, and a description that names its subject", () => {
  for (const { alert, annotations } of readRules()) {
    expect(annotations.summary, alert).toMatch(/^[A-Z][^{}]*\.$/);
    expect(annotations.description, alert).toMatch(/\{\{ \$labels\.\w+ \}\}/);
  }
});

test("no alert counts the increase of a counter of one instance", () => {
  for (const { alert, expr } of readRules()) {
    expect(expr, alert).not.toMatch(/\b(?:increase|rate|irate|delta)\s*\(\s*dms_/);
    expect(expr, alert).not.toContain("dms_task_failures_total");
  }
});

test("an alert about one instance carries no label of the scraped target", () => {
  for (const { alert, expr } of readRules().filter((rule) => PER_INSTANCE.includes(rule.alert))) {
    const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].map((match) => match[1]!.split(", "));
    expect(grouped.length, alert).toBeGreaterThan(0);
    for (const labels of grouped) {
      expect(labels, alert).toEqual(expect.arrayContaining(["job", "project", "instance_id"]));
      expect(labels, alert).not.toContain("instance");
      expect(labels, alert).not.toContain("pod");
    }
  }
});

test("an alert stays as it was, and not as another one was", () => {
  for (const { alert, expr } of readRules()) {
    const asked = [...expr.matchAll(/ALERTS\{alertname="(\w+)"\}/g)].map((match) => match[1]);
    expect(asked, alert).toEqual(PER_INSTANCE.includes(alert) ? [alert] : []);
  }
});

test("promtool accepts the rules and the configuration of Prometheus", async () => {
  expect(
    await run("promtool", ["check", "rules", "--lint-fatal", "alerts/taskwatch.rules.yml"], configDir),
  ).toMatchObject({
    code: 0,
    output: expect.stringContaining(`${Object.keys(SEVERITIES).length} rules found`),
  });
  const config = await run("promtool", ["check", "config", "--lint-fatal", "prometheus.yml"], configDir);
  expect(config.code, config.output).toBe(0);
  expect(config.output).toContain("1 rule files found");
});

test.each(ruleTestFiles)(
  "the alerts fire, stay silent and end as %s says",
  { timeout: 120_000 },
  async (name) => {
    const outcome = await run("promtool", ["test", "rules", name], alertsDir);
    expect(outcome.code, outcome.output).toBe(0);
  },
);
