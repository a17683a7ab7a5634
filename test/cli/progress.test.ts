import { expect, test } from "vitest";
import { startProgress } from "../../src/cli/progress.ts";

test("a terminal sees how far it came, and nothing of it at the end", () => {
  const drawn: string[] = [];
  const progress = startProgress({ progress: (text) => drawn.push(text) }, 2, "instances polled");
  progress.read(1);
  progress.done();
  progress.read(199);
  progress.done();
  progress.end();
  expect(drawn).toEqual([
    "0 of 2 instances polled",
    "0 of 2 instances polled, 1 task read",
    "1 of 2 instances polled, 1 task read",
    "1 of 2 instances polled, 200 tasks read",
    "2 of 2 instances polled, 200 tasks read",
    "",
  ]);
});
