import { join } from "node:path";
import { expect, test } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Folder } from "../support/daemon.ts";
import { RunningApp } from "../support/running-app.ts";
import { watchConfig } from "../support/watch-config.ts";

test("stopped at whatever step of its start, it ends without a word and leaves nothing open", async () => {
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
  });
  await using folder = await Folder.create();
  // One file for all: what one of them left open would keep the next from it.
  const store = { url: `sqlite:${join(folder.path, "taskwatch.db")}` };
  const config = watchConfig(simulator, null, { store });
  for (let steps = 0; steps < 25; steps++) {
    const app = await RunningApp.loaded(config);
    const beginning = app.begin();
    for (let step = 0; step < steps; step++) await new Promise((resolve) => setImmediate(resolve));
    await app.stop();
    await beginning;
    expect(app.log.lines.filter(({ level }) => level === "error" || level === "fatal")).toEqual([]);
    if (app.url) await expect(fetch(app.url)).rejects.toThrow();
  }
  await using app = await RunningApp.start(config);
  expect((await fetch(`${app.url}/healthz`)).status).toBe(200);
});
