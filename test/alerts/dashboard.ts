import { readdirSync, readFileSync } from "node:fs";
import { configDir } from "./config-files.ts";

const dashboardsDir = `${configDir}grafana/dashboards/`;

interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string | { readonly query: string };
  readonly regex: string;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr?: string }[] };
}

export function readDashboards(): Dashboard[] {
  return readdirSync(dashboardsDir)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(dashboardsDir + name, "utf8")) as Dashboard);
}

/** With Grafana's variables as they are when All is chosen: what a Prometheus can evaluate. */
function withVariables(expr: string): string {
  return expr
    .replaceAll("$__rate_interval", "5m")
    .replaceAll("$__interval", "1m")
    .replaceAll("$__range", "6h")
    .replaceAll(/"\$(?:job|project|instance)"/g, '".*"');
}

/** The PromQL inside a variable's query: `label_values(selector, label)` or `query_result(expr)`. */
function variableExpr(query: string): string {
  const selector = /^label_values\((.+), \w+\)$/.exec(query)?.[1];
  const expr = selector ?? /^query_result\((.+)\)$/.exec(query)?.[1];
  if (expr === undefined) throw new Error(`neither label_values nor query_result: ${query}`);
  return expr;
}

/** Every expression of a dashboard, its variables filled in, with the place that it stands in. */
export function expressions(dashboard: Dashboard): { place: string; expr: string }[] {
  const panels = dashboard.panels.flatMap(({ title, targets }) =>
    (targets ?? []).map(({ refId, expr }) => ({ place: `${title} ${refId}`, expr })),
  );
  const annotations = dashboard.annotations.list.flatMap(({ name, expr }) =>
    expr === undefined ? [] : [{ place: name, expr }],
  );
  const variables = dashboard.templating.list.flatMap(({ name, query }) =>
    typeof query === "string" ? [] : [{ place: `variable ${name}`, expr: variableExpr(query.query) }],
  );
  return [...panels, ...annotations, ...variables].map(({ place, expr }) => ({
    place,
    expr: withVariables(expr),
  }));
}
