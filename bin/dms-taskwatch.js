#!/usr/bin/env node
// Plain JavaScript for any Node: it must run where the version is too old, to say so or to start the bundled one.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const NEEDED = [24, 15];
const root = new URL("../", import.meta.url);
const [major, minor] = process.versions.node.split(".").map(Number);

if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) {
  const built = new URL("dist/main.js", root);
  await import(existsSync(built) ? built.href : new URL("src/main.ts", root).href);
} else {
  const bundled = fileURLToPath(new URL(`node_modules/node-linux-${process.arch}/bin/node`, root));
  if (!existsSync(bundled)) {
    console.error(
      `dms-taskwatch needs Node.js ${NEEDED.join(".")} or newer; this is ${process.versions.node}. ` +
        "Install a newer one, or run npm ci on Linux, which brings one along.",
    );
    process.exit(2);
  }
  const child = spawn(bundled, process.argv.slice(1), { stdio: "inherit" });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal ? 1 : 0);
  });
}
