import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { metricSpecs } from "../../src/observe/catalog.ts";
import { INSTANCE_FAMILIES } from "../../src/observe/instance-series.ts";

interface Promised {
  readonly type: string;
  readonly labels: readonly string[];
  readonly buckets: readonly number[] | null;
}

/** The table of the documentation: several names in a row share its cells, or have one part each. */
function promised(): Map<string, Promised> {
  const table = readFileSync(new URL("fixtures/metrics.md", import.meta.url), "utf8");
  const found = new Map<string, Promised>();
  for (const row of table.split("\n").slice(2)) {
    const [, namesCell = "", typeCell = "", labelsCell = ""] = row.split("|").map((cell) => cell.trim());
    const names = [...namesCell.matchAll(/`(\w+)`/g)].map((match) => match[1]!);
    const types = [...typeCell.matchAll(/gauge|counter|histogram/g)].map((match) => match[0]);
    const labels = labelsCell
      .replace(/\(.*\)/, "")
      .split(" / ")
      .map((part) => part.split(",").map((label) => label.trim()))
      .map((list) => list.filter((label) => label !== ""));
    const buckets = /histogram ([\d, ]+)/.exec(typeCell)?.[1]?.split(",").map(Number) ?? null;
    names.forEach((name, i) => {
      found.set(name, { type: types[i] ?? types[0]!, labels: labels[i] ?? labels[0]!, buckets });
    });
  }
  return found;
}

test("the catalogue has every metric of the contract, with its type and labels, and no other", () => {
  const contract = promised();
  expect(contract.size).toBeGreaterThan(50);
  expect(metricSpecs.map((spec) => spec.name).sort()).toEqual([...contract.keys()].sort());
  for (const spec of metricSpecs) {
    const { type, labels, buckets } = contract.get(spec.name)!;
    expect([spec.name, spec.type, spec.labels]).toEqual([spec.name, type, labels]);
    if (buckets) expect(spec.buckets).toEqual(buckets);
  }
});

test("a histogram has growing buckets, and nothing else has any", () => {
  for (const { name, type, buckets } of metricSpecs) {
    if (type !== "histogram") expect([name, buckets]).toEqual([name, undefined]);
    else expect([name, buckets]).toEqual([name, [...new Set(buckets)].sort((a, b) => a - b)]);
  }
});

test("HELP says of each family whether it comes from the store or belongs to the process", () => {
  for (const { name, help, source } of metricSpecs) {
    const says =
      source === "store" ? /From the store, survives restarts/ : /[Oo]f this process|by this process from 0/;
    expect(help, name).toMatch(says);
    expect(help, name).not.toMatch(source === "store" ? /from 0/ : /From the store/);
    if (name.startsWith("dms_")) expect(help, name).toMatch(/as of the last poll\.$/);
  }
});

test("the families with instance_id are those that are written from memory at each scrape", () => {
  const written = INSTANCE_FAMILIES.map(({ spec }) => spec.name);
  expect(written).toEqual(
    metricSpecs.filter((spec) => spec.labels.includes("instance_id")).map((spec) => spec.name),
  );
});
