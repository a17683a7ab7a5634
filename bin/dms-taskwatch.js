#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --optimize-for-size --v8-pool-size=1
// What stands before it takes a third off the memory of a thousand instances; npm start and the image say the same.
// Plain JavaScript for any Node: it must run where the version is too old, to say so or to start the bundled one.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const NEEDED = [24, 15];
/** Tells the one that is started in place of this one that it is to end with it. */
const BESIDE = "DMS_TASKWATCH_STARTED_BY";
const root = new URL("../", import.meta.url);
const [major, minor] = process.versions.node.split(".").map(Number);

if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) {
  if (process.channel && process.env[BESIDE] === String(process.ppid)) {
    // Whoever kills the one that was started means the one that works: a restart must find the store free.
    process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
    process.channel.unref();
  }
  const built = new URL("dist/main.js", root);
  await import(existsSync(built) ? built.href : new URL("src/main.ts", root).href);
} else {
  const bundled = fileURLToPath(new URL(`node_modules/node-linux-${process.arch}/bin/node`, root));
  // One that was started in place of another starts no third: what made it look too old would go on for ever.
  if (!existsSync(bundled) || process.env[BESIDE] === String(process.ppid)) {
    console.error(
      `dms-taskwatch needs Node.js ${NEEDED.join(".")} or newer; this is ${process.versions.node}. ` +
        "Install a newer one, or run npm ci on Linux, which brings one along.",
    );
    process.exit(2);
  }
  // Only these flags: what else was given is for the one that was started, and might make its child start another.
  const child = spawn(bundled, ["--optimize-for-size", "--v8-pool-size=1", ...process.argv.slice(1)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { MALLOC_ARENA_MAX: "1", ...process.env, [BESIDE]: String(process.pid) },
  });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal ? 1 : 0);
  });
}
