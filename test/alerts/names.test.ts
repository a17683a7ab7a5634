import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readRules } from "./config-files.ts";
import { expressions, readDashboards } from "./dashboard.ts";
import { knownMetrics, unknownNames } from "./known-metrics.ts";
import { mentions } from "./promql.ts";

const known = knownMetrics();
const root = new URL("../../", import.meta.url);

/** Labels that the result of an expression can have. */
function resultLabels(expr: string): string[] {
  const { lists } = mentions(expr);
  return [
    "job",
    "instance",
    ...lists.filter(({ keyword }) => keyword === "by").flatMap(({ labels }) => labels),
  ];
}

describe("a name that does not exist is noticed", () => {
  test.each([
    ["a metric", "dms_task_failure_open > 0", "there is no metric dms_task_failure_open"],
    [
      "a histogram without its suffix",
      "taskwatch_poll_lag_seconds",
      "there is no metric taskwatch_poll_lag_seconds",
    ],
    ["a label in braces", 'up{jobs="x"}', "up has no label jobs"],
    ["a label of another metric", 'dms_tasks_open{verdict="x"}', "dms_tasks_open has no label verdict"],
    [
      "a label of an aggregation",
      "max by (task) (dms_tasks_open)",
      "by (task): no such label on dms_tasks_open",
    ],
    [
      "a label that only the other side has",
      "max by (verdict) (dms_tasks_open) or max by (verdict) (dms_tasks_stuck)",
      "by (verdict): no such label on dms_tasks_open",
    ],
    ["a label of a match", "up * on (pods) up", "on (pods): no such label on up, up"],
  ])("%s", (_, expr, problem) => expect(unknownNames(expr, known)).toEqual([problem]));

  test("and one that exists is not", () => {
    const expr = `histogram_quantile(0.9, sum by (task_name, le) (rate(dms_task_duration_seconds_bucket{job="dms_x", status=~"a{2}"}[5m] offset 1h)))
      and on (task_name) max without (instance, pod) (dms_tasks_open) > bool -Inf # dms_comment`;
    expect(unknownNames(expr, known)).toEqual([]);
    expect(mentions(expr).selectors.map(({ metric }) => metric)).toEqual([
      "dms_task_duration_seconds_bucket",
      "dms_tasks_open",
    ]);
  });
});

test.each(readRules().map((rule) => [rule.alert, rule] as const))(
  "the names in %s exist",
  (_, { expr, annotations }) => {
    expect(unknownNames(expr, known)).toEqual([]);
    for (const text of Object.values(annotations)) {
      for (const [, label] of text.matchAll(/\$labels\.(\w+)/g)) expect(resultLabels(expr)).toContain(label);
    }
  },
);

test("the names on the dashboard exist", () => {
  const problems = readDashboards()
    .flatMap(expressions)
    .flatMap(({ place, expr }) => unknownNames(expr, known).map((problem) => `${place}: ${problem}`));
  expect(problems).toEqual([]);
});

test("the labels in the legends of the dashboard exist", () => {
  for (const { panels } of readDashboards()) {
    for (const { title, targets } of panels) {
      for (const { legendFormat, expr } of targets ?? []) {
        const { selectors, lists } = mentions(expr);
        const ofMetrics = selectors.flatMap(({ metric }) => [
          "job",
          "instance",
          ...(known.get(metric) ?? []),
        ]);
        const [outermost] = lists;
        const labels =
          outermost?.keyword === "by" && !expr.includes("group_left") ? outermost.labels : ofMetrics;
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          expect(labels, `${title}: ${legendFormat}`).toContain(label);
        }
      }
    }
  }
});

const docs = ["README.md", ...readdirSync(new URL("docs/", root)).map((name) => `docs/${name}`)].filter(
  (name) => name.endsWith(".md") && readdirSync(root).includes(name.split("/")[0]!),
);

describe.each(docs)("%s", (name) => {
  const text = readFileSync(new URL(name, root), "utf8");

  test("the metrics in it exist", () => {
    const names = [...text.matchAll(/\b(?:dms|taskwatch)_[a-z0-9_]*[a-z0-9](?![\w*…])/g)].map(
      ([metric]) => metric,
    );
    const families = new Set([...known.keys()].flatMap((metric) => [metric, metric.replace(/_bucket$/, "")]));
    expect(names.filter((metric) => !families.has(metric))).toEqual([]);
  });

  test("the names in its queries exist", () => {
    const blocks = [...text.matchAll(/^```promql\n([\s\S]*?)^```/gm)].flatMap(([, block]) =>
      block!.trim().split("\n"),
    );
    const prose = text.replaceAll(/^```[\s\S]*?^```/gm, "");
    const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span]) => span!);
    const inline = spans.filter((span) => /\b(?:dms|taskwatch)_\w+[{)[]|\bup\{/.test(span));
    const problems = [...blocks, ...inline].flatMap((expr) => unknownNames(expr, known));
    expect(problems).toEqual([]);
  });
});
