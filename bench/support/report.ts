import { appendFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { shipped } from "./shipped.ts";

/** One line of what a benchmark prints. */
export interface Figure {
  readonly what: string;
  readonly measured: string;
  /** The one number that is compared, and kept where results are. */
  readonly value?: number;
  /** What PRODUCT.md asks for; absent where the figure is information. */
  readonly reach?: string;
  readonly holds?: boolean;
}

/** Figures as they are kept in a file of results, one per line. */
export interface Result extends Figure {
  /** Of run.ts, such as `ten-thousand`. */
  readonly bench: string;
  readonly title: string;
  readonly flags: string;
  readonly machine: string;
}

/** Prints figures as a table in Markdown, with the flags and what the machine was doing meanwhile; keeps them in BENCH_RESULTS. */
export function report(title: string, figures: readonly Figure[]): void {
  const rows = figures.map(({ what, measured, reach = "", holds }) => [
    what,
    measured,
    reach,
    holds === undefined ? "" : holds ? "holds" : "MISSED",
  ]);
  const titles = ["what", "measured", "to reach", ""];
  const widths = titles.map((text, column) =>
    Math.max(text.length, ...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text, column) => text.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  console.log(`\n${title}`);
  console.log(`(${shipped.text}; ${machine()})\n`);
  console.log(line(titles));
  console.log(`|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
  for (const cells of rows) console.log(line(cells));
  keep(title, figures);
}

function keep(title: string, figures: readonly Figure[]): void {
  const { BENCH_RESULTS: file, BENCH_NAME: bench = "" } = process.env;
  if (!file) return;
  for (const figure of figures) {
    const result: Result = { bench, title, flags: shipped.text, machine: machine(), ...figure };
    appendFileSync(file, `${JSON.stringify(result)}\n`);
  }
}

function machine(): string {
  const [cpu] = cpus();
  const [one = 0, , fifteen = 0] = loadavg();
  return `Node.js ${process.versions.node}, ${cpus().length} × ${cpu?.model.trim()}, load ${one.toFixed(1)} (15 min ${fifteen.toFixed(1)}), ${new Date().toISOString().slice(0, 16)}Z`;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export const sleep = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
