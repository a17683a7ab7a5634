#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --v8-pool-size=1 --max-semi-space-size=4 --heap-growing-percent=20
// The line above is the one place where flags and variables are chosen: npm start and the image run this file, and the
// benchmarks read it. docs/performance.md has the measurements behind the choice.
// Plain JavaScript for any Node: it must run where the version is too old, to say so or to start the bundled one.
// A SIGHUP asks for a reload from the first moment on. Without a handler it would end the process, so this one stands
// before anything is loaded.
let hungUp = false;
const remember = () => {
  hungUp = true;
};
process.on("SIGHUP", remember);
process.on("newListener", passHangupOn);

const NEEDED = [24, 15];
/** Tells the one that is started in place of this one that it is to end with it. */
const BESIDE = "DMS_TASKWATCH_STARTED_BY";
const { existsSync, readFileSync } = await import("node:fs");
const root = new URL("../", import.meta.url);
const [major, minor] = process.versions.node.split(".").map(Number);

if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) {
  if (process.channel && process.env[BESIDE] === String(process.ppid)) {
    // Whoever kills the one that was started means the one that works: a restart must find the store free.
    process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
    process.send("takes SIGHUP");
    process.channel.unref();
  }
  const built = new URL("dist/main.js", root);
  await import(existsSync(built) ? built.href : new URL("src/main.ts", root).href);
} else {
  const { spawn } = await import("node:child_process");
  const { fileURLToPath } = await import("node:url");
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
  const [, variables, flags] = readFileSync(new URL(import.meta.url), "utf8").match(
    /^#!\S+ -S (.*) node (.*)/,
  );
  const child = spawn(bundled, [...flags.split(" "), ...process.argv.slice(1)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: {
      ...Object.fromEntries(variables.split(" ").map((variable) => variable.split("="))),
      ...process.env,
      [BESIDE]: String(process.pid),
    },
  });
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => child.kill(signal));
  // Until the child says that it takes SIGHUP, the signal would end it.
  child.once("message", () => process.on("SIGHUP", () => child.kill("SIGHUP")));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal ? 1 : 0);
  });
}

/** Gives a remembered SIGHUP to the handler that takes over. */
function passHangupOn(name) {
  if (name !== "SIGHUP") return;
  process.off("newListener", passHangupOn);
  // Only then: without any handler in between, the signal would end the process.
  setImmediate(() => {
    process.off("SIGHUP", remember);
    if (hungUp) process.emit("SIGHUP", "SIGHUP");
  });
}
