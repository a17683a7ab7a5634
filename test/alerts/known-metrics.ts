import { collectDefaultMetrics, Registry } from "prom-client";
import { LEFT_OUT_DEFAULTS, metricSpecs } from "../../src/observe/catalog.ts";
import { mentions } from "./promql.ts";

/** Given to each series by the scrape. */
const TARGET_LABELS = ["job", "instance", "pod"];

/** What the rules keep of the labels of metrics. */
const ALERT_LABELS = ["project", "instance_id", "instance_name", "task_name", "verdict", "webhook"];

/** Every series name that a scrape can give, with its labels less those of the target. */
export function knownMetrics(): Map<string, readonly string[]> {
  const known = new Map<string, readonly string[]>([
    ["up", []],
    ["ALERTS", ["alertname", "alertstate", "severity", ...ALERT_LABELS]],
  ]);
  for (const { name, type, labels } of metricSpecs) {
    if (type !== "histogram") known.set(name, labels);
    else {
      known.set(`${name}_bucket`, [...labels, "le"]);
      known.set(`${name}_sum`, labels);
      known.set(`${name}_count`, labels);
    }
  }
  const register = new Registry();
  collectDefaultMetrics({ register });
  for (const { name } of register.getMetricsAsArray()) {
    if (!(LEFT_OUT_DEFAULTS as readonly string[]).includes(name)) known.set(name, []);
  }
  return known;
}

/** What an expression names that does not exist, one sentence each; none when all is well. */
export function unknownNames(expr: string, known: ReadonlyMap<string, readonly string[]>): string[] {
  const { selectors, lists } = mentions(expr);
  const problems: string[] = [];
  for (const { metric, labels } of selectors) {
    const has = known.get(metric);
    if (has === undefined) problems.push(`there is no metric ${metric}`);
    for (const label of labels) {
      if (has !== undefined && ![...has, ...TARGET_LABELS].includes(label)) {
        problems.push(`${metric} has no label ${label}`);
      }
    }
  }
  for (const { keyword, labels, metrics } of lists) {
    const had = new Set([...TARGET_LABELS, ...metrics.flatMap((metric) => known.get(metric) ?? [])]);
    for (const label of labels) {
      if (!had.has(label)) problems.push(`${keyword} (${label}): no such label on ${metrics.join(", ")}`);
    }
  }
  return problems;
}
