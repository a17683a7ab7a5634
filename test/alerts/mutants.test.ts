import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { type AlertRule, PER_INSTANCE, type RuleTest, readRules, readRuleTests } from "./config-files.ts";
import { type Outcome, run } from "./tool.ts";

// The unit tests of the rules are worth what they notice. Each rule is broken here, and its tests must fail.

const rules = readRules();
const names = rules.map((rule) => rule.alert);
const tests = readRuleTests();
const dir = mkdtempSync(join(tmpdir(), "taskwatch-mutants-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** Whether an expression of a unit test asks about this alert, by its name or about all. */
function asksAbout(alert: string, expr: string): boolean {
  return expr.includes(alert) || !names.some((name) => expr.includes(name));
}

/** The tests of one alert alone, so that the rule can stand alone in its file. */
function testsOf(alert: string): RuleTest[] {
  return tests
    .map((test) => ({
      ...test,
      alert_rule_test: (test.alert_rule_test ?? []).filter((entry) => entry.alertname === alert),
      promql_expr_test: (test.promql_expr_test ?? []).filter((entry) => asksAbout(alert, entry.expr)),
    }))
    .filter((test) => test.alert_rule_test.length + test.promql_expr_test.length > 0);
}

async function testRule(rule: AlertRule): Promise<Outcome> {
  const file = mkdtempSync(join(dir, "rule-"));
  writeFileSync(join(file, "rules.yml"), stringify({ groups: [{ name: "mutant", rules: [rule] }] }));
  writeFileSync(
    join(file, "test.yml"),
    stringify(
      { rule_files: ["rules.yml"], evaluation_interval: "15s", tests: testsOf(rule.alert) },
      { aliasDuplicateObjects: false },
    ),
  );
  return run("promtool", ["test", "rules", "test.yml"], file);
}

async function expectNoticed(mutant: AlertRule): Promise<void> {
  const outcome = await testRule(mutant);
  expect(outcome.output).toContain("FAILED");
  expect(outcome.code, outcome.output).toBe(1);
}

function ruleOf(alert: string): AlertRule {
  return rules.find((rule) => rule.alert === alert)!;
}

/** The rule with a part of its expression replaced; throws when the part is not there, or no longer. */
function mutate(alert: string, part: RegExp, by: string): AlertRule {
  const rule = ruleOf(alert);
  const expr = rule.expr.replace(part, by);
  if (expr === rule.expr) throw new Error(`${alert} has no part ${part}`);
  return { ...rule, expr };
}

describe.each(rules.map((rule) => [rule.alert, rule] as const))("%s", { timeout: 120_000 }, (_, rule) => {
  test("alone, its tests pass", async () => {
    const outcome = await testRule(rule);
    expect(outcome.code, outcome.output).toBe(0);
  });

  test("its tests notice that it never fires, always fires, or fires too early", async () => {
    await expectNoticed({ ...rule, expr: "vector(0) > 1" });
    await expectNoticed({ ...rule, expr: "vector(1)" });
    await expectNoticed(rule.for === undefined ? { ...rule, for: "15s" } : { ...rule, for: "0s" });
  });
});

const MAINTENANCE =
  /unless on \(job, project, instance_id\) max by [^)]+\) \(dms_instance_maintenance\) == 1/;
const EXPOSED = /unless (?:on \(job, project, instance_id\) )?max by [^)]+\) \(dms_instance_info\)/;
const LAST_SAMPLES = /(?:max|min) by ([^)]+\)) \(last_over_time\(\w+\[15m\]\)\)(?: > 0| == 0)?\s+and /;
const AS_IT_WAS = /and max by [^)]+\) \(ALERTS\{[^}]+\}\)/;

describe.each(PER_INSTANCE)("%s", { timeout: 120_000 }, (alert) => {
  test.each([
    ["maintenance", MAINTENANCE, ""],
    ["that somebody exposes the instance", EXPOSED, ""],
    ["the end of the memory", LAST_SAMPLES, ""],
    ["as what it stays in a gap", AS_IT_WAS, ""],
    ["the memory", /\[15m\]/, "[1m]"],
  ])("its tests notice that it forgot %s", (_, part, by) => expectNoticed(mutate(alert, part, by)));
});

describe("TaskwatchPollingStale", { timeout: 120_000 }, () => {
  test.each([
    ["polls that never end", /time\(\)[\s\S]+?, 300\)\s+or/, ""],
    [
      "polls that end incomplete",
      /max by \(job, project, instance_id\) \(dms_instance_up\) == 0/,
      "vector(0) > 1",
    ],
    [
      "that an unreachable instance has its own alert",
      /and max by \(job, project, instance_id\) \(dms_instance_reachable\) == 1/,
      "",
    ],
    ["the last complete listing", /unless\s+time\(\)[^<]+<= clamp_min\([^\n]+\n/, ""],
    ["the interval", /clamp_min\(5 \* max by [^)]+\) \(dms_instance_poll_interval_seconds\), 300\)/, "300"],
  ])("its tests notice that it forgot %s", (_, part, by) =>
    expectNoticed(mutate("TaskwatchPollingStale", part, by)),
  );
});

describe("the monitor's own alerts", { timeout: 120_000 }, () => {
  test.each([
    ["TaskwatchDown", "a target that is gone altogether", /absent\(up\{job="taskwatch"\}\)\s+or /, ""],
    [
      "TaskwatchDown",
      "a target that does not answer",
      /\s+or max by \(job\) \(up\{job="taskwatch"\}\) == 0/,
      "",
    ],
    ["TaskwatchDown", "the other replica", /max by \(job\)/, "min by (job)"],
    [
      "TaskwatchReplicaDown",
      "the store",
      /or max_over_time\(taskwatch_store_up\{job="taskwatch"\}\[2m\]\) == 0/,
      "",
    ],
    ["TaskwatchReplicaDown", "that another one works", /and on \(job\)[^\n]+/, ""],
    [
      "TaskwatchReplicaDown",
      "a failed scrape of the other",
      /max by \(job\) \(max_over_time\((taskwatch_store_up\{job="taskwatch"\})\[2m\]\)\)/,
      "max by (job) ($1)",
    ],
    ["TaskwatchStoreDown", "the other replica", /max by \(job\)/, "min by (job)"],
    ["TaskwatchStoreDown", "a failed scrape", /max_over_time\((taskwatch_store_up)\[2m\]\)/, "$1"],
    [
      "TaskwatchOverloaded",
      "the other replica",
      /sum by \(job, project\) \(last_over/,
      "max by (job, project) (last_over",
    ],
    [
      "TaskwatchOverloaded",
      "a failed scrape",
      /\(last_over_time\((taskwatch_api_needed_requests_per_second)\[2m\]\)\)/,
      "($1)",
    ],
    ["TaskwatchOverloaded", "the lag", /or\s+sum[\s\S]+$/, ""],
    ["TaskwatchOverloaded", "the need", /sum[\s\S]+\s+or\n/, ""],
    ["TaskwatchCredentialsRejected", "the gap", /\[15m\]/, "[1m]"],
    [
      "TaskwatchCredentialsRejected",
      "that the project left",
      /unless on \(job\) max by \(job\) \(taskwatch_build_info\)/,
      "",
    ],
    ["TaskwatchThrottled", "the share", /> 0\.01/, "> 0.1"],
    ["TaskwatchThrottled", "the burst", /\[5m\]/g, "[15m]"],
    ["TaskwatchDiscoveryFailing", "a project that never had a success", /or \([\s\S]+$/, ""],
    ["TaskwatchDiscoveryFailing", "an old success", /time\(\)[\s\S]+\s+or \(/, "("],
    ["TaskwatchDiscoveryFailing", "a restart", /\[5m\]/g, "[30s]"],
    ["TaskwatchWebhookBacklog", "that nobody owns a shard", /or \([\s\S]+> 0\s+\)/, ""],
    ["TaskwatchWebhookBacklog", "the takeover of one shard", /\[2m\]/, "[15s]"],
    [
      "TaskwatchWebhookBacklog",
      "that it was sent",
      /unless on \(job\) sum by \(job\) \(taskwatch_shards_owned\) > 0/,
      "",
    ],
    ["TaskwatchWebhookDisabled", "the gap", /\[15m\]/, "[1m]"],
    [
      "TaskwatchWebhookDisabled",
      "that the webhook left",
      /unless on \(job\) max by \(job\) \(taskwatch_build_info\)/,
      "",
    ],
    ["TaskwatchDeadLetters", "that nobody owns a shard", /or \([\s\S]+> 0\s+\)/, ""],
    ["TaskwatchDeadLetters", "the takeover of one shard", /\[2m\]/, "[15s]"],
    ["TaskwatchShardsUnowned", "a failed scrape", /last_over_time\((taskwatch_shards_owned)\[2m\]\)/, "$1"],
    ["TaskwatchShardsUnowned", "the other replica", /sum by \(job\)/, "max by (job)"],
    ["TaskwatchStateUnreadable", "that nobody owns a shard", /or \([\s\S]+> 0\s+\)/, ""],
    ["TaskwatchStateUnreadable", "the takeover of one shard", /\[2m\]/, "[15s]"],
    ["TaskwatchConfigReloadFailed", "a failed scrape", /max_over_time\((\w+)\[5m\]\)/, "$1"],
    ["TaskwatchConfigInconsistent", "a failed scrape", /last_over_time\((\w+)\[5m\]\)/g, "$1"],
    ["TaskwatchConfigInconsistent", "that another job is another system", /by \(job\)/g, "by ()"],
  ])("the tests of %s notice that it forgot %s", (alert, _, part, by) =>
    expectNoticed(mutate(alert, part, by)),
  );
});
