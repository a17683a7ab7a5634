import { expect, onTestFinished, test, vi } from "vitest";
import type { SimulatorOptions } from "../../src/simulator/server.ts";
import { RunningApp } from "../support/running-app.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";
import { all, cloud, MINUTE, pass, polled, watch, well } from "./credentials-watch.ts";

vi.setConfig({ testTimeout: 90_000 });

async function agency(metadata: NonNullable<SimulatorOptions["metadata"]>) {
  const of = await cloud({ metadata });
  const watched = await watch(of, { metadata: { endpoint: of.simulator.url } });
  /** Times that the keys were asked for and answered. */
  const fetched = () =>
    of.control.requests({ operation: "metadata_key" }).filter((call) => call.status).length;
  const keys = () => [...new Set(of.control.requests({ operation: "list_tasks" }).map(({ key }) => key))];
  return { watched, fetched, keys };
}

test.each([
  ["with the token step", { require_token: true }],
  ["where there is no token step", { token_step: 404 }],
  ["where the token step is not allowed", { token_step: 405 }],
  ["where the token step is not available", { token_step: 503 }],
] as const)("the agency of an ECS %s: keys are renewed ten minutes before their end", async (_, metadata) => {
  const { watched, fetched, keys } = await agency(metadata);
  for (let hour = 1; hour <= 4; hour += 1) {
    await pass(watched, 48 * MINUTE);
    expect(fetched()).toBe(hour);
    await polled(watched, 3 * MINUTE);
    // Nobody waited for it.
    await expect.poll(fetched).toBe(hour + 1);
    expect(keys()).toHaveLength(hour);
    await polled(watched);
    expect(keys()).toHaveLength(hour + 1);
  }
  await well(watched);
});

test("the agency of an ECS: a metadata service that fails when new keys are due costs no poll", async () => {
  const { watched, fetched, keys } = await agency({ require_token: true });
  const { control } = watched;
  await pass(watched, 30 * MINUTE);
  const fresh = control.rotateAgencyKeys();
  control.addFault({ kind: "error", operation: "metadata_key", status: 500, times: 2 });
  await pass(watched, 21 * MINUTE);
  for (let tries = 1; tries <= 3; tries += 1) {
    await expect.poll(fetched).toBe(1 + tries);
    await polled(watched);
  }
  await pass(watched, 20 * MINUTE);
  await well(watched);
  expect(keys()).toHaveLength(2);
  expect(keys()).toContain(fresh);
});

test("the agency of an ECS: keys that are revoked before their end are replaced in five minutes", async () => {
  const { watched, keys } = await agency({});
  const { control, clock, inbox, app } = watched;
  const [first = ""] = keys();
  control.revokeKey(first);
  control.rotateAgencyKeys();
  clock.advance(MINUTE);
  const down = await inbox.event("project.unreachable");
  expect(down.data.cause).toBe("credentials_rejected");
  clock.advance(5 * MINUTE);
  await inbox.event("project.reachable");
  await all(app);
  expect(keys()).toHaveLength(2);
});

test("the agency of an ECS: a server without one says so, and is watched once it has one", async () => {
  const of = await cloud();
  const { control, clock, simulator, inbox } = of;
  const message = "Please configure Cloud Service Agency first";
  control.addFault({ kind: "error", operation: "metadata_key", status: 401, message, shape: "text" });
  const credentials = { metadata: { endpoint: simulator.url } };
  const config = watchConfig(simulator, inbox, { projects: [projectOf(simulator, { credentials })] });
  const app = await RunningApp.start(config, { clock });
  onTestFinished(() => app.stop());
  const failed = await app.log.until(({ msg }) => /poll failed|cannot be reached/.test(msg));
  expect(JSON.stringify(failed)).toContain("this server has no agency");
  expect(control.requests({ operation: "list_tasks" })).toEqual([]);
  control.clearFaults();
  clock.advance(5 * MINUTE);
  await all(app);
});
