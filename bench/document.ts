import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Result } from "./support/report.ts";

/*
 * Writes the figures of bench/results/before.jsonl and after.jsonl side by side into docs/performance.md, and the
 * pictures beside it. What stands between the markers of the page is replaced.
 */
const root = new URL("../", import.meta.url);
const PAGE = new URL("docs/performance.md", root);

/** By benchmark and figure; of several measurements of one, the last. */
function resultsOf(name: string): ReadonlyMap<string, Result> {
  const file = new URL(`bench/results/${name}.jsonl`, root);
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  const results = lines.map((line) => JSON.parse(line) as Result);
  return new Map(results.map((result) => [`${result.bench} ${result.what}`, result]));
}

const before = resultsOf("before");
const after = resultsOf("after");
const first = (results: ReadonlyMap<string, Result>): Result | undefined => results.values().next().value;

/** Short: the first clause of what was measured; the rest is what the benchmark prints. */
const short = (result: Result | undefined): string => result?.measured.split(/[:;]/)[0] ?? "";

function table(): string {
  const compared = before.size > 0;
  const measured = (results: ReadonlyMap<string, Result>) => {
    const result = first(results);
    return result === undefined ? "" : `\`${result.flags}\`, ${result.machine}`;
  };
  const lines = [
    ...(compared ? [`Before: ${measured(before)}.`, ""] : []),
    `${compared ? "After" : "Measured with"}: ${measured(after)}.`,
    "",
    `| \`npm run bench\` | what |${compared ? " before | after |" : " measured |"} to reach |`,
    `|---|---|---|${compared ? "---|" : ""}---|`,
  ];
  for (const [key, result] of after) {
    const reach = result.reach === undefined ? "" : `${result.reach}${result.holds ? "" : ", **missed**"}`;
    const was = compared ? ` ${short(before.get(key))} |` : "";
    lines.push(`| \`${result.bench}\` | ${result.what} |${was} ${short(result)} | ${reach} |`);
  }
  return lines.join("\n");
}

interface Bar {
  readonly label: string;
  readonly before: number | undefined;
  readonly after: number;
  /** To reach. */
  readonly aim: number | undefined;
}

function bars(wanted: (result: Result) => boolean, label: (result: Result) => string): readonly Bar[] {
  return [...after].flatMap(([key, result]) => {
    const { value, reach } = result;
    if (value === undefined || !wanted(result)) return [];
    const aim = reach === undefined ? undefined : Number(/[\d.]+/.exec(reach)?.[0]);
    return [{ label: label(result), before: before.get(key)?.value, after: value, aim }];
  });
}

const LABELS = 340;
const WIDTH = 400;
const ROW = 44;

/** Two bars a row, and a line where the aim is. */
function picture(title: string, digits: number, rows: readonly Bar[]): string {
  const most = Math.max(...rows.flatMap((row) => [row.before ?? 0, row.after, row.aim ?? 0]));
  const x = (value: number): string => ((value / most) * WIDTH).toFixed(1);
  const height = 60 + rows.length * ROW;
  const drawn = rows.map(({ label, before, after, aim }, index) => {
    const y = 50 + index * ROW;
    const bar = (value: number, top: number, color: string): string =>
      `<rect x="${LABELS}" y="${top}" width="${x(value)}" height="14" fill="${color}"/>` +
      `<text x="${LABELS + Number(x(value)) + 5}" y="${top + 11}">${value.toFixed(digits)}</text>`;
    const line =
      aim === undefined
        ? ""
        : `<path d="M${LABELS + Number(x(aim))} ${y - 3}v36" stroke="#c22" stroke-dasharray="4 2"/>`;
    return (
      `<text x="${LABELS - 8}" y="${y + 19}" text-anchor="end">${label}</text>` +
      (before === undefined ? "" : bar(before, y, "#9aa5b1")) +
      bar(after, before === undefined ? y + 8 : y + 15, "#2b6cb0") +
      line
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LABELS + WIDTH + 70}" height="${height}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="10" y="20" font-size="14" font-weight="bold">${title}</text>`,
    `<text x="10" y="37" fill="#555">${before.size > 0 ? "grey: before; blue: after" : "blue: measured"}; red line: to reach</text>`,
    ...drawn,
    "</svg>\n",
  ].join("\n");
}

if (after.size === 0) {
  console.error("There are no results: npm run bench -- --save bench/results/after.jsonl");
  process.exit(2);
}
const marked = /(<!-- figures -->\n)[\s\S]*(<!-- end of figures -->)/;
const page = readFileSync(PAGE, "utf8");
writeFileSync(
  PAGE,
  page.replace(marked, (_, begin: string, end: string) => `${begin}\n${table()}\n\n${end}`),
);
writeFileSync(
  new URL("docs/performance-cycle.svg", root),
  picture(
    "Poll cycle, share of the bare client's rate per CPU second",
    2,
    bars(
      ({ bench }) => bench === "cycle",
      ({ what }) => what,
    ),
  ),
);
writeFileSync(
  new URL("docs/performance-metrics.svg", root),
  picture(
    "/metrics through HTTP under load, median in milliseconds",
    0,
    bars(
      ({ what }) => what.startsWith("/metrics, median"),
      ({ title }) => /^(\d+ instances).*(SQLite|Redis)/.exec(title)?.slice(1).join(", ") ?? title,
    ),
  ),
);
