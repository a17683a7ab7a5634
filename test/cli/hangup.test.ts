import { expect, test } from "vitest";
import { startSimulator } from "../../src/simulator/server.ts";
import { BIN, PROGRAM } from "../support/cli.ts";
import { Daemon, Folder, type Launcher } from "../support/daemon.ts";
import { TOO_OLD } from "../support/older-node.ts";
import { watchConfig } from "../support/watch-config.ts";

/** Sends the process a SIGHUP as soon as it loads a module whose name holds this. */
const hangupAt = (part: string): string =>
  `data:text/javascript,${encodeURIComponent(`
    import { registerHooks } from "node:module";
    let sent = false;
    registerHooks({
      resolve(specifier, context, next) {
        if (!sent && specifier.includes(${JSON.stringify(part)})) {
          sent = true;
          process.kill(process.pid, "SIGHUP");
        }
        return next(specifier, context);
      },
    });`)}`;

test.each<[string, Launcher]>([
  ["the program", ["--import", hangupAt("cli/program"), PROGRAM]],
  ["the program below its launcher", ["--import", hangupAt("cli/program"), BIN]],
  ["the daemon's own code", ["--import", hangupAt("/run.ts"), PROGRAM]],
  ["the launcher", ["--import", hangupAt("/main."), BIN]],
  [
    "the launcher on an older Node.js",
    ["--import", TOO_OLD, "--import", hangupAt("node:child_process"), BIN],
  ],
])(
  "a SIGHUP while %s is loaded ends nothing: the daemon starts and then reloads",
  async (_what, launcher) => {
    await using folder = await Folder.create();
    await using simulator = await startSimulator({ projects: [{ instances: [{ name: "orders" }] }] });
    const file = await folder.write("taskwatch.json", watchConfig(simulator, null));
    await using daemon = await Daemon.start(file, {}, launcher);
    await daemon.log.until("configuration reloaded");
    daemon.kill("SIGHUP");
    await expect.poll(() => daemon.log.of("configuration reloaded").length, { timeout: 20_000 }).toBe(2);
  },
);

test.each<[string, string]>([
  ["while it is loaded", "cli/program"],
  ["once it runs", "config/load"],
])("a command beside the daemon ends with its terminal, %s", async (_when, part) => {
  await using command = new Daemon("/nonexistent", {}, ["--import", hangupAt(part), PROGRAM], "check");
  expect(await command.exited).toEqual({ code: null, signal: "SIGHUP" });
});
