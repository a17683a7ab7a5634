import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

export const configDir = fileURLToPath(new URL("../../config/", import.meta.url));
export const alertsDir = `${configDir}alerts/`;
const rulesFile = `${alertsDir}taskwatch.rules.yml`;
export const ruleTestFiles = readdirSync(alertsDir)
  .filter((name) => name.endsWith(".rules.test.yml"))
  .sort();

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** One test of a file for `promtool test rules`; only what the tests here look at. */
export interface RuleTest {
  readonly alert_rule_test?: readonly { readonly alertname: string }[];
  readonly promql_expr_test?: readonly { readonly expr: string }[];
}

/** The alerts about one instance. */
export const PER_INSTANCE: readonly string[] = [
  "DmsTaskFailed",
  "DmsTaskStuck",
  "DmsInstanceUnreachable",
  "TaskwatchPollingStale",
];

/** All alert rules, in the order of the file. */
export function readRules(): AlertRule[] {
  const file = parse(readFileSync(rulesFile, "utf8")) as { groups: { rules: AlertRule[] }[] };
  return file.groups.flatMap((group) => group.rules);
}

/** The unit tests of all files, with their anchors resolved. */
export function readRuleTests(): RuleTest[] {
  return ruleTestFiles.flatMap((name) => {
    const text = readFileSync(alertsDir + name, "utf8");
    // `0x20` stands for 21 samples of 0 there, and not for 32.
    const file = parse(text, {
      maxAliasCount: -1,
      customTags: (tags) => tags.filter((tag) => typeof tag === "string" || tag.format !== "HEX"),
    }) as { tests: RuleTest[] };
    return file.tests;
  });
}

export function readRunbook(): string {
  return readFileSync(new URL("../../docs/runbook.md", import.meta.url), "utf8");
}
