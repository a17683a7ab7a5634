import { defineConfig } from "vitest/config";
import { halves } from "./test/suite/halves.ts";
import { LongestFirst } from "./test/suite/longest-first.ts";

const { fast, full } = halves();

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // One more than the two cores that are there: most of the full half waits for polls and servers.
    maxWorkers: 3,
    pool: "forks",
    // A test that asserts nothing cannot fail.
    expect: { requireAssertions: true },
    sequence: { sequencer: LongestFirst },
    // Real servers and processes on a shared machine: a test that fails twice fails.
    retry: process.env.CI ? 1 : 0,
    projects: [
      {
        extends: true,
        test: { name: "fast", include: [...fast], setupFiles: ["test/suite/no-processes.ts"] },
      },
      { extends: true, test: { name: "full", include: [...full] } },
    ],
  },
});
