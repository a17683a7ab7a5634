import type { MetricSpec } from "./catalog.ts";

/** The two text formats of Prometheus. They differ in the names of counters, in bucket bounds, and at the end. */
export type Format = "text" | "openmetrics";

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

export const END: Readonly<Record<Format, string>> = { text: "", openmetrics: "# EOF\n" };

const TO_ESCAPE = /[\\"\n]/;

/** A label value as it stands between its quotes. */
export function escapeLabel(value: string): string {
  if (!TO_ESCAPE.test(value)) return value;
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** HELP and TYPE of a family. OpenMetrics names a counter's family without the `_total` of its samples. */
export function header(family: Pick<MetricSpec, "name" | "type" | "help">, format: Format): string {
  const open = format === "openmetrics";
  const name = open && family.type === "counter" ? family.name.replace(/_total$/, "") : family.name;
  const plain = family.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  const help = open ? plain.replaceAll('"', '\\"') : plain;
  return `# HELP ${name} ${help}\n# TYPE ${name} ${family.type}\n`;
}

export function formatValue(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

/** OpenMetrics wants bucket bounds as floats: `le="1.0"`, as the Prometheus clients write them. */
export function formatBound(bound: string, format: Format): string {
  return format === "openmetrics" && /^\d+$/.test(bound) ? `${bound}.0` : bound;
}
