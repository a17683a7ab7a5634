import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores: more files at once only makes the real servers of the tests wait for each other.
    maxWorkers: 2,
    pool: "forks",
  },
});
