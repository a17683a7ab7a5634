import { expect, test } from "vitest";
import { apiDemand } from "../../src/app/api-demand.ts";
import { loadConfig } from "../../src/config/load.ts";

const NOW = Date.UTC(2026, 10, 24);

async function needs(project: Record<string, unknown>, stuck: Record<string, unknown> = {}) {
  const common = { name: "p", region: "r", credentials: { access_key: "a", secret_key: "s" } };
  const instances = [
    { id: "i1", engine: "kafka" },
    { id: "i2", engine: "rabbitmq" },
  ];
  const config = { projects: [{ ...common, instances, ...project }], stuck };
  const loaded = await loadConfig({
    path: "t.yaml",
    env: {},
    readFile: async () => Buffer.from(JSON.stringify(config)),
  });
  if (!loaded.ok) throw new Error("the configuration is wrong");
  return apiDemand(loaded.config, NOW)[0];
}

test("lists of scheduled tasks, and calls for progress, count in what a project needs", async () => {
  expect(await needs({})).toMatchObject({ idle: expect.closeTo(2 / 60), busy: expect.closeTo(2 / 15) });
  expect(await needs({ scheduled_tasks: true })).toMatchObject({
    idle: expect.closeTo(2 / 60 + 2 / 300, 6),
    busy: expect.closeTo(2 / 15 + 2 / 300, 6),
  });
  // RabbitMQ has no call for it.
  expect(await needs({}, { no_progress_after: "10m" })).toMatchObject({
    idle: expect.closeTo(2 / 60, 6),
    busy: expect.closeTo(3 / 15, 6),
  });
});
