import { expect, onTestFinished, test } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { RunningApp } from "../support/running-app.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";

const USER = { name: "watcher", password: "pass-word-1", domain: "acme" };

test.each([
  {
    what: "the lookup of a project's id",
    operation: "list_projects",
    credentials: { access_key: DEMO_KEY.access_key, secret_key: DEMO_KEY.secret_key },
  },
  {
    what: "the request for a token",
    operation: "token",
    credentials: { user: USER.name, password: USER.password, domain: USER.domain },
  },
] as const)("poll.timeout ends a call to IAM that hangs: $what", async ({ operation, credentials }) => {
  const simulator = await startSimulator({ projects: [{ keys: [DEMO_KEY], users: [USER] }] });
  onTestFinished(() => simulator.close());
  simulator.control.addFault({ kind: "hang", operation });
  const app = await RunningApp.start(
    watchConfig(simulator, null, {
      projects: [projectOf(simulator, { project_id: undefined, credentials })],
      poll: { timeout: "300ms" },
    }),
  );
  onTestFinished(() => app.stop());
  const begun = performance.now();
  await app.log.until("project not watched");
  expect(performance.now() - begun).toBeLessThan(5_000);
});
