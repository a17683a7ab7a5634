import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores: more files at once only makes the real servers of the tests wait for each other.
    maxWorkers: 2,
    pool: "forks",
    // Real servers and processes on a shared machine: a test that fails twice fails.
    retry: process.env.CI ? 1 : 0,
  },
});
