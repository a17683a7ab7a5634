import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readRules, readRunbook } from "./config-files.ts";

const runbook = readRunbook();

/** The anchors that GitHub makes of headings. */
const anchors = [...runbook.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
  heading!
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-"),
);

/** The text under the heading of an alert. */
function sectionOf(alert: string): string {
  const [, section] = new RegExp(`^## ${alert}\\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, "m").exec(runbook) ?? [];
  return section ?? "";
}

test.each(readRules().map((rule) => [rule.alert, rule] as const))(
  "%s leads to its own section",
  (alert, rule) => {
    const [page, anchor] = rule.annotations.runbook_url!.split("#");
    expect(page).toMatch(/^https:\/\/github\.com\/[^/]+\/[^/]+\/blob\/main\/docs\/runbook\.md$/);
    expect(anchor).toBe(alert.toLowerCase());
    expect(anchors.filter((known) => known === anchor)).toHaveLength(1);
  },
);

test.each(readRules().map((rule) => [rule.alert, rule] as const))(
  "the section of %s answers all questions",
  (alert, rule) => {
    const section = sectionOf(alert);
    expect(section).toContain(`Severity: ${rule.labels.severity}.`);
    for (const question of ["What it means", "How to see it", "What to do", "When it is a false alarm"]) {
      expect(section).toContain(`**${question}`);
    }
  },
);

test("there is no section of an alert that does not exist", () => {
  const alerts = readRules().map((rule) => rule.alert);
  expect([...runbook.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual(alerts);
});

test("every link inside leads somewhere", () => {
  for (const [, target] of runbook.matchAll(/\]\(([^)]+)\)/g)) {
    if (target!.startsWith("#")) expect(anchors, target).toContain(target!.slice(1));
    else
      expect(existsSync(fileURLToPath(new URL(`../../docs/${target}`, import.meta.url))), target).toBe(true);
  }
});
