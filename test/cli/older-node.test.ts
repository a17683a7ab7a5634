import { expect, test } from "vitest";
import { startSimulator } from "../../src/simulator/server.ts";
import { BIN } from "../support/cli.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { TOO_OLD } from "../support/older-node.ts";
import { watchConfig } from "../support/watch-config.ts";

test("started by an older Node.js it runs on the one it brings along, and ends with the process that was started", async () => {
  await using folder = await Folder.create();
  await using simulator = await startSimulator({ projects: [{ instances: [{ name: "orders" }] }] });
  const store = { url: `sqlite:${folder.file("taskwatch.db")}` };
  const file = await folder.write("taskwatch.json", watchConfig(simulator, null, { store }));
  const start = () => Daemon.start(file, {}, ["--import", TOO_OLD, BIN]);
  {
    await using killed = await start();
    killed.kill("SIGKILL");
    await killed.exited;
    await expect.poll(() => fetch(killed.url).catch(() => "gone")).toBe("gone");
  }
  // The store is free again: nothing was left running on it.
  await using daemon = await start();
  daemon.kill("SIGTERM");
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
});

test("what looks too old again after that is said, and starts no third one", async () => {
  // Unlike a flag, this reaches the one that is brought along too.
  const daemon = new Daemon("/nonexistent", { NODE_OPTIONS: `--import=${TOO_OLD}` }, [BIN]);
  expect(await daemon.exited).toEqual({ code: 2, signal: null });
  expect(daemon.stderr.text).toMatch(/^dms-taskwatch needs Node\.js 24\.15 or newer; this is 20\.0\.0/);
});
