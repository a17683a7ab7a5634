import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { metricSpecs } from "../../src/observe/catalog.ts";
import { configDir } from "./config-files.ts";
import { expressions, readDashboards } from "./dashboard.ts";
import { mentions } from "./promql.ts";
import { run } from "./tool.ts";

const dashboards = readDashboards();
const [dashboard] = dashboards;

test("there is one dashboard, for Grafana 10 and later, with its variables", () => {
  expect(dashboards.map(({ uid }) => uid)).toEqual(["dms-taskwatch"]);
  expect(dashboard!.schemaVersion).toBeGreaterThanOrEqual(38);
  expect(dashboard!.templating.list.map(({ name }) => name)).toEqual([
    "datasource",
    "job",
    "project",
    "instance",
  ]);
});

test("the instance variable shows names and filters by id", () => {
  const [, pattern] = /^\/(.+)\/$/.exec(
    dashboard!.templating.list.find(({ name }) => name === "instance")!.regex,
  )!;
  // As Grafana gets the series of a query_result.
  const series = '{instance_id="6ec6cf7a", instance_name="orders"} 1 1764000000000';
  expect(new RegExp(pattern!).exec(series)?.groups).toEqual({ value: "6ec6cf7a", text: "orders" });
});

test("every panel has a title, a place of its own, a description, and asks the chosen data source", () => {
  const taken = new Map<string, string>();
  const ids = new Set<number>();
  for (const { id, type, title, description, datasource, gridPos, targets } of dashboard!.panels) {
    expect(ids, title).not.toContain(id);
    ids.add(id);
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(taken.get(`${x},${y}`), `${title} lies on another panel`).toBeUndefined();
        taken.set(`${x},${y}`, title);
      }
    }
    if (type === "row") continue;
    expect(description, title).toMatch(/\S/);
    expect(datasource, title).toEqual({ type: "prometheus", uid: `\${datasource}` });
    expect(targets?.length, title).toBeGreaterThan(0);
  }
});

test("the questions of a person on call each have a row", () => {
  const rows = dashboard!.panels.filter(({ type }) => type === "row").map(({ title }) => title);
  expect(rows).toEqual([
    "Now",
    "What fails",
    "What is stuck",
    "Durations by task name",
    "Freshness per instance",
    "Polls and API budget",
    "Webhooks and events",
    "Replicas",
  ]);
});

test("promtool reads every expression", async () => {
  const rules = expressions(dashboard!).map(({ expr }, i) => ({
    record: `panel:${i}`,
    expr,
  }));
  expect(rules.length).toBeGreaterThan(50);
  expect(rules.map(({ expr }) => expr).filter((expr) => expr.includes("$"))).toEqual([]);
  const dir = mkdtempSync(join(tmpdir(), "taskwatch-dashboard-"));
  try {
    const file = join(dir, "rules.yml");
    writeFileSync(file, stringify({ groups: [{ name: "dashboard", rules }] }));
    const outcome = await run("promtool", ["check", "rules", file]);
    expect(outcome.code, outcome.output).toBe(0);
    expect(outcome.output).toContain(`${rules.length} rules found`);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a value from the store is read once, whichever replicas expose it", () => {
  const gauges = metricSpecs.filter(({ name, type }) => name.startsWith("dms_") && type === "gauge");
  const fold = /(?:max without \(instance, pod\) \(|max by \([^)]+\) \()$/;
  for (const { place, expr } of expressions(dashboard!)) {
    for (const { name } of gauges) {
      for (const match of expr.matchAll(new RegExp(`\\b${name}\\b`, "g"))) {
        expect(expr.slice(0, match.index), `${place}: ${name}`).toMatch(fold);
      }
    }
  }
});

test("every family of metrics of the cloud's tasks is on the dashboard", () => {
  const shown = new Set(
    expressions(dashboard!).flatMap(({ expr }) => mentions(expr).selectors.map((s) => s.metric)),
  );
  const missing = metricSpecs
    .filter(({ name }) => name.startsWith("dms_"))
    .filter(({ name, type }) => !shown.has(type === "histogram" ? `${name}_bucket` : name));
  expect(missing).toEqual([]);
});

test("Grafana finds the dashboard and the data source where they are provisioned", () => {
  const read = (path: string): unknown =>
    parse(readFileSync(`${configDir}grafana/provisioning/${path}`, "utf8"));
  expect(read("dashboards/dms-taskwatch.yml")).toMatchObject({
    apiVersion: 1,
    providers: [{ type: "file", options: { path: "/var/lib/grafana/dashboards" } }],
  });
  expect(read("datasources/prometheus.yml")).toMatchObject({
    apiVersion: 1,
    datasources: [{ type: "prometheus", url: "http://prometheus:9090", isDefault: true }],
  });
});
