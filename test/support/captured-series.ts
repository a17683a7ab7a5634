import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { alertsDir } from "../alerts/config-files.ts";
import { type Outcome, run } from "../alerts/tool.ts";
import type { Scrape } from "./scrape.ts";

/** An alert that must fire on the series, with the labels that it then has. */
export interface Expected {
  readonly alertname: string;
  readonly labels: Readonly<Record<string, string>>;
}

const SAMPLE = /^((?:dms|taskwatch)_\w+)(?:\{(.*)\})? (\S+)$/;

/**
 * Asks promtool whether these alerts, and of those `silent` none, fire when a daemon exposes for ten minutes what one
 * scrape of it showed.
 */
export async function alertsOnSeries(
  { text }: Scrape,
  expected: readonly Expected[],
  silent: readonly string[] = [],
): Promise<Outcome> {
  const series = text.split("\n").flatMap((line) => {
    const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    const all = ['job="taskwatch"', 'instance="a"', ...(labels === "" ? [] : [labels])];
    return [{ series: `${name}{${all.join(",")}}`, values: `${Number(value)}x40` }];
  });
  const folder = await mkdtemp(join(tmpdir(), "taskwatch-captured-"));
  try {
    await writeFile(
      join(folder, "test.yml"),
      stringify({
        rule_files: [`${alertsDir}taskwatch.rules.yml`],
        evaluation_interval: "15s",
        tests: [
          {
            interval: "15s",
            input_series: series,
            promql_expr_test: [
              ...expected.map(({ alertname, labels }) => ({
                expr: `max by (${Object.keys(labels).join(", ")}) (ALERTS{alertname="${alertname}",alertstate="firing"})`,
                eval_time: "10m",
                exp_samples: [{ labels: labelText(labels), value: 1 }],
              })),
              ...silent.map((alertname) => ({
                expr: `ALERTS{alertname="${alertname}",alertstate="firing"}`,
                eval_time: "10m",
              })),
            ],
          },
        ],
      }),
    );
    return await run("promtool", ["test", "rules", "test.yml"], folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const labelText = (labels: Readonly<Record<string, string>>): string =>
  `{${Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",")}}`;
